// `gatewarden explain` as people run it: its exit codes, what it shows, and what it never shows.

import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { formatKey } from "../../src/authn/api-key/format.ts";
import type { Explanation } from "../../src/pipeline/explanation.ts";
import { Canaries } from "../support/canary.ts";
import { type Finished, runCli, startGateway, type TestGateway } from "../support/gateway.ts";
import { makeKey, TestIssuer } from "../support/issuer.ts";
import { exchange } from "../support/raw-client.ts";

const canaries = new Canaries();
const KEY = canaries.add("the key", formatKey("live"));
const SECRET = canaries.make("the secret", 48);
const UTF8 = { LANG: "C.UTF-8" };
let issuer: TestIssuer;
let yaml: string;
let gateway: TestGateway | undefined;

beforeAll(async () => {
  issuer = await TestIssuer.start({ keys: [makeKey("ES256")], audience: "api" });
  yaml = `listen: 127.0.0.1:0
trustedProxies: [10.0.0.0/8]
failedCredentials: { limit: 3/h, backoff: 10m }
issuers:
  corp: { issuer: "${issuer.issuer}", jwksUri: "${issuer.jwksUri}", audience: api, algorithms: [ES256] }
apiKeys:
  - { id: bot, value: "\${KEY}", scopes: ["a:*"] }
upstreams: { app: http://127.0.0.1:9/v1 }
routes:
  - match: GET /a/:id
    to: app
    auth: [jwt, apiKey]
    scopes: [a:read]
    limit: 2/h per user
    headers: { request: { set: { X-Upstream: "\${SECRET}" } } }
  - { match: DELETE /a/:id, to: app, auth: [jwt], scopes: [a:read, a:delete], require: { claims.org.id: ":id" } }
  - { match: GET /modules, to: app, public: true }
`;
});

afterAll(() => issuer.stop());

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
});

async function run(
  args: readonly string[],
  over: { readonly file?: string; readonly env?: object } = {},
): Promise<Finished> {
  const done = await runCli(["explain", ...args], over.file ?? yaml, {
    env: { KEY, SECRET, ...UTF8, ...over.env },
    files: {
      "key.txt": `${KEY}\n`,
      "token.txt": canaries.token("a token", issuer.token({ scope: "a:read" })),
    },
  });
  canaries.assertNoCanary({ stdout: done.stdout, stderr: done.stderr });
  return done;
}

async function json(args: readonly string[]): Promise<Explanation> {
  return JSON.parse((await run([...args, "--format", "json"])).stdout) as Explanation;
}

describe("the exit code", () => {
  test.each([
    [0, ["GET", "/modules"]],
    [0, ["GET", "/a/7", "--key", "@key.txt"]],
    [1, ["GET", "/a/7"]],
    [1, ["GET", "/nowhere"]],
    [2, ["GET", "/a/7", "--key-id", "nobody"]],
    [2, ["GET", "/a/7", "--key-id", "bot", "--as", "a:read"]],
    [2, ["GET", "/a/7", "-H", "no colon"]],
    [2, ["GET", "/a/7", "--ip", "nowhere"]],
    [2, ["GET", "/a/7", "--token", "@missing.txt"]],
    [2, ["GET"]],
    [2, ["GET", "/a/7", "--live"]],
  ])("is %i for %j", async (code, args) => {
    const done = await run(args);
    expect(done.code).toBe(code);
    expect(code === 2 ? done.stderr : done.stdout).not.toBe("");
  });

  test("is 2 for an invalid file, with what is wrong", async () => {
    const { code, stderr } = await run(["GET", "/a"], { file: "routes: []\n" });
    expect(code).toBe(2);
    expect(stderr).toMatch(/gateway\.yaml:1:/);
  });
});

describe("the text", () => {
  test("tells at once why somebody gets a 403, and where", async () => {
    const { stdout } = await run(["DELETE", "/a/7", "--as", "a:read", "--claim", "org.id=8"]);
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("DELETE /a/7 → 403 Forbidden: scope_insufficient");
    expect(lines[1]).toMatch(/lacks a scope.*: a:delete$/);
    expect(stdout).toMatch(/✓ route +DELETE \/a\/:id +gateway\.yaml:16/);
    expect(stdout).toMatch(/✗ permission +✗ scopes: needs a:read and a:delete; holds a:read; lacks a:delete/);
    expect(stdout).toMatch(/✗ require: claims\.org\.id.*\(:id = 7\)/);
    expect(stdout).not.toContain("org.id=8");
  });

  test("is plain ASCII where the locale is, and in colour only when asked for", async () => {
    const plain = await run(["GET", "/a/7"], { env: { LANG: "C" } });
    expect(plain.stdout).toMatch(/^[\n\x20-\x7e]+$/);
    expect(plain.stdout).toContain("GET /a/7 -> 401");
    const painted = await run(["GET", "/a/7"], { env: { FORCE_COLOR: "1" } });
    expect(painted.stdout).toContain("\x1b[31m");
  });

  test("stays within a terminal's width but for what can't be broken", async () => {
    const { stdout } = await run([
      "GET",
      "/a/7",
      "--key",
      "@key.txt",
      "-H",
      "X-User-Id: evil",
      "-H",
      "Connection: close, X-Foo",
    ]);
    expect(stdout.split("\n").filter((line) => line.length > 120)).toEqual([]);
    expect(stdout).toContain("x-api-key gwk_live_…");
    expect(stdout).toContain("route    X-Upstream: …");
    expect(stdout).toContain("not passed on: X-User-Id (identity), Connection (hop by hop)");
  });

  test("shows no control character of what was asked", async () => {
    const { stdout } = await run(["GET", "/modules", "-H", "X-Odd: a\x1b[31mb\x07"]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });

  test("is what docs/EXPLAIN.md shows", async () => {
    const page = readFileSync(new URL("../../docs/EXPLAIN.md", import.meta.url), "utf8");
    const file = /```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
    const [, command = "", shown] = /```console\n\$ gatewarden explain (.*)\n([\s\S]*?)```/.exec(page) ?? [];
    const { stdout, code } = await run(command.split(" "), { file });
    expect(code).toBe(1);
    expect(stdout).toBe(shown);
  });
});

describe("the JSON", () => {
  test("names the rule that a target broke, and the character", async () => {
    const { request, verdict } = await json(["GET", "/a/%2e%2e/b?token=abc"]);
    expect(verdict).toMatchObject({ decision: "refuse", status: 400, reason: "dot_segment" });
    expect(request).toMatchObject({ target: "/a/%2e%2e/b?token=…", fault: { reason: "dot_segment", at: 3 } });
  });

  test("names the nearest routes and why they missed", async () => {
    const { routing } = await json(["GET", "/module"]);
    expect(routing).toMatchObject({
      outcome: "none",
      nearMisses: [
        {
          pattern: "GET /modules",
          line: 17,
          why: { kind: "path", segment: 1, expected: "modules", got: "module" },
        },
      ],
    });
    expect((await json(["PUT", "/a/7"])).routing).toMatchObject({
      outcome: "method_not_allowed",
      allow: ["DELETE", "GET", "HEAD"],
      nearMisses: [{ line: 10, why: { kind: "method", methods: ["GET"] } }, { line: 16 }],
    });
    expect((await json(["PUT", "/a/7", "--near", "1"])).routing?.nearMisses).toHaveLength(1);
  });

  test("tells whence the client's address is known", async () => {
    const forwarded = ["-H", "X-Forwarded-For: 192.0.2.7"];
    const believed = await json(["GET", "/modules", "--ip", "10.1.2.3", ...forwarded]);
    expect(believed.request.client).toEqual({
      address: "192.0.2.7",
      peer: "10.1.2.3",
      peerTrusted: true,
      from: "x-forwarded-for",
    });
    const ignored = await json(["GET", "/modules", "--ip", "192.0.2.1", ...forwarded]);
    expect(ignored.request.client).toEqual({
      address: "192.0.2.1",
      peer: "192.0.2.1",
      peerTrusted: false,
      from: "peer",
    });
  });

  test("tells which held scope covers a needed one, and what the upstream would get", async () => {
    const { authorization, upstream, limits } = await json([
      "GET",
      "/a/7",
      "--key-id",
      "bot",
      "-H",
      "Cookie: a=b",
    ]);
    expect(authorization?.scopes).toMatchObject({
      met: "yes",
      needed: [{ scope: "a:read", heldBy: "a:*" }],
      missing: [],
    });
    expect(upstream).toMatchObject({ sent: true, url: "http://127.0.0.1:9/v1/a/7", path: "/v1/a/7" });
    expect(upstream?.headers).toEqual(
      expect.arrayContaining([
        { name: "Cookie", value: "…", from: "client" },
        { name: "X-User-Id", value: "bot", from: "identity" },
        { name: "X-Upstream", value: "…", from: "route" },
        { name: "Via", value: "1.1 gatewarden", from: "gateway" },
      ]),
    );
    expect(limits?.limits).toMatchObject([
      { per: "user", units: 2, state: { used: 0, remaining: 1, room: true } },
    ]);
  });
});

describe("a token whose keys are with its issuer", () => {
  test("is verified with keys fetched for the question, and the output says so", async () => {
    const { verdict, notes, authentication } = await json(["GET", "/a/7", "--token", "@token.txt"]);
    expect(verdict.decision).toBe("forward");
    expect(notes).toContain("fetched the keys of corp for this question");
    expect(authentication?.seen).toMatchObject([
      {
        kind: "jwt",
        masked: "Bearer …",
        verified: true,
        token: { issuer: issuer.issuer, subject: "user-1", algorithm: "ES256" },
      },
    ]);
    expect(authentication?.alternatives).toMatchObject([
      { decides: true, authenticators: [{ name: "jwt", verdict: "accepted" }] },
      { decides: false, authenticators: [{ name: "apiKey", verdict: "not_sent" }] },
    ]);
  });

  test("is not verified with --offline, and exits 3 when the issuer is away", async () => {
    const fetches = issuer.fetches.jwks;
    const offline = await run(["GET", "/a/7", "--token", "@token.txt", "--offline"]);
    expect([offline.code, issuer.fetches.jwks]).toEqual([1, fetches]);
    expect(offline.stdout).toContain("keys_unavailable");
    issuer.fault = { kind: "status", status: 500 };
    const away = await run(["GET", "/a/7", "--token", "@token.txt"]);
    issuer.fault = undefined;
    expect(away.code).toBe(3);
    expect(away.stdout).toContain("the keys of corp could not be fetched");
  });
});

describe("--live", () => {
  test("tells what the running gateway counts, and counts nothing itself", async () => {
    const file = withAdmin();
    gateway = await startGateway(file, { env: { KEY, SECRET } });
    const live = ["GET", "/a/7", "--key", "@key.txt", "--live", "--format", "json"];
    const headers = { "X-API-Key": KEY };
    const remaining: unknown[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const done = await run(live, { file });
      const { limits, verdict } = JSON.parse(done.stdout) as Explanation;
      remaining.push([done.code, verdict.code, limits?.limits[0]?.state?.used]);
      await fetch(`${gateway.url}/a/7`, { headers });
    }
    expect(remaining).toEqual([
      [0, undefined, 0],
      [0, undefined, 1],
      [1, "rate_limited", 2],
    ]);
    expect(gateway.logsOf("audit").filter(({ event }) => event === "explained")).toHaveLength(3);
    canaries.assertNoCanary({ log: gateway.stdout.join("\n") });
  });

  test("tells of blocks of the failed-credential throttle, and causes none", async () => {
    const file = withAdmin();
    gateway = await startGateway(file, { env: { KEY, SECRET } });
    const bad = { "X-API-Key": "a-wrong-key-of-somebody" };
    const asked = ["GET", "/a/7", "-H", "X-API-Key: a-wrong-key-of-somebody", "--live"];
    for (let turn = 0; turn < 4; turn++)
      expect((await run(asked, { file })).stdout).toContain("api_key_invalid");
    for (let turn = 0; turn < 4; turn++) await fetch(`${gateway.url}/a/7`, { headers: bad });
    const { stdout, code } = await run(asked, { file });
    expect(code).toBe(1);
    expect(stdout).toContain("429 Too Many Requests: too_many_failures");
  });

  test("takes a question that breaks off, or is too large, for no defect", async () => {
    const file = withAdmin();
    gateway = await startGateway(file, { env: { KEY, SECRET } });
    const head = (length: string): string =>
      `POST /api/v1/explain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${length}\r\n\r\n`;
    await exchange(nextPort, `${head("Content-Length: 50")}{"method"`, {
      responses: 0,
      halfClose: true,
      untilClose: true,
    });
    const large = await exchange(nextPort, head("Content-Length: 65537"), { untilClose: true });
    expect(large.responses[0]?.status).toBe(413);
    const chunked = await exchange(nextPort, [
      `${head("Transfer-Encoding: chunked")}10001\r\n`,
      " ".repeat(65_537),
      "\r\n0\r\n\r\n",
    ]);
    expect(chunked.responses[0]?.status).toBe(413);
    const elsewhere = await exchange(
      nextPort,
      `POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx`,
      { untilClose: true },
    );
    expect(elsewhere.responses[0]?.status).toBe(413);
    expect(gateway.logs.filter(({ event }) => event === "defect")).toEqual([]);
  });

  test("exits 3 when nothing answers", async () => {
    const file = withAdmin();
    const { code, stderr } = await run(["GET", "/a/7", "--live"], { file });
    expect(code).toBe(3);
    expect(stderr).toContain("nothing answers on 127.0.0.1:");
  });
});

let nextPort = 20_000 + (process.pid % 10_000);

/** The file with an admin port that can be found in it. */
function withAdmin(): string {
  nextPort += 1;
  return `admin: 127.0.0.1:${nextPort}\n${yaml}`;
}
