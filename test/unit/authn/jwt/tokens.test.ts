// What a token must be, case by case; ids as in the catalogue of attacks.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { IssuerPolicy } from "../../../../src/authn/jwt/policy.ts";
import {
  base64url,
  type Claims,
  forgeHeaderKeys,
  forgeHmacFromPublicKey,
  forgeSignatures,
  forgeSpellings,
  forgeUnsigned,
  makeKey,
  type SigningKey,
  signature,
  signRaw,
  signToken,
  TestIssuer,
} from "../../../support/issuer.ts";
import { issuerPolicy, keyPolicy, type RunningVerifier, startVerifier } from "../../../support/verifier.ts";

const NOW = 1_800_000_000;
const rsa = makeKey("RS256", "a-rsa");
const ec = makeKey("ES256", "a-ec");
const stranger = makeKey("RS256", "a-rsa");

const USUAL: Claims = {
  iss: "https://login.example.com/",
  sub: "user-1",
  aud: "modules-api",
  iat: NOW - 10,
  exp: NOW + 300,
};
const claims = (over: Claims = {}): Claims => ({ ...USUAL, ...over });
const token = (over: Claims = {}, header: Claims = {}, key: SigningKey = rsa) =>
  signToken(claims(over), key, header);

const started: RunningVerifier[] = [];

async function running(policies: readonly IssuerPolicy[]): Promise<RunningVerifier> {
  const verifier = await startVerifier(policies);
  verifier.clock.frozenWallMs = NOW * 1000;
  started.push(verifier);
  return verifier;
}

let corp: RunningVerifier;

beforeAll(async () => {
  corp = await running([keyPolicy([rsa, ec])]);
});

afterAll(() => {
  for (const { verifier } of started) verifier.stop();
});

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

describe("time", () => {
  const at = async (over: Claims, leewaySeconds: number, nowMs = NOW * 1000) => {
    const verifier = await running([keyPolicy([rsa], { leewaySeconds })]);
    verifier.clock.frozenWallMs = nowMs;
    return verifier.verdict(token({ iat: undefined, ...over }));
  };

  test("J17 a token without exp is refused", async () => {
    expect(await at({ exp: undefined }, 0)).toBe("token_invalid/jwt_exp");
  });

  test.each([
    [0, -1, "token_expired/jwt_expired"],
    [0, 0, "token_expired/jwt_expired"],
    [0, 0.5, "ok"],
    [0, 1, "ok"],
    [30, -31, "token_expired/jwt_expired"],
    [30, -30, "token_expired/jwt_expired"],
    [30, -29, "ok"],
  ])("J18 with a leeway of %i s a token whose exp is now%+d is %s", async (leeway, offset, verdict) => {
    expect(await at({ exp: NOW + offset }, leeway)).toBe(verdict);
  });

  test.each([
    `"${NOW + 300}"`,
    "null",
    "true",
    "[1]",
    "{}",
    "1e400",
    "-1e400",
    "253402300800",
  ])("J19 exp %s is refused", async (exp) => {
    const payload = JSON.stringify(claims({ exp: 0 })).replace('"exp":0', `"exp":${exp}`);
    const raw = signRaw(JSON.stringify({ alg: "RS256", kid: rsa.kid }), payload, rsa);
    expect(await corp.verdict(raw)).toBe("token_invalid/jwt_exp");
  });

  test("J19 a negative exp has long expired", async () => {
    expect(await at({ exp: -1 }, 0)).toBe("token_expired/jwt_expired");
  });

  test.each([
    [{ nbf: NOW + 1 }, 0, "token_invalid/jwt_not_yet_valid"],
    [{ nbf: NOW }, 0, "ok"],
    [{ nbf: NOW + 30 }, 30, "ok"],
    [{ nbf: NOW + 31 }, 30, "token_invalid/jwt_not_yet_valid"],
    [{ nbf: `${NOW}` }, 0, "token_invalid/jwt_nbf"],
    [{ nbf: null }, 0, "token_invalid/jwt_nbf"],
    [{ iat: NOW + 3600 }, 30, "token_invalid/jwt_issued_ahead"],
    [{ iat: NOW + 30 }, 30, "ok"],
    [{ iat: `${NOW}` }, 0, "token_invalid/jwt_iat"],
    [{ iat: NOW - 63_072_000 }, 0, "ok"],
  ])("J20 %j with a leeway of %i s is %s", async (over, leeway, verdict) => {
    expect(await at(over, leeway)).toBe(verdict);
  });

  test.each([
    0, 30,
  ])("a remembered token is refused from the very millisecond that a new one is, with %i s leeway", async (leewaySeconds) => {
    const verifier = await running([keyPolicy([rsa], { leewaySeconds })]);
    const known = token({ exp: NOW + 60, nbf: NOW - 60, iat: undefined });
    const endMs = (NOW + 60 + leewaySeconds) * 1000;
    const startMs = (NOW - 60 - leewaySeconds) * 1000;
    expect(await verifier.verdict(known)).toBe("ok");
    for (const [atMs, verdict] of [
      [endMs - 1, "ok"],
      [endMs, "token_expired/jwt_expired"],
      [startMs, "ok"],
      [startMs - 1, "token_invalid/jwt_not_yet_valid"],
    ] as const) {
      verifier.clock.frozenWallMs = atMs;
      expect(await verifier.verdict(known)).toBe(verdict);
      const fresh = await running([keyPolicy([rsa], { leewaySeconds })]);
      fresh.clock.frozenWallMs = atMs;
      expect(await fresh.verdict(known)).toBe(verdict);
    }
  });

  test("J46 a wall clock that jumps changes verdicts and nothing else", async () => {
    const verifier = await running([keyPolicy([rsa])]);
    const good = token({ iat: undefined });
    expect(await verifier.verdict(good)).toBe("ok");
    verifier.clock.wallOffsetMs = 3_600_000;
    expect(await verifier.verdict(good)).toBe("token_expired/jwt_expired");
    verifier.clock.wallOffsetMs = -3_600_000;
    expect(await verifier.verdict(good)).toBe("ok");
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
