// The metrics of a real gateway, against what was really sent: every request is counted once, under its route, with its
// decision and its status.

import { once } from "node:events";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket as NetSocket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { adminUrl, readExposition, type Series, scrape } from "../support/exposition.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { TestIssuer } from "../support/issuer.ts";
import { exchange } from "../support/raw-client.ts";
import { freePort } from "../support/redis.ts";
import { eventually, startUpstream, type TestUpstream } from "./upstream.ts";

const KEY = "metrics-test-key-000000000000000000000000001";
let upstream: TestUpstream;
let sockets: WebSocketServer;
let issuer: TestIssuer;
let silent: Silent;
let gateway: TestGateway | undefined;

/** Takes connections and says nothing. */
class Silent {
  readonly #server = createServer((socket) => {
    this.#open.add(socket);
    socket.on("error", () => socket.destroy());
  });
  readonly #open = new Set<NetSocket>();

  static async start(): Promise<Silent> {
    const one = new Silent();
    one.#server.listen(0, "127.0.0.1");
    await once(one.#server, "listening");
    return one;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
  }
}

beforeAll(async () => {
  [upstream, issuer, silent] = await Promise.all([startUpstream(), TestIssuer.start(), Silent.start()]);
  sockets = new WebSocketServer({ noServer: true });
  upstream.server.on("upgrade", (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, () => undefined),
  );
});
afterAll(async () => {
  silent.stop();
  await upstream.stop();
  await issuer.stop();
});
afterEach(async () => {
  const one = gateway;
  gateway = undefined;
  await one?.kill();
});

async function start(routes: string, more = ""): Promise<TestGateway> {
  gateway = await startGateway(file(routes, more), { env: { CALLER_KEY: KEY } });
  return gateway;
}

function file(routes: string, more = ""): string {
  return `listen: 127.0.0.1:0
admin: 127.0.0.1:0
issuers: { corp: { issuer: "${issuer.issuer}", audience: api } }
apiKeys:
  - { id: caller, value: "\${CALLER_KEY}", scopes: [read] }
upstreams:
  app: ${upstream.url}
  gone: http://127.0.0.1:9
  slow: { url: "${silent.url}", timeouts: { headers: 200ms } }
${more}
routes:
${routes}
`;
}

/** What was counted since the start under names that begin so, histograms apart; what is zero is left out. */
function counts(series: Series, ...names: string[]): Record<string, number> {
  return Object.fromEntries(
    [...series].filter(
      ([key, value]) =>
        value !== 0 && names.some((name) => key.startsWith(name)) && !/_(bucket|sum)\b/.test(key),
    ),
  );
}

/** Sends requests one after the other; the statuses of the answers. */
async function send(
  one: TestGateway,
  ...requests: (readonly [path: string, init?: RequestInit])[]
): Promise<number[]> {
  const statuses: number[] = [];
  for (const [path, init] of requests) {
    const answer = await fetch(one.url + path, init ?? {});
    await answer.arrayBuffer();
    statuses.push(answer.status);
  }
  return statuses;
}

const WITH_KEY = { headers: { "X-API-Key": KEY } };

describe("requests and decisions", () => {
  test("are counted once each, whatever becomes of them", async () => {
    const one = await start(
      `  - { match: "/things", to: app, auth: [apiKey], scopes: [read] }
  - { match: GET /secret, to: app, auth: [apiKey], scopes: [admin] }
  - { match: GET /scarce, to: app, public: true, limit: 1/h per route, name: scarce }
  - { match: GET /gone, to: gone, public: true }
  - { match: GET /slow, to: slow, public: true }
  - { match: GET /shared, to: app, public: true, cors: { origins: ["https://app.example"] } }`,
    );
    const preflight = {
      method: "OPTIONS",
      headers: { Origin: "https://app.example", "Access-Control-Request-Method": "GET" },
    };
    expect(
      await send(
        one,
        ["/things", WITH_KEY],
        ["/things?page=2", WITH_KEY],
        ["/things", { ...WITH_KEY, method: "POST", body: "x" }],
        ["/things", { ...WITH_KEY, method: "PURGE" }],
        ["/things"],
        ["/things", { headers: { "X-API-Key": "wrong" } }],
        ["/secret", WITH_KEY],
        ["/scarce"],
        ["/scarce"],
        ["/scarce"],
        ["/gone"],
        ["/slow"],
        ["/shared", preflight],
        ["/nowhere"],
        ["/secret", { method: "DELETE" }],
      ),
    ).toEqual([200, 200, 200, 200, 401, 401, 403, 200, 429, 429, 502, 504, 204, 404, 405]);
    const bad = await exchange(one.port, "GET /things HTTP/1.1\r\nHost : rig.test\r\n\r\n");
    expect(bad.responses[0]?.status).toBe(400);
    const series = await scrape(one);
    expect(counts(series, "gateway_requests_total")).toEqual({
      'gateway_requests_total{route="/things",method="GET",status="200"}': 2,
      'gateway_requests_total{route="/things",method="POST",status="200"}': 1,
      'gateway_requests_total{route="/things",method="OTHER",status="200"}': 1,
      'gateway_requests_total{route="/things",method="GET",status="401"}': 2,
      'gateway_requests_total{route="GET /secret",method="GET",status="403"}': 1,
      'gateway_requests_total{route="scarce",method="GET",status="200"}': 1,
      'gateway_requests_total{route="scarce",method="GET",status="429"}': 2,
      'gateway_requests_total{route="GET /gone",method="GET",status="502"}': 1,
      'gateway_requests_total{route="GET /slow",method="GET",status="504"}': 1,
      'gateway_requests_total{route="GET /shared",method="OPTIONS",status="204"}': 1,
      'gateway_requests_total{route="(none)",method="GET",status="404"}': 1,
      'gateway_requests_total{route="(none)",method="DELETE",status="405"}': 1,
      'gateway_requests_total{route="(none)",method="OTHER",status="400"}': 1,
    });
    expect(counts(series, "gateway_decisions_total")).toEqual({
      'gateway_decisions_total{route="/things",decision="forward",code=""}': 4,
      'gateway_decisions_total{route="/things",decision="refuse",code="credentials_missing"}': 1,
      'gateway_decisions_total{route="/things",decision="refuse",code="api_key_invalid"}': 1,
      'gateway_decisions_total{route="GET /secret",decision="refuse",code="scope_insufficient"}': 1,
      'gateway_decisions_total{route="scarce",decision="forward",code=""}': 1,
      'gateway_decisions_total{route="scarce",decision="refuse",code="rate_limited"}': 2,
      'gateway_decisions_total{route="GET /gone",decision="forward",code=""}': 1,
      'gateway_decisions_total{route="GET /slow",decision="forward",code=""}': 1,
      'gateway_decisions_total{route="GET /shared",decision="preflight",code=""}': 1,
      'gateway_decisions_total{route="(none)",decision="refuse",code="route_not_found"}': 1,
      'gateway_decisions_total{route="(none)",decision="refuse",code="method_not_allowed"}': 1,
      'gateway_decisions_total{route="(none)",decision="refuse",code="request_invalid"}': 1,
    });
    expect(counts(series, "gateway_upstream_")).toEqual({
      'gateway_upstream_requests_total{upstream="app"}': 5,
      'gateway_upstream_requests_total{upstream="gone"}': 1,
      'gateway_upstream_requests_total{upstream="slow"}': 1,
      'gateway_upstream_failures_total{upstream="gone",reason="connection_refused"}': 1,
      'gateway_upstream_failures_total{upstream="slow",reason="headers_timeout"}': 1,
      'gateway_upstream_request_duration_seconds_count{upstream="app"}': 5,
    });
    expect(series.get("gateway_decision_duration_seconds_count")).toBe(7);
    // The wait for the silent upstream is in the exchange's time, and one fast exchange is in none of the slow buckets.
    const slow = 'gateway_request_duration_seconds_bucket{route="GET /slow"';
    expect([series.get(`${slow},le="0.1"}`), series.get(`${slow},le="2.5"}`)]).toEqual([0, 1]);
    expect(series.get('gateway_request_duration_seconds_sum{route="GET /slow"}')).toBeGreaterThan(0.2);
    expect(series.get('gateway_request_duration_seconds_count{route="/things"}')).toBe(6);
    expect(series.get('gateway_request_duration_seconds_count{route="(none)"}')).toBe(2);
  });

  test("that are only observed pass, and what would have refused them is counted", async () => {
    const one = await start(
      `  - { match: GET /watched, to: app, auth: [apiKey], scopes: [admin], limit: 1/h per route, observe: true }`,
    );
    expect(await send(one, ["/watched"], ["/watched", WITH_KEY], ["/watched", WITH_KEY])).toEqual([
      200, 200, 200,
    ]);
    const series = await scrape(one);
    const route = 'route="GET /watched"';
    expect(counts(series, "gateway_observed", "gateway_decisions")).toEqual({
      [`gateway_decisions_total{${route},decision="forward",code=""}`]: 3,
      [`gateway_observed_refusals_total{${route},code="credentials_missing"}`]: 1,
      [`gateway_observed_refusals_total{${route},code="scope_insufficient"}`]: 3,
      [`gateway_observed_refusals_total{${route},code="rate_limited"}`]: 2,
    });
  });
});

describe("streams and WebSockets", () => {
  test("are told while they are open, and counted with what opened them", async () => {
    const one = await start("  - { match: GET /*, to: app, public: true }");
    const socket = new WebSocket(`ws://127.0.0.1:${one.port}/socket`);
    await once(socket, "open");
    upstream.handler = (_request, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write("data: 1\n\n");
    };
    const stop = new AbortController();
    const stream = await fetch(`${one.url}/events`, { signal: stop.signal });
    expect(stream.status).toBe(200);
    const counted = (status: number): string =>
      `gateway_requests_total{route="GET /*",method="GET",status="${status}"}`;
    let series = await scrape(one);
    expect(
      counts(series, "gateway_requests_", "gateway_websocket", "gateway_upstream", "gateway_conn"),
    ).toEqual({
      gateway_requests_in_flight: 1,
      gateway_websocket_tunnels: 1,
      gateway_connections: expect.any(Number),
      // The tunnel is open; the stream has begun to arrive and isn't over.
      [counted(101)]: 1,
      'gateway_upstream_requests_total{upstream="app"}': 2,
      'gateway_upstream_request_duration_seconds_count{upstream="app"}': 2,
    });
    expect(series.get("gateway_connections")).toBeGreaterThanOrEqual(2);
    stop.abort();
    socket.close();
    socket.terminate();
    await eventually("both are over", () => one.logsOf("access").length === 2);
    series = await scrape(one);
    expect(counts(series, "gateway_requests_", "gateway_websocket")).toEqual({
      [counted(101)]: 1,
      [counted(200)]: 1,
    });
    upstream.handler = (_request, response) => void response.end("ok");
  });
});

describe("how the gateway stands", () => {
  test("is told of issuers, readiness, log and configuration", async () => {
    const one = await start("  - { match: GET /a, to: app, auth: [jwt] }");
    const series = await scrape(one);
    expect(
      counts(
        series,
        "gateway_ready",
        "gateway_issuer_keys{",
        "gateway_issuer_keys_state",
        "gateway_config_re",
        "gateway_config_last",
        "gateway_log",
      ),
    ).toEqual({
      gateway_ready: 1,
      'gateway_issuer_keys{issuer="corp"}': 1,
      'gateway_issuer_keys_state{issuer="corp",state="ready"}': 1,
      gateway_config_last_reload_successful: 1,
    });
    expect(series.get('gateway_issuer_keys_age_seconds{issuer="corp"}')).toBeLessThan(10);
    expect(
      Math.abs(Date.now() / 1_000 - (series.get("gateway_config_loaded_timestamp_seconds") ?? 0)),
    ).toBeLessThan(20);
  });

  test("is told of an issuer that can't be reached: there is no key, and no age", async () => {
    const away = `http://127.0.0.1:${await freePort()}`;
    const yaml = file("  - { match: GET /a, to: app, auth: [jwt] }").replace(issuer.issuer, away);
    gateway = await startGateway(yaml, { env: { CALLER_KEY: KEY }, untilReady: false });
    expect(counts(await scrape(gateway), "gateway_ready", "gateway_issuer_keys")).toEqual({
      'gateway_issuer_keys_state{issuer="corp",state="waiting"}': 1,
    });
  });

  test("is told of reloads; counts go on through them, those of routes that are gone too", async () => {
    const one = await start(
      "  - { match: GET /a, to: app, public: true }\n  - { match: GET /b, to: app, public: true }",
    );
    const hashes = (series: Series): string[] =>
      [...series.keys()].filter((key) => key.startsWith("gateway_config_info"));
    await send(one, ["/a"], ["/b"]);
    const first = hashes(await scrape(one));
    const reload = async (yaml: string): Promise<number> => {
      writeFileSync(join(one.folder, "next.yaml"), yaml);
      renameSync(join(one.folder, "next.yaml"), join(one.folder, "gateway.yaml"));
      return (await fetch(`${adminUrl(one)}/api/v1/reload`, { method: "POST" })).status;
    };
    expect(await reload(file("  - { match: GET /a, to: app, public: true }"))).toBe(200);
    await send(one, ["/a"], ["/b"]);
    let series = await scrape(one);
    expect(counts(series, "gateway_requests_total", "gateway_upstream_requests")).toEqual({
      'gateway_requests_total{route="GET /a",method="GET",status="200"}': 2,
      'gateway_requests_total{route="GET /b",method="GET",status="200"}': 1,
      'gateway_requests_total{route="(none)",method="GET",status="404"}': 1,
      'gateway_upstream_requests_total{upstream="app"}': 3,
    });
    const second = hashes(series);
    expect([first.length, second.length]).toEqual([1, 1]);
    expect(second).not.toEqual(first);
    expect(await reload("routes: nonsense")).toBe(422);
    series = await scrape(one);
    expect(series.get("gateway_config_last_reload_successful")).toBe(0);
    expect(series.get('gateway_config_reloads_total{result="applied"}')).toBe(1);
    expect(series.get('gateway_config_reloads_total{result="rejected"}')).toBeGreaterThan(0);
    expect(hashes(series)).toEqual(second);
  });
});

describe("a scrape", () => {
  test("holds nothing that docs/METRICS.md doesn't explain, in the form that Prometheus reads", async () => {
    const one = await start("  - { match: GET /a, to: app, public: true }");
    const answer = await fetch(`${adminUrl(one)}/metrics`);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const families = readExposition(await answer.text());
    const page = readFileSync(new URL("../../docs/METRICS.md", import.meta.url), "utf8");
    const rows = Array.from(page.matchAll(/^\| `([a-z0-9_]+)(?:\{([a-z,]+)\})?` \| (\w+) \|/gm));
    const explained = new Map(rows.map(([, name = "", labels = "", type]) => [name, `${type} ${labels}`]));
    for (const [name, { type, series }] of families) {
      const [key = ""] = series.keys();
      const labels = Array.from(key.matchAll(/(\w+)="/g), ([, label]) => label).filter(
        (label) => label !== "le",
      );
      expect([name, `${type} ${labels.join(",")}`]).toEqual([name, explained.get(name)]);
    }
    expect(families.size).toBeGreaterThan(20);
    expect(families.get("gateway_request_duration_seconds")).toBeUndefined();
    await send(one, ["/a"]);
    expect((await scrape(one)).get('gateway_request_duration_seconds_count{route="GET /a"}')).toBe(1);
  });

  test("of a client that leaves early, or asks for the head alone, costs nothing but itself", async () => {
    const one = await start("  - { match: GET /a, to: app, public: true }");
    const head = await fetch(`${adminUrl(one)}/metrics`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const { port } = new URL(adminUrl(one));
    for (let n = 0; n < 20; n++) {
      const socket = connect(Number(port), "127.0.0.1");
      await once(socket, "connect");
      socket.write("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
      socket.destroy();
    }
    expect((await scrape(one)).get("gateway_ready")).toBe(1);
    expect(one.logs.filter((line) => line.event === "defect")).toEqual([]);
  });
});
