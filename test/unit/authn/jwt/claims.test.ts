// What the claims of a signed token must be; ids as in the catalogue of attacks.

import { describe, expect, test } from "vitest";
import { type Claims, makeKey, signRaw } from "../../../support/issuer.ts";
import { keyPolicy } from "../../../support/verifier.ts";
import { claims, corp, rsa, running, token } from "./corp.ts";

describe("the kind of token", () => {
  test.each<[string, Claims]>([
    ["nonce", { nonce: "n" }],
    ["at_hash", { at_hash: "h" }],
    ["c_hash", { c_hash: "h" }],
    ["token_use id", { token_use: "id" }],
    ["payload typ ID", { typ: "ID" }],
    ["payload typ Refresh", { typ: "Refresh" }],
    ["a logout event", { events: { "http://schemas.openid.net/event/backchannel-logout": {} } }],
  ])("J16 an ID or logout token, told by its %s, is refused unless typed as access token", async (_, over) => {
    for (const typ of ["JWT", undefined]) {
      expect(await corp.verdict(token(over, { typ }))).toBe("token_invalid/jwt_id_token");
    }
    expect(await corp.verdict(token(over, { typ: "at+jwt" }))).toBe("ok");
  });

  test.each<Claims>([
    { token_use: "access" },
    { typ: "Bearer" },
    { events: ["login"] },
  ])("an access token with %j is accepted", async (over) => {
    expect(await corp.verdict(token(over))).toBe("ok");
  });

  test.each([
    { jkt: "x" },
    { "x5t#S256": "x" },
    {},
    null,
  ])("a token bound to its sender by cnf %j is refused, not taken as a bearer token", async (cnf) => {
    expect(await corp.verdict(token({ cnf }, { typ: "at+jwt" }))).toBe("token_invalid/jwt_bound");
  });

  test("a client's own token, whose subject is the client, is accepted", async () => {
    expect(await corp.verdict(token({ sub: "app", client_id: "app" }))).toBe("ok");
  });
});

describe("the issuer", () => {
  const other = makeKey("RS256", "b-rsa");
  const policies = [
    keyPolicy([rsa]),
    keyPolicy([other], { name: "other", issuer: "https://other.example/" }),
  ];

  test("J08 a key of one issuer never verifies a token that claims another", async () => {
    const { verdict } = await running(policies);
    expect(await verdict(token({}, {}, other))).toBe("token_invalid/jwt_key_unknown");
    expect(await verdict(token({}, { kid: undefined }, other))).toBe("token_invalid/jwt_signature");
    expect(await verdict(token({ iss: "https://other.example/" }, {}, other))).toBe("ok");
  });

  test("only the issuer that is asked for may have made the token, also when it is remembered", async () => {
    const { verdict } = await running(policies);
    const good = token();
    expect(await verdict(good, "corp")).toBe("ok");
    expect(await verdict(good, "other")).toBe("token_invalid/jwt_issuer");
    expect(await verdict(good, undefined)).toBe("ok");
    expect(await verdict(good, "nobody")).toBe("token_invalid/jwt_issuer");
  });

  test("entries that share an identifier are tried in turn, each with its own rules", async () => {
    const shared = [keyPolicy([rsa], { audience: ["x"] }), keyPolicy([rsa], { name: "second" })];
    const { verdict } = await running(shared);
    const good = token();
    expect(await verdict(good)).toBe("ok");
    expect(await verdict(good, "corp")).toBe("token_invalid/jwt_audience");
    expect(await verdict(good, "second")).toBe("ok");
    expect(await verdict(good, ["corp", "second"])).toBe("ok");
    expect(await verdict(good, ["corp", "third"])).toBe("token_invalid/jwt_audience");
    expect(await verdict(good, [])).toBe("token_invalid/jwt_issuer");
    expect(await verdict(token({ aud: "y" }))).toBe("token_invalid/jwt_audience");
  });

  test.each([
    "https://login.example.com",
    "https://LOGIN.example.com/",
    "HTTPS://login.example.com/",
    "https://login.example.com:443/",
    "https://login.example.com/ ",
    "https://l\u043egin.example.com/",
    ["https://login.example.com/"],
    "",
    null,
    undefined,
    "__proto__",
  ])("J22 iss %j is not the configured one", async (iss) => {
    expect(await corp.verdict(token({ iss }))).toBe("token_invalid/jwt_issuer");
  });
});

describe("the audience", () => {
  test.each<[unknown]>([
    ["modules-api"],
    [["modules-api"]],
    [["x", "modules-api"]],
    [[...Array.from({ length: 1500 }, (_, index) => `a${index}`), "modules-api"].slice(-1200)],
  ])("%j holds the configured one", async (aud) => {
    expect(await corp.verdict(token({ aud }))).toBe("ok");
  });

  test.each<[unknown]>([
    [undefined],
    ["MODULES-API"],
    ["modules-api "],
    [["x"]],
    [[]],
    [[["modules-api"]]],
    [1],
    [null],
    [{ "0": "modules-api" }],
    [["modules-api", { a: 1 }]],
    [["modules-api", null]],
    ["modules-api other"],
  ])("J21 %j is refused", async (aud) => {
    expect(await corp.verdict(token({ aud }))).toBe("token_invalid/jwt_audience");
  });

  test("is not looked at where the file says so", async () => {
    const { verdict } = await running([keyPolicy([rsa], { audience: undefined })]);
    for (const aud of [undefined, "x", 1]) expect(await verdict(token({ aud }))).toBe("ok");
  });
});

describe("the subject", () => {
  test.each<[unknown]>([
    [1],
    [{}],
    [[]],
    [undefined],
    [null],
    [""],
    ["x".repeat(1025)],
    ["\u65e5".repeat(342)],
    ["a\r\nX-User-Scopes: admin"],
    ["a\u0000"],
    ["a\u007f"],
    ["a\u0085"],
  ])("J23 %j is refused", async (sub) => {
    expect(await corp.verdict(token({ sub }))).toBe("token_invalid/jwt_subject");
  });

  test.each([
    "\u65e5\u672c",
    "\u00e9",
    " a ",
    "a|b",
    "x".repeat(1024),
    "app@clients",
  ])("J23 %j is carried on as it is", async (sub) => {
    expect((await corp.principal(token({ sub }))).subject).toBe(sub);
  });

  test.each([1, null, {}, ["x"]])("a token id %j of another type is refused", async (jti) => {
    expect(await corp.verdict(token({ jti }))).toBe("token_invalid/jwt_jti");
  });

  test("J23 half of a surrogate pair is refused, because it can't be sent on", async () => {
    const payload = JSON.stringify(claims({ sub: "X" })).replace('"X"', '"\\ud800"');
    const raw = signRaw(JSON.stringify({ alg: "RS256", kid: rsa.kid }), payload, rsa);
    expect(await corp.verdict(raw)).toBe("token_invalid/jwt_payload");
  });
});

describe("the client", () => {
  test.each<[Claims, string]>([
    [{ client_id: "web" }, "ok"],
    [{ azp: "web" }, "ok"],
    [{ client_id: "web", azp: "other" }, "ok"],
    [{ client_id: "other", azp: "web" }, "token_invalid/jwt_client"],
    [{ azp: "WEB" }, "token_invalid/jwt_client"],
    [{ client_id: ["web"] }, "token_invalid/jwt_client"],
    [{ cid: "web" }, "token_invalid/jwt_client"],
    [{}, "token_invalid/jwt_client"],
  ])("%j is %s where the client has to be web", async (over, verdict) => {
    const { verdict: judge } = await running([keyPolicy([rsa], { clientId: "web" })]);
    expect(await judge(token(over))).toBe(verdict);
  });
});
