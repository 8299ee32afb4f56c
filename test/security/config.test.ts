// Configuration as the operator meets it: a bad file never starts a gateway, and says where it is bad.

import { describe, expect, test } from "vitest";
import { runCli } from "../support/gateway.ts";

const HEAD = `listen: 127.0.0.1:0
upstreams: { app: "http://127.0.0.1:1" }
issuers: { a: { issuer: "https://login.example.com", audience: x, jwks: keys.json } }
routes:
`;
const GOOD = `${HEAD}  - { match: /x, to: app, public: true }\n`;

const BAD: readonly (readonly [
  id: string,
  title: string,
  yaml: string | Buffer,
  line: number | undefined,
  env?: Record<string, string>,
])[] = [
  ["★Y01", "a syntax error", `${HEAD}  - { match: /x, to: app, public: true\n`, 5],
  ["★Y01", "a tab as indentation", `${HEAD}\t- { match: /x, to: app, public: true }\n`, 5],
  ["★Y01", "binary", Buffer.from([0, 1, 2, 0xff, 0xfe, 0x80]), 1],
  ["★Y01", "an empty file", "", 1],
  ["★Y01", "two documents", `${GOOD}---\n${GOOD}`, undefined],
  [
    "★Y02",
    "an alias bomb",
    `a: &a [x,x]\n${"bcdefghijk"
      .split("")
      .map((name, index) => `${name}: &${name} [*${"abcdefghij"[index]},*${"abcdefghij"[index]}]\n`)
      .join("")}${GOOD}`,
    undefined,
  ],
  ["★Y03", "deeply nested lists", `${HEAD}${"[".repeat(50_000)}`, undefined],
  ["★Y03", "deeply nested maps", `${HEAD}  - ${"{a: ".repeat(10_000)}`, undefined],
  ["★Y04", "a misspelt key of a route", `${HEAD}  - { match: /x, to: app, auth: [jwt], scope: [read] }\n`, 5],
  ["★Y04", "an unknown section", `${GOOD}secrets: {}\n`, 6],
  ["★Y04", "a duplicate key", `${HEAD}  - { match: /x, to: app, public: true, public: false }\n`, 5],
  ["★Y04", "a merge key", `${HEAD}  - { match: /x, to: app, <<: { public: true } }\n`, 5],
  ["★Y04", "an unknown tag", `${HEAD}  - { match: /x, to: app, public: !!js/function 'x' }\n`, 5],
  ["★Y07", "a missing variable", `${HEAD}  - { match: "\${NOT_SET}", to: app, public: true }\n`, 5],
  [
    "★Y09",
    "a regular expression as a pattern",
    `${HEAD}  - { match: "^/api/(.*)*/x$", to: app, public: true }\n`,
    5,
  ],
  [
    "★Y10",
    "two routes of equal rank",
    `${HEAD}  - { match: "/a/:x", to: app, public: true }\n  - { match: "/a/:y", to: app, auth: [jwt] }\n`,
    undefined,
  ],
  ["★Y11", "a route without a guard", `${HEAD}  - { match: /x, to: app }\n`, 5],
  [
    "★Y11",
    "a route with no scopes in its list",
    `${HEAD}  - { match: /x, to: app, auth: [jwt], scopes: [] }\n`,
    5,
  ],
  ["★Y11", "a route with no kinds in its list", `${HEAD}  - { match: /x, to: app, auth: [] }\n`, 5],
  ["★Y11", "a route that calls its guard none", `${HEAD}  - { match: /*, to: app, auth: none }\n`, 5],
  [
    "★J13",
    "a weak HMAC secret",
    `${HEAD.replace("jwks: keys.json", `secret: "\${WEAK}", algorithms: [HS256]`)}  - { match: /x, to: app, auth: [jwt] }\n`,
    3,
    { WEAK: "short" },
  ],
  [
    "★J04",
    "algorithms of two families",
    `${HEAD.replace("jwks: keys.json", "algorithms: [HS256, RS256]")}  - { match: /x, to: app, auth: [jwt] }\n`,
    3,
  ],
  [
    "★J04",
    "the algorithm none",
    `${HEAD.replace("jwks: keys.json", "algorithms: [none]")}  - { match: /x, to: app, auth: [jwt] }\n`,
    3,
  ],
  ["★H13", "trust in the whole Internet", `trustedProxies: [0.0.0.0/0]\n${GOOD}`, 1],
  ["★A01", "an API key in plain text", `apiKeys: [{ id: a, value: plain-text-key }]\n${GOOD}`, 1],
  [
    "Y19",
    "a key called __proto__",
    `${HEAD}  - { match: /x, to: app, public: true, __proto__: { public: true } }\n`,
    5,
  ],
];

const KEYS = {
  "keys.json":
    '{"keys":[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}]}',
};

describe("start", () => {
  test.each(
    BAD.map((row) => [row[0], row[1], row] as const),
  )("%s refuses %s, names the place and leaves no secret", async (_, __, [, , yaml, line, env]) => {
    const { code, signal, stdout, stderr, elapsedMs } = await runCli(["start", "-c", "gateway.yaml"], yaml, {
      files: KEYS,
      ...(env === undefined ? {} : { env }),
    });
    const said = stdout + stderr;
    expect([code, signal], said).toEqual([1, null]);
    expect(said).toMatch(
      line === undefined ? /gateway\.yaml:\d+:\d+/ : new RegExp(`gateway\\.yaml:${line}:\\d+`),
    );
    expect(said).not.toMatch(/plain-text-key|at .*\.ts:\d+/);
    expect(said).not.toContain('"listening"');
    expect(elapsedMs).toBeLessThan(6_000);
  });

  test.each([
    ["a folder", "."],
    ["a file that isn't there", "nothing.yaml"],
  ])("Y14 refuses %s as its file", async (_, path) => {
    const { code, stdout, stderr } = await runCli(["start", "-c", path], GOOD);
    expect(code).not.toBe(0);
    expect(stdout + stderr).not.toMatch(/at .*\.ts:\d+/);
  });
});

describe("check", () => {
  test("★Y01 says yes to a good file", async () => {
    expect((await runCli(["check", "-c", "gateway.yaml"], GOOD, { files: KEYS })).code).toBe(0);
  });

  test("Y16 says no to what start refuses", async () => {
    for (const [, title, yaml] of BAD.filter((_, index) => index % 5 === 0)) {
      expect((await runCli(["check", "-c", "gateway.yaml"], yaml, { files: KEYS })).code, title).toBe(1);
    }
  });
});
