// Which signed tokens are accepted, and what their header may hold; ids as in the catalogue of attacks.

import { describe, expect, test } from "vitest";
import {
  base64url,
  forgeHeaderKeys,
  forgeHmacFromPublicKey,
  forgeUnsigned,
  makeKey,
  signature,
  signToken,
  TestIssuer,
} from "../../../support/issuer.ts";
import { issuerPolicy, keyPolicy } from "../../../support/verifier.ts";
import { claims, corp, ec, rsa, running, stranger, token } from "./corp.ts";

describe("a good token", () => {
  test.each(["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"])("of %s is accepted", async (alg) => {
    const key = makeKey(alg);
    const { verdict } = await running([keyPolicy([key])]);
    expect(await verdict(token({}, {}, key))).toBe("ok");
  });

  test.each([
    ["EdDSA", "Ed25519"],
    ["Ed25519", "EdDSA"],
  ])("that says %s is accepted for a key published as %s, the same algorithm", async (alg, published) => {
    const key = makeKey(published);
    const { verdict } = await running([keyPolicy([key])]);
    expect(await verdict(signToken(claims(), key, { alg }))).toBe("ok");
  });

  test.each(["HS256", "HS384", "HS512"])("of %s is accepted with the shared secret", async (alg) => {
    const key = makeKey(alg);
    const source = { kind: "secret", secret: key.signer as Buffer } as const;
    const { verdict } = await running([issuerPolicy(source, { algorithms: [alg] })]);
    expect(await verdict(token({}, {}, key))).toBe("ok");
    expect(await verdict(token({}, {}, makeKey(alg)))).toBe("token_invalid/jwt_signature");
  });

  test("is accepted with a PEM key, whatever its key id", async () => {
    const { verdict } = await running([issuerPolicy({ kind: "pem", pem: rsa.pem })]);
    expect(await verdict(token({}, { kid: "any" }))).toBe("ok");
  });

  test("without a key id is tried against the keys of its algorithm", async () => {
    expect(await corp.verdict(token({}, { kid: undefined }))).toBe("ok");
    expect(await corp.verdict(token({}, { kid: undefined }, ec))).toBe("ok");
  });

  test("is answered at once when it comes again, with the very same principal", async () => {
    const again = token({ jti: "again" });
    const first = await corp.verifier.verify(again, undefined);
    const second = corp.verifier.verify(again, undefined);
    expect(second).not.toBeInstanceOf(Promise);
    expect(second).toBe(first);
  });
});

describe("the header", () => {
  test("J01 a token without a signature is refused in every spelling of none", async () => {
    for (const forged of forgeUnsigned(claims())) {
      expect(await corp.verdict(forged)).toMatch(/^token_invalid\/jwt_(?:alg|form|base64)$/);
    }
  });

  test("J02 a MAC made with the public key is refused in every form of the key", async () => {
    for (const key of [rsa, ec]) {
      for (const forged of forgeHmacFromPublicKey(claims(), key)) {
        expect(await corp.verdict(forged)).toBe("token_invalid/jwt_alg");
      }
    }
  });

  test.each([
    "PS256",
    "RS512",
    "HS256",
    "rs256",
    "RS256 ",
  ])("J03 %s is refused where only RS256 is configured and the key names no algorithm", async (alg) => {
    const { alg: _, ...jwk } = rsa.jwk;
    const policy = issuerPolicy({ kind: "jwks", keys: [jwk] }, { algorithms: ["RS256"] });
    const { verdict } = await running([policy]);
    const secret = Buffer.from(rsa.pem);
    const signer = alg === "HS256" ? { ...rsa, signer: secret } : rsa;
    const input = `${base64url(JSON.stringify({ alg, kid: rsa.kid }))}.${base64url(JSON.stringify(claims()))}`;
    const made = signature(input, signer, alg.trim().toUpperCase());
    expect(await verdict(`${input}.${base64url(made)}`)).toBe("token_invalid/jwt_alg");
    expect(await verdict(token())).toBe("ok");
  });

  test("J05 and J06 keys in the token's own header are neither used nor fetched", async () => {
    const trap = await TestIssuer.start({ keys: [stranger] });
    try {
      for (const forged of forgeHeaderKeys(claims(), stranger, rsa.kid, trap.jwksUri)) {
        expect(await corp.verdict(forged)).toBe("token_invalid/jwt_signature");
      }
      expect(trap.paths).toEqual([]);
    } finally {
      await trap.stop();
    }
  });

  test.each([
    ["an empty text", "", "jwt_kid"],
    ["null", null, "jwt_kid"],
    ["an object", {}, "jwt_kid"],
    ["a list", [], "jwt_kid"],
    ["a number", 1, "jwt_kid"],
    ["257 characters", "k".repeat(257), "jwt_kid"],
    ["a path", "../../../../dev/null", "jwt_key_unknown"],
    ["a query", "' OR '1'='1", "jwt_key_unknown"],
    ["__proto__", "__proto__", "jwt_key_unknown"],
    ["constructor", "constructor", "jwt_key_unknown"],
    ["a known one with a NUL", "a-rsa\u0000", "jwt_key_unknown"],
  ])("J07 a key id that is %s is refused", async (_, kid, reason) => {
    expect(await corp.verdict(token({}, { kid }))).toBe(`token_invalid/${reason}`);
  });

  test("a key id is bound to its key and the algorithm of that key", async () => {
    expect(await corp.verdict(token({}, { kid: ec.kid }))).toBe("token_invalid/jwt_key_unfit");
    expect(await corp.verdict(token({}, {}, stranger))).toBe("token_invalid/jwt_signature");
  });

  test.each([
    [["x"]],
    [[]],
    ["exp"],
    [["exp"]],
    [["b64"]],
    [["x", "x"]],
    [null],
    [{}],
  ])("J14 crit %j is refused", async (crit) => {
    const header = { crit, x: 1, b64: undefined };
    expect(await corp.verdict(token({}, header))).toBe("token_invalid/jwt_crit");
  });

  test.each([true, false])("b64 %j is refused, with and without crit", async (b64) => {
    expect(await corp.verdict(token({}, { b64 }))).toBe("token_invalid/jwt_crit");
    expect(await corp.verdict(token({}, { b64, crit: ["b64"] }))).toBe("token_invalid/jwt_crit");
  });

  test.each([
    "at+jwt",
    "AT+JWT",
    "application/at+jwt",
    "JWT",
    "jwt",
    "application/jwt",
    undefined,
  ])("type %j is an access token's", async (typ) => {
    expect(await corp.verdict(token({}, { typ }))).toBe("ok");
  });

  test.each([
    "dpop+jwt",
    "DPoP+JWT",
    "logout+jwt",
    "application/logout+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "JWE",
    "JOSE",
    "id+jwt",
    "",
    " jwt",
    1,
    null,
    ["jwt"],
  ])("J16 type %j is refused", async (typ) => {
    expect(await corp.verdict(token({}, { typ }))).toBe("token_invalid/jwt_typ");
  });

  test("J16 a configured list of types is exact, and can't let in a token of another protocol", async () => {
    const { verdict } = await running([keyPolicy([rsa], { types: ["at+jwt", "logout+jwt"] })]);
    expect(await verdict(token({}, { typ: "at+JWT" }))).toBe("ok");
    for (const typ of ["JWT", undefined, "logout+jwt"]) {
      expect(await verdict(token({}, { typ }))).toBe("token_invalid/jwt_typ");
    }
  });
});
