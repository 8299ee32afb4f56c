// Access tokens, through the whole gateway: what is not exactly a valid token of a configured issuer opens nothing.

import { generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, expectAlive, runCases } from "../support/cases.ts";
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
  signRaw,
  signToken,
} from "../support/issuer.ts";
import { AUDIENCE, HMAC_ISSUER, type Rig, startRig } from "../support/rig.ts";

const rsa = makeKey("RS256", "rsa");
const ec = makeKey("ES256", "ec");
const stranger = makeKey("ES256", "stranger");
// An RSA key that says nothing about its algorithm, as many issuers publish it.
const untyped: SigningKey = { ...rsa, jwk: { ...rsa.jwk, alg: undefined } };
const symmetric = makeKey("HS256", "oct");
const privateEc = ((): SigningKey => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...privateKey.export({ format: "jwk" }), kid: "private", alg: "ES256", use: "sig" };
  return { alg: "ES256", kid: "private", signer: privateKey, pem: "", jwk };
})();

let rig: Rig;
let trap: Server;
let trapped = 0;
let trapUrl: string;

beforeAll(async () => {
  trap = createServer((socket) => {
    trapped++;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  // One address sends hundreds of bad tokens, and each has to get its own answer.
  rig = await startRig({
    keysA: [ec, untyped, symmetric, privateEc],
    sections: "failedCredentials: false",
  });
  const address = trap.address();
  trapUrl = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/k`;
});
afterAll(async () => {
  trap.close();
  await rig?.stop();
});

type Make = (one: Rig) => string;

/** One refused token, or several in one test when the list is long. */
function refused(
  id: string,
  title: string,
  token: Make,
  code: "token_invalid" | "token_expired" = "token_invalid",
): Case {
  return {
    id,
    title: `refuses ${title}`,
    request: (one) => ({ target: "/api/x", headers: { Authorization: `Bearer ${token(one)}` } }),
    expect: { status: 401, code, upstream: "untouched" },
    also: ({ first }) => expect(first?.header("www-authenticate")).toMatch(/^Bearer .*error="invalid_token"/),
  };
}

function accepted(id: string, title: string, token: Make, also?: Case["also"]): Case {
  return {
    id,
    title: `accepts ${title}`,
    request: (one) => ({ target: "/api/x", headers: { Authorization: `Bearer ${token(one)}` } }),
    expect: { status: 200, upstream: 1 },
    ...(also === undefined ? {} : { also }),
  };
}

const claims =
  (over: Claims): Make =>
  (one) =>
    one.token(over);
const header =
  (over: Claims): Make =>
  (one) =>
    one.token({}, over);
const now = (): number => Math.floor(Date.now() / 1000);
/** A correctly signed token with these very JSON texts. */
const raw =
  (payload: (one: Rig) => string | Uint8Array, head?: string): Make =>
  (one) =>
    one.canaries.token(
      "a token",
      signRaw(head ?? JSON.stringify({ alg: "ES256", kid: "ec" }), payload(one), ec),
    );
/** The usual claims with `name` written as this very JSON text. */
const written = (name: string, text: string): Make =>
  raw((one) => {
    const { [name]: _, ...rest } = one.claims();
    return `${JSON.stringify(rest).slice(0, -1)},"${name}":${text}}`;
  });

runCases(
  () => rig,
  [
    accepted("★J01", "a valid token, so that the refusals here mean something", claims({})),
    accepted("★J03", "RS256 under a key that names no algorithm", (one) => one.token({}, {}, rsa)),
    refused("★J03", "PS256 where it is not configured", (one) => one.token({}, {}, { ...rsa, alg: "PS256" })),
    refused("★J03", "RS512 where it is not configured", (one) => one.token({}, {}, { ...rsa, alg: "RS512" })),
    refused("★J03", "HS256 where it is not configured", (one) => one.token({}, { kid: "ec" }, symmetric)),
    refused("★J11", "HS256 under a symmetric key that the set holds", (one) => one.token({}, {}, symmetric)),
    refused("★J11", "a token under a key whose private half the set holds", (one) =>
      one.token({}, {}, privateEc),
    ),
    refused("★J08", "a token of issuer A signed with a key of issuer B", (one) =>
      one.token({}, {}, one.issuerB.key),
    ),
    refused("★J08", "a token of issuer B signed with a key of issuer A", (one) =>
      one.token({ iss: one.issuerB.issuer }),
    ),
    accepted("★J08", "a token of issuer B under its own key", (one) =>
      one.token({ iss: one.issuerB.issuer }, {}, one.issuerB.key),
    ),
    accepted("★J08", "a token of the HMAC issuer under its secret", (one) =>
      one.token({ iss: HMAC_ISSUER }, {}, one.hmacKey),
    ),
    refused("★J08", "a token of issuer A under the secret of the HMAC issuer", (one) =>
      one.token({}, {}, one.hmacKey),
    ),
    ...[
      "../../../../dev/null",
      "' OR '1'='1",
      "k".repeat(5_000),
      "",
      null,
      {},
      [],
      1,
      "__proto__",
      "constructor",
      "ec\u0000",
    ].map((kid) => refused("J07", `kid ${JSON.stringify(kid).slice(0, 30)}`, header({ kid }))),
    ...[["x"], [], "exp", ["exp"], ["exp", "exp"], ["b64"]].map((crit) =>
      refused("J14", `crit ${JSON.stringify(crit)}`, header({ crit, b64: false, x: 1 })),
    ),
    refused("J14", "an unencoded payload without crit", header({ b64: false })),
    ...["dpop+jwt", "logout+jwt", "JWE", "secevent+jwt", "application/dpop+jwt", "", 1].map((typ) =>
      refused("★J16", `typ ${JSON.stringify(typ)}`, header({ typ })),
    ),
    refused("★J16", "an ID token with a nonce", (one) => one.token({ nonce: "n" }, { typ: "JWT" })),
    refused("★J16", "an ID token with at_hash", (one) => one.token({ at_hash: "h" }, { typ: undefined })),
    ...["at+jwt", "AT+JWT", "application/at+jwt", "JWT", undefined].map((typ) =>
      accepted("★J16", `typ ${JSON.stringify(typ)}`, header({ typ })),
    ),
    refused("★J17", "a token without exp", claims({ exp: undefined })),
    refused("★J18", "a token that expires now", (one) => one.token({ exp: now() }), "token_expired"),
    refused(
      "★J18",
      "a token that expired a second ago",
      (one) => one.token({ exp: now() - 1 }),
      "token_expired",
    ),
    accepted("★J18", "a token with two more seconds", (one) => one.token({ exp: now() + 2 })),
    ...['"9999999999"', "null", "true", "[1]", "-1", "1e400", "{}", '""', "NaN"].map((text): Case => {
      const one = refused("★J19", `exp ${text}`, written("exp", text));
      // A number in the past is honestly expired; everything else is no date at all.
      return text === "-1" ? { ...one, expect: { status: 401, upstream: "untouched" } } : one;
    }),
    refused("J20", "nbf in a minute", (one) => one.token({ nbf: now() + 60 })),
    refused("J20", "nbf as a string", (one) => one.token({ nbf: String(now()) })),
    refused("J20", "iat in an hour", (one) => one.token({ iat: now() + 3_600 })),
    ...[
      undefined,
      AUDIENCE.toUpperCase(),
      ["x"],
      [[AUDIENCE]],
      1,
      { "0": AUDIENCE },
      [AUDIENCE, { a: 1 }],
      `${AUDIENCE}.evil`,
      "",
      [],
      `${AUDIENCE} x`,
      [AUDIENCE, 1],
      null,
    ].map((aud) => refused("★J21", `aud ${JSON.stringify(aud)}`, claims({ aud }))),
    accepted("★J21", "an audience among others", claims({ aud: ["x", AUDIENCE] })),
    refused("J22", "an issuer with a last slash", (one) => one.token({ iss: `${one.issuerA.issuer}/` })),
    refused("J22", "an issuer in capitals", (one) =>
      one.token({ iss: one.issuerB.issuer.toUpperCase() }, {}, one.issuerB.key),
    ),
    refused("J22", "an issuer in a list", (one) => one.token({ iss: [one.issuerA.issuer] })),
    refused("J22", "an issuer with a look-alike letter", (one) =>
      one.token({ iss: one.issuerB.issuer.replace("e", "\u0435") }, {}, one.issuerB.key),
    ),
    refused("J22", "no issuer", claims({ iss: undefined })),
    ...[
      1,
      {},
      [],
      undefined,
      "",
      null,
      true,
      "a\r\nX-User-Scopes: admin",
      "a\u0000",
      "a\nb",
      "\u0007",
      "x".repeat(10_000),
    ].map((sub) => refused("★J23", `sub ${JSON.stringify(sub)?.slice(0, 30)}`, claims({ sub }))),
    ...[
      ["日本", "%E6%97%A5%E6%9C%AC"],
      ["é", "%C3%A9"],
      [" padded ", "%20padded%20"],
      ["100%", "100%25"],
      ["a b", "a b"],
      ["\ud800", undefined],
    ].map(
      ([sub, wanted]): Case => ({
        id: "★J23",
        title: `renders sub ${JSON.stringify(sub)} header-safe or refuses it`,
        request: (one) => ({ target: "/api/x", headers: one.bearer({ sub }) }),
        expect: wanted === undefined ? { status: [200, 401], upstream: 1 } : { status: 200, upstream: 1 },
        also: ({ seen }) => {
          if (wanted !== undefined) expect(seen[0]?.header("x-user-id")).toBe(wanted);
          expect(seen[0]?.header("x-user-id") ?? "").toMatch(/^[\x20-\x7e]*$/);
        },
      }),
    ),
    accepted(
      "J25",
      "claims named like members of every object and takes nothing from them",
      written(
        "__proto__",
        '{"scope":"admin","sub":"admin"},"constructor":1,"toString":"x","hasOwnProperty":true',
      ),
      ({ seen }) =>
        expect([seen[0]?.header("x-user-id"), seen[0]?.header("x-user-scopes")]).toEqual(["user-1", "read"]),
    ),
    ...[
      "admin2",
      "xadmin",
      "read\tadmin",
      ["read admin"],
      { admin: true },
      "ADMIN",
      "admin:",
      "adm*",
      "",
      1,
      null,
      [["admin"]],
      "read,admin",
      "read\u00a0admin",
    ].map(
      (scope): Case => ({
        id: "★J26",
        title: `finds no admin scope in ${JSON.stringify(scope)}`,
        request: (one) => ({ target: "/admin/x", headers: one.bearer({ scope }) }),
        expect: { status: [401, 403], upstream: "untouched" },
      }),
    ),
    {
      id: "★J26",
      title: "names all missing scopes in the challenge",
      request: (one) => ({ target: "/admin/x", headers: one.bearer() }),
      expect: { status: 403, code: "scope_insufficient", upstream: "untouched" },
      also: ({ first }) => {
        expect(first?.header("www-authenticate")).toContain('error="insufficient_scope"');
        expect(first?.json.requiredScopes).toEqual(["admin"]);
      },
    },
    refused("J28", "claims nested 3,000 deep", written("deep", `${"[".repeat(3_000)}${"]".repeat(3_000)}`)),
    refused("J28", "a header nested 3,000 deep", (one) =>
      signRaw(
        `{"alg":"ES256","kid":"ec","x":${"[".repeat(3_000)}${"]".repeat(3_000)}}`,
        JSON.stringify(one.claims()),
        ec,
      ),
    ),
    refused(
      "J29",
      "a token of five parts",
      (one) =>
        `${base64url('{"alg":"dir","enc":"A256GCM","zip":"DEF"}')}..${base64url("iv")}.${one.token().slice(0, 40)}.${base64url("tag")}`,
    ),
    refused(
      "J29",
      "an encrypted one that wants billions of rounds",
      () =>
        `${base64url('{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}')}.AAAA.AAAA.AAAA.AAAA`,
    ),
    refused("J29", "a nested one", (one) =>
      signRaw('{"alg":"ES256","kid":"ec","cty":"JWT"}', one.token(), ec),
    ),
    {
      id: "★J34",
      title: "refuses two Authorization lines",
      request: (one) => ({
        target: "/api/x",
        headers: [...Object.entries(one.bearer()), ...Object.entries(one.bearer({ sub: "other" }))],
      }),
      expect: { status: 400, code: "credentials_ambiguous", upstream: "untouched" },
    },
    {
      id: "★J34",
      title: "refuses two equal Authorization lines in two spellings",
      request: (one) => {
        const { Authorization } = one.bearer();
        return {
          target: "/api/x",
          headers: [
            ["authorization", Authorization],
            ["AUTHORIZATION", Authorization],
          ],
        };
      },
      expect: { status: 400, upstream: "untouched" },
    },
    ...["access_token", "acces%73_token", "%61ccess_token"].map(
      (name): Case => ({
        id: "★J34",
        title: `refuses a second token as the query parameter ${name}`,
        request: (one) => ({
          target: `/api/x?${name}=${one.token({ sub: "other" })}`,
          headers: one.bearer(),
        }),
        expect: { status: 400, code: "credentials_ambiguous", upstream: "untouched" },
      }),
    ),
    {
      id: "★J34",
      title: "refuses a second token in X-Forwarded-Access-Token",
      request: (one) => ({
        target: "/api/x",
        headers: { ...one.bearer(), "X-Forwarded-Access-Token": one.token({ sub: "other" }) },
      }),
      expect: { status: 400, upstream: "untouched" },
    },
    {
      id: "★J34",
      title: "refuses two tokens joined by a comma",
      request: (one) => ({
        target: "/api/x",
        headers: { Authorization: `Bearer ${one.token()}, Bearer ${one.token({ sub: "other" })}` },
      }),
      expect: { status: [400, 401], upstream: "untouched" },
    },
    ...["bearer", "BEARER", "bEaReR"].map(
      (scheme): Case => ({
        id: "J35",
        title: `takes the scheme ${scheme} for Bearer`,
        request: (one) => ({ target: "/api/x", headers: { Authorization: `${scheme} ${one.token()}` } }),
        expect: { status: 200, upstream: 1 },
      }),
    ),
    ...[["Bearer\t"], ["Bearer x "], ["Token "], ["Basic "], ["Bearer:"], ["DPoP "], ["Bearer=", ""]].map(
      ([prefix]): Case => ({
        id: "J35",
        title: `takes ${JSON.stringify(prefix)} before a token for no Bearer credential`,
        request: (one) => ({ target: "/api/x", headers: { Authorization: `${prefix}${one.token()}` } }),
        expect: { status: [400, 401], upstream: "untouched" },
      }),
    ),
    ...["Bearer", "Bearer ", "Bearer x y"].map(
      (value): Case => ({
        id: "J35",
        title: `refuses ${JSON.stringify(value)}`,
        request: { target: "/api/x", headers: { Authorization: value } },
        expect: { status: [400, 401], upstream: "untouched" },
      }),
    ),
    {
      id: "★J36",
      title: "takes no token from the query and writes it nowhere",
      request: (one) => ({
        target: `/api/x?access_token=${one.token()}&id_token=${one.token({ sub: "two" })}`,
      }),
      expect: { status: 401, code: "credentials_missing", upstream: "untouched" },
      also: ({ rig: one, first }) => {
        one.assertQuiet();
        expect(first?.header("www-authenticate")).not.toContain("error=");
      },
    },
  ],
);

/** Sends many tokens, a few at a time, and wants 401 for every one and silence at the upstream. */
async function allRefused(tokens: readonly string[]): Promise<void> {
  const mark = rig.recorder.mark();
  const wrong: string[] = [];
  for (let at = 0; at < tokens.length; at += 10) {
    const batch = tokens.slice(at, at + 10);
    const answers = await Promise.all(
      batch.map((token) => rig.call({ target: "/api/x", headers: { Authorization: `Bearer ${token}` } })),
    );
    for (const [index, { status }] of answers.entries()) {
      // A header that HTTP itself forbids is a malformed request; a comma or nothing after the scheme a malformed credential.
      if (status !== 401 && status !== 400) wrong.push(`${status} for ${JSON.stringify(batch[index])}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(rig.recorder.since(mark)).toEqual({ requests: 0, connections: 0, bytes: 0 });
  await expectAlive(rig);
  rig.assertQuiet();
}

describe("families of forged tokens", () => {
  test("★J01 refuses every spelling of an unsigned token", () => allRefused(forgeUnsigned(rig.claims())));

  test("★J02 refuses HS256 under every form of a public key", async () => {
    await allRefused([
      ...forgeHmacFromPublicKey(rig.claims(), rsa),
      ...forgeHmacFromPublicKey(rig.claims(), ec),
    ]);
  });

  test("★J05 ★J06 uses no key and follows no address of a token's own header", async () => {
    await allRefused(forgeHeaderKeys(rig.claims(), stranger, "ec", trapUrl));
    await sleep(50);
    expect(trapped).toBe(0);
  });

  test("★J30 refuses every other spelling of a valid token", async () => {
    for (const key of [ec, rsa]) {
      const token = rig.token({}, {}, key);
      // The token is warm in any cache while its twins are tried.
      expect(
        (await rig.call({ target: "/api/x", headers: { Authorization: `Bearer ${token}` } })).status,
      ).toBe(200);
      const twins = forgeSpellings(token).filter((twin) => twin.trim() !== token);
      expect(twins.length).toBeGreaterThan(40);
      await allRefused(twins);
    }
  });

  test("J32 refuses every bad signature", async () => {
    await allRefused([...forgeSignatures(rig.token(), ec), ...forgeSignatures(rig.token({}, {}, rsa), rsa)]);
  });

  test("J28 refuses duplicate members and text that is no JSON object", async () => {
    const good = JSON.stringify(rig.claims());
    await allRefused([
      signRaw('{"alg":"none","alg":"ES256","kid":"ec"}', good, ec),
      signRaw('{"alg":"ES256","kid":"ec"}', `{"scope":"admin",${good.slice(1)}`, ec),
      ...["[]", "null", '"x"', "1", "", "{", "{}x", '{"a":1}{"b":2}', "\ufeff{}"].flatMap((text) => [
        signRaw('{"alg":"ES256","kid":"ec"}', text, ec),
        signRaw(text, good, ec),
      ]),
      signRaw('{"alg":"ES256","kid":"ec"}', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), ec),
      `{"payload":"${base64url(good)}","signatures":[]}`,
    ]);
  });

  test("J28 refuses a token that is larger than any token", async () => {
    for (const size of [14_000, 15_900]) {
      const answer = await rig.call({
        target: "/api/x",
        headers: { Authorization: `Bearer ${signToken({ ...rig.claims(), pad: "p".repeat(size) }, ec)}` },
      });
      expect([401, 431]).toContain(answer.status);
    }
    await expectAlive(rig);
  });
});
