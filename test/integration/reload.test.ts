// A running gateway and its file: what is taken and when, what survives it, and what is said of a file that isn't taken.

import { once } from "node:events";
import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runCli, startGateway, type TestGateway } from "../support/gateway.ts";
import { TestIssuer } from "../support/issuer.ts";
import { freePort } from "../support/redis.ts";
import { startUpstream, type TestUpstream } from "./upstream.ts";

const KEY = "reload-test-key-0000000000000000000000000001";
let upstream: TestUpstream;
let issuer: TestIssuer;
let gateway: TestGateway | undefined;

beforeAll(async () => {
  [upstream, issuer] = await Promise.all([startUpstream(), TestIssuer.start()]);
});
afterAll(async () => {
  await upstream.stop();
  await issuer.stop();
});
afterEach(async () => {
  const one = gateway;
  gateway = undefined;
  await one?.kill();
});

interface Scene {
  readonly gateway: TestGateway;
  /** Writes the file in place. */
  save(yaml: string): void;
  status(): Promise<Record<string, unknown>>;
  /** Asks for a reload and gives its answer. */
  reload(): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  file(routes: string, sections?: string): string;
}

/** A gateway whose file begins with these routes. */
async function scene(routes: string, sections = "", files: Record<string, string> = {}): Promise<Scene> {
  const admin = await freePort();
  const file = (some: string, more = ""): string => `listen: 127.0.0.1:0
admin: 127.0.0.1:${admin}
apiKeys:
  - { id: caller, value: "\${CALLER_KEY}", scopes: [read] }
upstreams: { app: "${upstream.url}" }
${more}
routes:
${some}
`;
  const running = await startGateway(file(routes, sections), { env: { CALLER_KEY: KEY }, files });
  gateway = running;
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${admin}${path}`, init);
  return {
    gateway: running,
    file,
    save: (yaml) => writeFileSync(join(running.folder, "gateway.yaml"), yaml),
    status: async () => (await (await ask("/status")).json()) as Record<string, unknown>,
    reload: async () => {
      const response = await ask("/api/v1/reload", { method: "POST" });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    get: (path, headers = {}) => fetch(`${running.url}${path}`, { headers }),
  };
}

const OPEN = "  - { match: GET /open, to: app, public: true }";
const MORE = `${OPEN}\n  - { match: GET /more, to: app, public: true }`;

/** Waits until the path answers with this status. */
async function becomes({ get }: Scene, path: string, status: number): Promise<void> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    const response = await get(path);
    await response.arrayBuffer();
    if (response.status === status) return;
    if (performance.now() > deadline) throw new Error(`${path} still answers ${response.status}`);
    await sleep(20);
  }
}

describe("a saved file is taken", () => {
  const WAYS: readonly (readonly [string, (folder: string, yaml: string) => void])[] = [
    ["when it is edited in place", (folder, yaml) => writeFileSync(join(folder, "gateway.yaml"), yaml)],
    [
      "when another one is renamed over it",
      (folder, yaml) => {
        writeFileSync(join(folder, "new.tmp"), yaml);
        renameSync(join(folder, "new.tmp"), join(folder, "gateway.yaml"));
      },
    ],
    [
      "when it is removed and made anew",
      (folder, yaml) => {
        unlinkSync(join(folder, "gateway.yaml"));
        writeFileSync(join(folder, "gateway.yaml"), yaml);
      },
    ],
  ];

  test.each(WAYS)("%s", async (_how, save) => {
    const it = await scene(OPEN);
    expect((await it.get("/more")).status).toBe(404);
    save(it.gateway.folder, it.file(MORE));
    await becomes(it, "/more", 200);
    const applied = it.gateway.logs.filter(({ event }) => event === "config_applied");
    expect(applied).toEqual([expect.objectContaining({ trigger: "file", routes: 2, level: "info" })]);
  });

  test("when a Kubernetes ConfigMap swaps the folder behind its links", async () => {
    const it = await scene(OPEN);
    const { folder } = it.gateway;
    const mount = (name: string, yaml: string): void => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "gateway.yaml"), yaml);
      symlinkSync(name, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    mount("..2026_1", it.file(OPEN));
    unlinkSync(join(folder, "gateway.yaml"));
    symlinkSync("..data/gateway.yaml", join(folder, "gateway.yaml"));
    await sleep(600);
    mount("..2026_2", it.file(MORE));
    await becomes(it, "/more", 200);
  });

  test("on SIGHUP, at once", async () => {
    const it = await scene(OPEN);
    it.save(it.file(MORE));
    it.gateway.child.kill("SIGHUP");
    await becomes(it, "/more", 200);
    const applied = await it.gateway.waitForLog(({ event }) => event === "config_applied");
    expect(applied?.trigger).toBe("signal");
  });

  test("when a secret that it takes from a file changes", async () => {
    const it = await scene("  - { match: GET /keyed, to: app, auth: [apiKey], scopes: [read] }", "", {
      "unused.txt": "x",
    });
    const withFile = it
      .file("  - { match: GET /keyed, to: app, auth: [apiKey], scopes: [read] }")
      .replace(/\$\{CALLER_KEY\}/, "${file:key.txt}");
    writeFileSync(join(it.gateway.folder, "key.txt"), "first-key-000000000000000000000000001\n", {
      mode: 0o600,
    });
    it.save(withFile);
    expect(["applied", "unchanged"]).toContain((await it.reload()).body.result);
    const statusOf = async (key: string) => (await it.get("/keyed", { "X-API-Key": key })).status;
    expect(await statusOf("first-key-000000000000000000000000001")).toBe(200);
    writeFileSync(join(it.gateway.folder, "key.txt"), "second-key-00000000000000000000000001\n");
    const deadline = performance.now() + 5_000;
    while ((await statusOf("second-key-00000000000000000000000001")) !== 200 && performance.now() < deadline)
      await sleep(50);
    expect(await statusOf("second-key-00000000000000000000000001")).toBe(200);
    expect(await statusOf("first-key-000000000000000000000000001")).toBe(401);
  });
});

describe("a file that can't be taken", () => {
  test("changes nothing, and status, log and answer say why, with the line", async () => {
    const it = await scene(OPEN);
    const before = await it.status();
    expect(before).toMatchObject({ inSync: true, generation: 1, lastReload: null, lastReloadError: null });
    it.save(it.file(`${OPEN}\n  - { match: GET /broken, to: nowhere, public: true }`));
    const { status, body } = await it.reload();
    expect(status).toBe(422);
    expect(body).toMatchObject({
      result: "rejected",
      configHash: before.configHash,
      error: { code: "unknown_reference", line: 9, column: 31, errors: 1 },
    });
    expect((await it.get("/open")).status).toBe(200);
    const after = await it.status();
    expect(after).toMatchObject({
      inSync: false,
      generation: 1,
      configHash: before.configHash,
      lastReload: { result: "rejected", trigger: "admin" },
      lastReloadError: { code: "unknown_reference", line: 9, file: "gateway.yaml" },
    });
    expect(after.fileHash).not.toBe(before.configHash);
    const told = await it.gateway.waitForLog(({ event }) => event === "config_rejected");
    expect(told).toMatchObject({ code: "unknown_reference", line: 9, trigger: "admin", level: "warn" });
    it.save(it.file(OPEN));
    expect(["applied", "unchanged"]).toContain((await it.reload()).body.result);
    expect(await it.status()).toMatchObject({ inSync: true, lastReloadError: null });
  });

  test("is one whose tests fail", async () => {
    const it = await scene(OPEN);
    const tests = `tests:
  - { request: GET /more, expect: 401 }
`;
    it.save(it.file(MORE, tests));
    const { status, body } = await it.reload();
    expect([status, body]).toMatchObject([
      422,
      { result: "rejected", error: { code: "tests_failed", line: 7, errors: 1 } },
    ]);
    expect((await it.get("/more")).status).toBe(404);
    it.save(it.file(MORE, tests.replace("401", "200")));
    await it.reload();
    expect((await it.get("/more")).status).toBe(200);
  });

  test("is one whose new address is taken", async () => {
    const it = await scene(OPEN);
    it.save(
      it.file(MORE).replace("listen: 127.0.0.1:0", `listen: [127.0.0.1:0, 127.0.0.1:${upstream.port}]`),
    );
    expect(await it.reload()).toMatchObject({
      status: 422,
      body: { result: "rejected", error: { code: "listen_failed" } },
    });
    expect((await it.get("/more")).status).toBe(404);
  });

  test("is one whose new issuer has no keys, so that a ready gateway stays ready", async () => {
    const it = await scene(OPEN);
    const away = `issuers: { away: { issuer: "http://127.0.0.1:${await freePort()}", audience: x } }`;
    it.save(it.file(`${OPEN}\n  - { match: GET /tokens, to: app, auth: [jwt] }`, away));
    expect(await it.reload()).toMatchObject({
      status: 422,
      body: { error: { code: "dependency_unreachable" } },
    });
    expect((await it.get("/readyz")).status).toBe(200);
  });

  test("is told by `gatewarden reload --wait` with its lines", async () => {
    const it = await scene(OPEN);
    const broken = it.file(`${OPEN}\n  - { match: GET /broken, to: app, publc: true }`);
    const cli = (...args: string[]) =>
      runCli(["reload", ...args, "-c", "valid.yaml"], "", {
        env: { CALLER_KEY: KEY },
        files: { "valid.yaml": it.file(OPEN) },
      });
    it.save(broken);
    const refused = await cli("--wait");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("unknown_key");
    expect(refused.stderr).toContain("did you mean `public`?");
    it.save(it.file(MORE));
    expect(await cli("--wait")).toMatchObject({
      code: 0,
      // Whichever was first: the command, or the look that the gateway takes by itself.
      stdout: expect.stringMatching(/^(?:applied|unchanged), [0-9a-f]{12} is in force/),
    });
    expect(await cli("--wait")).toMatchObject({ code: 0, stdout: expect.stringContaining("unchanged, ") });
    const json = await cli("--wait", "--format", "json");
    expect(JSON.parse(json.stdout)).toMatchObject({ result: "unchanged", generation: 2 });
  });
});

describe("what another configuration leaves as it is", () => {
  test("connections, counters, key sets, verified tokens and blocks", async () => {
    const sections = `issuers:
  corp: { issuer: "${issuer.issuer}", jwksUri: "${issuer.jwksUri}", audience: modules-api }
failedCredentials: { limit: 3/min }`;
    const routes = (more: string) => `  - { match: GET /limited, to: app, public: true, limit: 5/min per ip }
  - { match: GET /tokens, to: app, auth: [jwt] }
  - { match: GET /keyed, to: app, auth: [apiKey] }
${more}`;
    const it = await scene(routes(""), sections);
    const token = issuer.token({ sub: "alice" });
    const bearer = { Authorization: `Bearer ${token}` };
    expect((await it.get("/tokens", bearer)).status).toBe(200);
    const fetched = issuer.fetches.jwks;
    for (let turn = 0; turn < 2; turn++) await it.get("/limited");
    for (let turn = 0; turn < 4; turn++) await it.get("/keyed", { "X-API-Key": `guess-${turn}` });
    expect((await it.get("/keyed", { "X-API-Key": "guess-9" })).status).toBe(429);

    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (): Promise<number> => {
      const request = httpRequest(`${it.gateway.url}/open`, { agent }).end();
      const [response] = (await once(request, "response")) as [IncomingMessage];
      response.resume();
      await once(response, "end");
      return request.socket?.localPort ?? 0;
    };
    const first = await ask();
    it.save(it.file(routes(OPEN), sections));
    expect(["applied", "unchanged"]).toContain((await it.reload()).body.result);
    expect(await ask()).toBe(first);
    agent.destroy();

    expect(issuer.fetches.jwks).toBe(fetched);
    issuer.fault = { kind: "status", status: 500 };
    expect((await it.get("/tokens", bearer)).status).toBe(200);
    issuer.fault = undefined;
    expect((await it.get("/limited")).headers.get("ratelimit-remaining")).toBe("2");
    expect((await it.get("/keyed", { "X-API-Key": "guess-9" })).status).toBe(429);
  });

  test("an upstream's exchanges end on the connections that they began on, and idle ones are closed", async () => {
    const it = await scene(OPEN);
    await (await it.get("/open")).text();
    const stood = upstream.openConnections;
    expect(stood).toBeGreaterThan(0);
    const held = Promise.withResolvers<void>();
    const before = upstream.handler;
    upstream.handler = (_request, response) => void held.promise.then(() => response.end("late"));
    const slow = it.get("/open");
    await sleep(100);
    upstream.handler = before;
    it.save(
      it
        .file(OPEN)
        .replace(/upstreams: .*/, `upstreams: { app: { url: "${upstream.url}", timeouts: { idle: 9s } } }`),
    );
    await it.reload();
    const connections = upstream.connections;
    expect(await (await it.get("/open")).text()).toContain("/open");
    expect(upstream.connections).toBe(connections + 1);
    held.resolve();
    expect(await (await slow).text()).toBe("late");
    const deadline = performance.now() + 3_000;
    while (upstream.openConnections > 1 && performance.now() < deadline) await sleep(20);
    expect(upstream.openConnections).toBe(1);
  });

  test("a lowered limit counts what was admitted before", async () => {
    const it = await scene("  - { match: GET /limited, to: app, public: true, limit: 5/min per ip }");
    for (let turn = 0; turn < 3; turn++) expect((await it.get("/limited")).status).toBe(200);
    it.save(it.file("  - { match: GET /limited, to: app, public: true, limit: 3/min per ip }"));
    await it.reload();
    expect((await it.get("/limited")).status).toBe(429);
  });
});

describe("addresses", () => {
  test("that are new are opened, those that are gone let their last answers go out", async () => {
    const it = await scene(OPEN);
    const second = await freePort();
    const both = it.file(OPEN).replace("listen: 127.0.0.1:0", `listen: [127.0.0.1:0, 127.0.0.1:${second}]`);
    it.save(both);
    expect(["applied", "unchanged"]).toContain((await it.reload()).body.result);
    expect((await fetch(`http://127.0.0.1:${second}/open`)).status).toBe(200);

    const held = Promise.withResolvers<void>();
    const before = upstream.handler;
    upstream.handler = (_request, response) => void held.promise.then(() => response.end("late"));
    const slow = fetch(`http://127.0.0.1:${second}/open`);
    await sleep(100);
    it.save(it.file(OPEN));
    expect(["applied", "unchanged"]).toContain((await it.reload()).body.result);
    await expect(fetch(`http://127.0.0.1:${second}/healthz`)).rejects.toThrow();
    expect((await it.get("/healthz")).status).toBe(200);
    held.resolve();
    const answer = await slow;
    expect([answer.status, await answer.text()]).toEqual([200, "late"]);
    upstream.handler = before;
  });

  test("of the admin port may change, and so may its token", async () => {
    const it = await scene(OPEN);
    const next = await freePort();
    const token = "0123456789abcdef0123456789abcdef0123";
    writeFileSync(join(it.gateway.folder, "token"), token, { mode: 0o600 });
    const yaml = it
      .file(OPEN)
      .replace(/^admin: .*$/m, `admin: { listen: "127.0.0.1:${next}", token: "\${file:token}" }`);
    it.save(yaml);
    expect(["applied", "unchanged"]).toContain((await it.reload()).body.result);
    const ask = (headers: Record<string, string> = {}) =>
      fetch(`http://127.0.0.1:${next}/status`, { headers });
    expect((await ask()).status).toBe(401);
    expect((await ask({ Authorization: `Bearer ${token}` })).status).toBe(200);
    // Whoever asked on the old port had a moment to read the answer.
    await sleep(1_200);
    await expect(it.status()).rejects.toThrow();
  });
});

test("bounds hold for new connections at once, and health paths move", async () => {
  const it = await scene(OPEN);
  const long = `/open?x=${"a".repeat(300)}`;
  expect((await it.get(long)).status).toBe(200);
  it.save(it.file(OPEN, "limits: { url: 256B, headers: 64KiB }\nhealth: { live: /live, ready: /ready }"));
  await it.reload();
  expect((await it.get(long)).status).toBe(414);
  expect((await it.get("/ready")).status).toBe(200);
  expect((await it.get("/readyz")).status).toBe(404);
  const request = httpRequest(`${it.gateway.url}/ready`, {
    agent: false,
    headers: { "X-Big": "b".repeat(40_000) },
  }).end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  expect(response.resume().statusCode).toBe(200);
});
