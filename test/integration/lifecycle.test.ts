// From the start of the process to its end: what it waits for, what it says when it can't go on, how it lets go, and what
// it writes meanwhile. More of this, under attack, is in the security suite.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Canaries } from "../support/canary.ts";
import { type GatewayOptions, runCli, startGateway, type TestGateway } from "../support/gateway.ts";
import { TestIssuer } from "../support/issuer.ts";
import { describe as describeRequest, eventually, startUpstream, type TestUpstream } from "./upstream.ts";

const canaries = new Canaries();
const KEY = canaries.make("the caller's key", 40);
let upstream: TestUpstream;
let issuer: TestIssuer;
let gateway: TestGateway | undefined;

beforeAll(async () => {
  [upstream, issuer] = await Promise.all([startUpstream(), TestIssuer.start()]);
});
afterAll(async () => {
  await upstream?.stop();
  await issuer?.stop();
});
afterEach(async () => {
  const one = gateway;
  gateway = undefined;
  upstream.handler = describeRequest;
  issuer.fault = undefined;
  if (one === undefined) return;
  await one.kill();
  canaries.assertNoCanary({ log: one.stdout.join("\n"), "standard error": one.stderr });
});

/** A gateway for one test. */
async function start(
  sections = "",
  options: GatewayOptions & { readonly untilReady?: boolean } = {},
): Promise<TestGateway> {
  gateway = await startGateway(
    `listen: 127.0.0.1:0
issuers:
  corp: { issuer: "${issuer.issuer}", jwksUri: "${issuer.jwksUri}", audience: modules-api }
apiKeys:
  - { id: caller, value: "\${CALLER_KEY}", scopes: [read] }
upstreams:
  app: ${upstream.url}
routes:
  - { match: /public/*, to: app, public: true }
  - { match: /api/*, to: app, auth: [jwt, apiKey], scopes: [read] }
${sections}
`,
    { ...options, env: { CALLER_KEY: KEY } },
  );
  return gateway;
}

const tokenHeaders = (): { readonly Authorization: string } => ({
  Authorization: `Bearer ${canaries.token("a token", issuer.token({ scope: "read" }))}`,
});

describe("the start", () => {
  test("is not ready without the issuer's keys, serves what needs none, and is ready once they come", async () => {
    issuer.fault = { kind: "status", status: 503 };
    const one = await start("", { untilReady: false });
    const notReady = await fetch(`${one.url}/readyz`);
    expect([notReady.status, await notReady.json()]).toEqual([
      503,
      { status: "not_ready", notes: ["keys_unavailable"] },
    ]);
    expect((await fetch(`${one.url}/healthz`)).status).toBe(200);
    const refused = await fetch(`${one.url}/api/x`, { headers: tokenHeaders() });
    expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
      503,
      "keys_unavailable",
    ]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await fetch(`${one.url}/api/x`, { headers: { "X-API-Key": KEY } })).status).toBe(200);
    issuer.fault = undefined;
    let ready = await fetch(`${one.url}/readyz`);
    for (const deadline = performance.now() + 8_000; ready.status !== 200 && performance.now() < deadline; ) {
      await sleep(50);
      ready = await fetch(`${one.url}/readyz`);
    }
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready" }]);
    expect((await fetch(`${one.url}/api/x`, { headers: tokenHeaders() })).status).toBe(200);
  });

  test("on a port that is taken ends with 1 and says which one", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const ended = await runCli(
      ["start"],
      `listen: 127.0.0.1:${port}\nupstreams:\n  app: ${upstream.url}\nroutes:\n  - { match: /*, to: app, public: true }\n`,
    );
    other.close();
    expect([ended.code, ended.stderr]).toEqual([
      1,
      `gatewarden: can't listen on 127.0.0.1:${port}: EADDRINUSE\n`,
    ]);
  });

  test("with a broken file ends with 1 and names every mistake by line and column", async () => {
    const ended = await runCli(
      ["start"],
      "listen: 127.0.0.1:0\nupstreams:\n  app: ftp://x\nroutes:\n  - { match: GET /a, to: ap, public: true }\n  - { match: GET /b, to: app }\n",
    );
    expect(ended.code).toBe(1);
    expect(ended.stdout).toBe("");
    for (const place of [
      "gateway.yaml:3:8 value_invalid",
      "gateway.yaml:5:26 unknown_reference",
      "gateway.yaml:6:5 route_unguarded",
    ])
      expect(ended.stderr).toContain(place);
  });

  test.each([
    ["a file that is not there", ["start", "-c", "nowhere.yaml"], 1, "nowhere.yaml"],
    ["a variable that is not set", ["start"], 1, "API_URL"],
    ["an option that does not exist", ["start", "--nonsense"], 2, "--nonsense"],
  ] as const)("with %s ends at once and says so", async (_, args, code, word) => {
    const ended = await runCli(
      args,
      `upstreams:\n  app: \${API_URL}\nroutes:\n  - { match: /*, to: app, public: true }\n`,
    );
    expect([ended.code, ended.stdout]).toEqual([code, ""]);
    expect(ended.stderr).toContain(word);
    expect(ended.stderr).not.toContain("    at ");
  });
});

describe("the end", () => {
  /** Opens an event stream; `text` settles with all of it when it has ended orderly. */
  async function openEvents(one: TestGateway): Promise<{ readonly text: Promise<string> }> {
    upstream.handler = (request, response) => {
      if (request.url !== "/public/events") return;
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("data: one\n\n");
    };
    const response = await fetch(`${one.url}/public/events`);
    return { text: response.text() };
  }

  test.each([
    "SIGTERM",
    "SIGINT",
  ] as const)("by %s lets requests finish, ends event streams cleanly, cuts what is too slow, exits with 0", async (signal) => {
    const one = await start("drain: { delay: 0s, timeout: 1s }");
    const events = await openEvents(one);
    const cut = fetch(`${one.url}/public/silent`).then(
      (response) => response.status,
      () => "cut",
    );
    const others = upstream.handler;
    upstream.handler = (request, response) => {
      if (request.url === "/public/finishes") setTimeout(() => response.end("finished"), 250);
      else others(request, response);
    };
    const finishes = fetch(`${one.url}/public/finishes`).then((response) => response.text());
    await eventually("all three are under way", () => upstream.openExchanges === 3);
    const started = performance.now();
    expect(await one.signal(signal)).toBe(0);
    expect(performance.now() - started).toBeGreaterThan(500);
    expect(performance.now() - started).toBeLessThan(3_000);
    expect(await Promise.all([events.text, finishes, cut])).toEqual(["data: one\n\n", "finished", "cut"]);
    const said = one.logsOf("system").map((line) => line.event);
    expect(said.slice(said.indexOf("draining"))).toEqual(["draining", "drain_cut", "stopped"]);
    await eventually("the backend is rid of them", () => upstream.openExchanges === 0);
  });

  test("says not ready at once and takes new connections until the delay is over, then none", async () => {
    const one = await start("drain: { delay: 1200ms, timeout: 2s }");
    const held = fetch(`${one.url}/public/x`);
    await held;
    const ended = one.signal("SIGTERM");
    let answer = await fetch(`${one.url}/readyz`, { headers: { Connection: "close" } });
    for (const deadline = performance.now() + 600; answer.status === 200 && performance.now() < deadline; )
      answer = await fetch(`${one.url}/readyz`, { headers: { Connection: "close" } });
    expect([answer.status, await answer.json()]).toEqual([503, { status: "not_ready", notes: ["draining"] }]);
    expect((await fetch(`${one.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${one.url}/public/new`)).status).toBe(200);
    expect(await ended).toBe(0);
    await expect(fetch(`${one.url}/public/late`)).rejects.toThrow();
  });

  test("comes at once on a second signal, whatever is under way", async () => {
    const one = await start("drain: { delay: 0s, timeout: 20s }");
    upstream.handler = () => undefined;
    const cut = fetch(`${one.url}/public/silent`).catch(() => "cut");
    await eventually("the request is under way", () => upstream.openExchanges === 1);
    const ended = one.signal("SIGTERM");
    await one.waitForLog((line) => line.event === "draining");
    const started = performance.now();
    one.child.kill("SIGTERM");
    expect(await ended).toBe(130);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(await cut).toBe("cut");
  });
});

describe("the log", () => {
  /** Access lines for 40 answers, of which 20 are refusals. */
  async function accessLines(one: TestGateway): Promise<readonly unknown[]> {
    for (let index = 0; index < 20; index++) {
      await (await fetch(`${one.url}/public/x`)).arrayBuffer();
      await (await fetch(`${one.url}/api/x`)).arrayBuffer();
    }
    // Lines leave in order: the last one of another kind tells that all have left.
    expect(await one.signal("SIGTERM")).toBe(0);
    return one.logsOf("access").map((line) => line.status);
  }

  test("has a line for each answer, with what a reader needs to follow it", async () => {
    const one = await start("logs: { fields: { region: north } }");
    const response = await fetch(`${one.url}/api/x?secret=${KEY}`, { headers: tokenHeaders() });
    await response.arrayBuffer();
    const line = await one.waitForLog((entry) => entry.type === "access");
    expect(line).toMatchObject({
      level: "info",
      region: "north",
      requestId: response.headers.get("x-request-id"),
      client: "127.0.0.1",
      method: "GET",
      path: "/api/x",
      route: "/api/*",
      status: 200,
      upstream: "app",
      subject: "user-1",
      authMethod: "jwt",
    });
    expect(Date.parse(String(line?.time))).toBeGreaterThan(Date.now() - 10_000);
    expect(line?.durationMs).toEqual(expect.any(Number));
    expect(line?.bytes).toBeGreaterThan(0);
  });

  test("has a decision line with the reason for each refusal", async () => {
    const one = await start();
    const response = await fetch(`${one.url}/api/x`, { headers: { "X-API-Key": `${KEY}x` } });
    const line = await one.waitForLog((entry) => entry.type === "decision");
    expect(line).toMatchObject({
      requestId: response.headers.get("x-request-id"),
      decision: "refuse",
      route: "/api/*",
      line: 10,
      code: "api_key_invalid",
      reason: expect.any(String) as string,
    });
  });

  test.each([
    ["all", 20, 20],
    ["denied", 0, 20],
    ["off", 0, 0],
  ])("with access: %s has lines for %i good and %i refused answers", async (access, good, refused) => {
    const statuses = await accessLines(await start(`logs: { access: ${access} }`));
    expect([
      statuses.filter((status) => status === 200).length,
      statuses.filter((status) => status === 401).length,
    ]).toEqual([good, refused]);
  });

  test("with a share has lines for about that share", async () => {
    const statuses = await accessLines(await start("logs: { access: 50% }"));
    // 40 answers: outside of 4 to 36 once in a million runs.
    expect(statuses.length).toBeGreaterThanOrEqual(4);
    expect(statuses.length).toBeLessThanOrEqual(36);
  });

  test.each([
    "stops reading",
    "goes away",
  ] as const)("whose reader %s holds up no request", async (reader) => {
    const one = await start();
    if (reader === "stops reading") one.child.stdout?.pause();
    else one.child.stdout?.destroy();
    const path = `/public/${"p".repeat(300)}`;
    for (let round = 0; round < 20; round++) {
      const statuses = await Promise.all(
        Array.from({ length: 20 }, () => fetch(`${one.url}${path}`).then((response) => response.status)),
      );
      expect(new Set(statuses)).toEqual(new Set([200]));
    }
    if (reader === "stops reading") one.child.stdout?.resume();
    expect(await one.signal("SIGTERM")).toBe(0);
  });
});
