// The one form in which a token is accepted; ids as in the catalogue of attacks.

import { describe, expect, test } from "vitest";
import { base64url, forgeSignatures, forgeSpellings, signRaw } from "../../../support/issuer.ts";
import { claims, corp, ec, rsa, token } from "./corp.ts";

describe("the form", () => {
  test.each([
    ["nothing", "", "jwt_form"],
    ["one part", "abc", "jwt_form"],
    ["two parts", "abc.def", "jwt_form"],
    ["four parts", "a.b.c.d", "jwt_form"],
    ["J29 five parts, a JWE", "eyJhbGciOiJkaXIifQ..a.b.c", "jwt_encrypted"],
    ["the JSON serialization", '{"protected":"e30","payload":"e30","signature":"AA"}', "jwt_form"],
    ["more than 16 KiB", `${"a".repeat(16_380)}.aa.aa`, "jwt_size"],
    ["a header that is no object", `${base64url("[]")}.${base64url("{}")}.AA`, "jwt_header"],
    ["a header that is no JSON", `${base64url("{a:1}")}.${base64url("{}")}.AA`, "jwt_header"],
    ["a payload that is no object", `${base64url("{}")}.${base64url("null")}.AA`, "jwt_payload"],
    ["a byte order mark", `${base64url("\ufeff{}")}.${base64url("{}")}.AA`, "jwt_header"],
    [
      "bytes that are not UTF-8",
      `${base64url("{}")}.${base64url(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))}.AA`,
      "jwt_payload",
    ],
  ])("%s is refused at once", (_, text, reason) => {
    expect(corp.verifier.verify(text, undefined)).toEqual({
      kind: "rejected",
      denial: { code: "token_invalid", reason },
    });
  });

  test.each([
    ["header member", '{"alg":"none","alg":"RS256","kid":"a-rsa"}', undefined, "jwt_header"],
    ["claim", undefined, '"sub":"root","sub":"user-1"', "jwt_payload"],
    ["claim, one escaped", undefined, '"sub":"user-1","\\u0073ub":"root"', "jwt_payload"],
    ["nested member", undefined, '"sub":"user-1","x":{"a":1,"a" : 2}', "jwt_payload"],
  ])("a repeated %s is refused", async (_, header, part, reason) => {
    const payload = JSON.stringify(claims()).replace('"sub":"user-1"', part ?? '"sub":"user-1"');
    const raw = signRaw(header ?? JSON.stringify({ alg: "RS256", kid: rsa.kid }), payload, rsa);
    expect(await corp.verdict(raw)).toBe(`token_invalid/${reason}`);
  });

  test("J28 deep nesting is refused in the header and in the claims", async () => {
    const deep = (levels: number) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
    const payload = (levels: number) => `{"x":${deep(levels)},${JSON.stringify(claims()).slice(1)}`;
    const header = JSON.stringify({ alg: "RS256", kid: rsa.kid });
    expect(await corp.verdict(signRaw(header, payload(31), rsa))).toBe("ok");
    for (const levels of [32, 2000]) {
      expect(await corp.verdict(signRaw(header, payload(levels), rsa))).toBe("token_invalid/jwt_payload");
      const nested = `{"x":${deep(levels)},${header.slice(1)}`;
      expect(await corp.verdict(signRaw(nested, payload(1), rsa))).toBe("token_invalid/jwt_header");
    }
  });

  test.each([
    rsa,
    ec,
  ])("J30 and J31 every other spelling of a $alg token is refused, also when it is remembered", async (key) => {
    const good = token({ pad: "\u00fb\u00ff\u00fe>>>???" }, {}, key);
    expect(await corp.verdict(good)).toBe("ok");
    const spellings = forgeSpellings(good);
    expect(spellings.length).toBeGreaterThan(50);
    for (const spelling of spellings) expect(await corp.verdict(spelling)).toMatch(/^token_invalid\/jwt_/);
    expect(await corp.verdict(good)).toBe("ok");
  });

  test.each([rsa, ec])("J32 every broken $alg signature is refused", async (key) => {
    for (const forged of forgeSignatures(token({}, {}, key), key)) {
      expect(await corp.verdict(forged)).toMatch(/^token_invalid\/jwt_(?:signature|base64)$/);
    }
  });

  test("a remembered signature doesn't vouch for other claims", async () => {
    const good = token();
    await corp.verdict(good);
    const [header, , made] = good.split(".");
    const payload = base64url(JSON.stringify(claims({ sub: "admin" })));
    expect(await corp.verdict(`${header}.${payload}.${made}`)).toBe("token_invalid/jwt_signature");
  });
});
