import { describe, expect, test } from "vitest";
import { coverageOf } from "../../../src/review/tests/coverage.ts";
import { junitText } from "../../../src/review/tests/junit.ts";
import { runTests } from "../../../src/review/tests/run-tests.ts";
import { tapText } from "../../../src/review/tests/tap.ts";
import { load } from "../../support/config.ts";
import { runCli } from "../../support/gateway.ts";

const FILE = `issuers:
  corp: { issuer: https://login.example.com/, audience: modules-api }
apiKeys:
  - { id: ci-bot, hash: "sha256:9695a918e1ac586fd55881e3d754e756fa52c8d81696d6345a2594004b9dfbe0", scopes: [modules:read] }
upstreams:
  modules: { url: http://127.0.0.1:9000/base }
routes:
  - match: GET /modules
    to: modules
    auth: [jwt, apiKey]
    scopes: [modules:read]
    limit: 100/min per user
  - { match: "DELETE,PUT /modules/:id", to: modules, auth: [jwt, apiKey], scopes: [modules:write] }
  - match: /hook/*
    to: modules
    public: true
    stripPrefix: /hook
    headers: { request: { set: { X-Upstream-Pass: "\${PASS:-upstream-pass-5150}" } } }
  - { match: grpc shop.Cart/Add, to: modules, auth: [jwt] }
  - { match: GET /trial, to: modules, auth: [jwt], scopes: [admin], observe: [scopes] }
`;
// As the contract has them.
const CONTRACT = `tests:
  - { request: GET /modules, as: { scopes: [modules:read] }, expect: { status: 200, upstream: modules, headers: { X-User-Id: test } } }
  - { request: GET /modules, expect: 401 }
  - { request: DELETE /modules/7, as: { key: ci-bot }, expect: { status: 403, code: scope_insufficient } }
`;
const clock = { wallMs: () => 1_800_000_000_000, steadyMs: () => 0 };

const run = async (tests: string) => {
  const config = await load(FILE + tests);
  return { config, report: await runTests(config, clock) };
};
const one = async (entry: string) => {
  const [result] = (await run(`tests:\n  - ${entry}\n`)).report.results;
  if (result === undefined) throw new Error("no test ran");
  return result;
};

test("the examples of the contract pass", async () => {
  const { report } = await run(CONTRACT);
  expect(report.results.map(({ ok, name, line }) => [ok, name, line])).toEqual([
    [true, "GET /modules as scopes modules:read", 22],
    [true, "GET /modules", 23],
    [true, "DELETE /modules/7 as the key ci-bot", 24],
  ]);
  expect(report.failed).toBe(0);
});

describe("what a test can expect holds, and is noticed when it doesn't", () => {
  const MODULES = "request: GET /modules, as: { subject: alice, scopes: [modules:read] }";
  test.each([
    ["request: GET /hook/a?x=1", "status: 200", "status: 401"],
    ["request: GET /hook/a?x=1", "path: /base/a?x=1", "path: /a"],
    ["request: GET /hook/a", "headers: { X-User-Id: false }", "headers: { X-User-Id: test }"],
    [MODULES, "route: GET /modules", "route: GET /trial"],
    [MODULES, "headers: { X-User-Id: alice, authorization: false }", "headers: { X-User-Id: bob }"],
    [
      MODULES,
      "response: { RateLimit-Limit: 100, ratelimit-remaining: 99 }",
      "response: { RateLimit-Limit: 99 }",
    ],
    [`${MODULES}, times: 100`, "remaining: 0", "remaining: 1"],
    [`${MODULES}, times: 101`, "{ code: rate_limited, limit: GET /modules }", "status: 200"],
    [MODULES, 'limitKey: "user:alice"', 'limitKey: "user:bob"'],
    [MODULES, 'limitKey: "user:https://login.example.com/|alice"', 'limitKey: "key:ci-bot"'],
    [
      "request: POST /modules",
      "{ status: 405, response: { Allow: 'GET, HEAD' } }",
      "response: { Allow: POST }",
    ],
    ["request: grpc shop.Cart/Add", "{ status: 401, grpcStatus: 16 }", "grpcStatus: 7"],
    ["request: GET /trial, as: {}", "{ status: 200, observed: [scope_insufficient] }", "observed: []"],
    ["request: GET /healthz", "status: 200", "status: 404"],
    [
      "request: { path: /modules, headers: { X-API-Key: nonsense } }",
      "code: api_key_invalid",
      "code: credentials_missing",
    ],
  ])("%s: %s, not %s", async (request, right, wrong) => {
    const braced = (expected: string): string => (expected.startsWith("{") ? expected : `{ ${expected} }`);
    expect(await one(`{ ${request}, expect: ${braced(right)} }`)).toMatchObject({ ok: true, mismatches: [] });
    const failed = await one(`{ ${request}, expect: ${braced(wrong)} }`);
    expect(failed.ok).toBe(false);
    expect(failed.why).toMatch(/\S/);
  });
});

test("every test has counters of its own", async () => {
  const entry =
    "{ request: GET /modules, as: { scopes: [modules:read] }, times: 100, expect: { status: 200, remaining: 0 } }";
  expect((await run(`tests:\n${`  - ${entry}\n`.repeat(3)}`)).report.failed).toBe(0);
});

test("a thousand tests take less than a second", async () => {
  const { config } = await run(
    `tests:\n${"  - { request: GET /modules, as: { scopes: [modules:read] }, expect: 200 }\n".repeat(1_000)}`,
  );
  const before = process.cpuUsage();
  expect((await runTests(config, clock)).failed).toBe(0);
  // The time of this process alone: the machine may be busy with others.
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1_000).toBeLessThan(1_000);
});

test("a failure shows neither a credential nor what a route sets", async () => {
  const { report } = await run(
    `tests:\n  - { request: GET /hook/x, expect: { headers: { X-Upstream-Pass: other, Authorization: "Bearer t-771" } } }\n`,
  );
  expect(report.failed).toBe(1);
  expect(JSON.stringify(report)).not.toMatch(/5150|t-771/);
});

test("coverage tells untouched methods and guards that were tried from one side", async () => {
  const { config, report } = await run(CONTRACT);
  const { routes, touched, total, percent } = coverageOf(config, report.results);
  expect([touched, total, percent]).toEqual([2, 6, 33]);
  expect(routes.map(({ state }) => state)).toEqual(["full", "partial", "none", "none", "none"]);
  expect(routes[1]?.methods).toEqual([
    { method: "DELETE", allowed: false, denied: true },
    { method: "PUT", allowed: false, denied: false },
  ]);
});

describe("reports for machines", () => {
  const ODD = `tests:\n  - { request: GET /modules, expect: 200, name: "a <b> & \\"c\\" # \\e[31m \\u0001" }\n`;

  test("JUnit holds no character that XML can't", async () => {
    const text = junitText((await run(ODD)).report, 0.5);
    expect(text).toContain('name="a &lt;b&gt; &amp; &quot;c&quot; # \ufffd[31m \ufffd"');
    expect(text).toContain('tests="1" failures="1"');
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
  });

  test("TAP takes no name for a directive", async () => {
    expect(tapText((await run(ODD)).report)).toMatch(
      /^TAP version 14\n1\.\.1\nnot ok 1 - a <b> & "c" \\# \?\[31m \?\n {2}---\n/,
    );
  });
});

describe("gatewarden test", () => {
  test("exits with 0 when all pass, 1 when one fails, 2 when nothing fits the filter", async () => {
    const [good, bad, none] = await Promise.all([
      runCli(["test"], FILE + CONTRACT),
      runCli(["test"], `${FILE}${CONTRACT}  - { request: GET /modulez, expect: 200, name: gone }\n`),
      runCli(["test", "--filter", "nothing like it"], FILE + CONTRACT),
    ]);
    expect([good.code, bad.code, none.code]).toEqual([0, 1, 2]);
    expect(good.stdout).toMatch(/^3 passed of 3 tests in \d+ ms; 2 of 6 routes and methods touched \(33 %\)/);
    expect(bad.stdout).toMatch(
      /^FAILED gone {2}gateway\.yaml:25\n {2}- status {2}200\n {2}\+ status {2}404\n {2}why: no route matches; the nearest is GET \/modules \(line 8\)\n/,
    );
  });

  test("asks for tests where there are none, and proposes such that pass", async () => {
    const [hint, proposal] = await Promise.all([runCli(["test"], FILE), runCli(["test", "--suggest"], FILE)]);
    expect([hint.code, proposal.code]).toEqual([0, 0]);
    expect(hint.stdout).toContain("has no tests");
    const all = await runCli(["test", "--min-coverage", "100%", "--coverage"], FILE + proposal.stdout);
    expect([all.code, all.stdout]).toEqual([
      0,
      expect.stringContaining("6 of 6 routes and methods touched (100 %)"),
    ]);
  });

  test("exits with 1 when the tests touch too little", async () => {
    const { code, stderr } = await runCli(["test", "--min-coverage", "34"], FILE + CONTRACT);
    expect([code, stderr]).toEqual([1, expect.stringContaining("the tests touch 33 %")]);
  });
});
