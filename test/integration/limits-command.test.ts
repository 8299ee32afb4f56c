// `gatewarden limits` on a running gateway: from the name of a caller to his counters, and back to none, in the process
// and in Redis.

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { runCli, startGateway, type TestGateway } from "../support/gateway.ts";
import { startUpstream, type TestUpstream } from "./upstream.ts";

const KEY = "limits-command-key-000000000000000000000001";
const PREFIX = `limits-command-${process.pid}`;
let upstream: TestUpstream;

beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream.stop());

/** A port for the admin listener that the file can name. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

interface Scene {
  readonly gateway: TestGateway;
  readonly file: string;
  call(path: string): Promise<Response>;
  limits(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

async function scene(redis: string): Promise<Scene> {
  const admin = await freePort();
  const file = `listen: 127.0.0.1:0
admin: 127.0.0.1:${admin}
${redis}
apiKeys:
  - { id: bot, value: "\${BOT_KEY}", subject: robot, scopes: [], limits: 50/h }
upstreams: { app: "${upstream.url}" }
globalLimit: 40/min per ip
routes:
  - { match: GET /things, to: app, auth: [apiKey], limit: [3/min per user, { rate: 2/min, per: key, name: watched, observe: true }] }
  - { match: GET /smooth, to: app, public: true, limit: { rate: 10/min, per: route, burst: 2 } }
`;
  const env = { BOT_KEY: KEY };
  const gateway = await startGateway(file, { env });
  return {
    gateway,
    file,
    call: (path) => fetch(`${gateway.url}${path}`, { headers: { "X-API-Key": KEY } }),
    limits: (...args) => runCli(["limits", ...args], file, { env }),
  };
}

describe.each([
  ["in the process", () => "", "memory"],
  ["in Redis", () => `redis: { url: "${inject("redisUrl")}", prefix: ${PREFIX} }`, "redis"],
])("counters %s", (_where, redis, source) => {
  let running: Scene;
  beforeAll(async () => {
    running = await scene(redis());
  });
  afterAll(() => running.gateway.stop());

  test("of a caller are shown by his name, and empty after a reset", async () => {
    const statuses: number[] = [];
    for (let turn = 0; turn < 4; turn++) statuses.push((await running.call("/things")).status);
    expect(statuses).toEqual([200, 200, 200, 429]);

    const shown = await running.limits("show", "--key", "user:robot", "--format", "json");
    expect(shown.stderr).toBe("");
    const { counters } = JSON.parse(shown.stdout) as { counters: Record<string, unknown>[] };
    expect(counters).toEqual([
      expect.objectContaining({
        limit: "GET /things",
        used: 3,
        remaining: 0,
        limitUnits: 3,
        windowSeconds: 60,
        source,
      }),
    ]);
    const byKey = await running.limits("show", "--key", "key:bot");
    expect([byKey.code, byKey.stdout.includes("watched"), byKey.stdout.includes("key bot")]).toEqual([
      0,
      true,
      true,
    ]);
    const byAddress = await running.limits("show", "--key", "ip:127.0.0.1");
    expect(byAddress.stdout).toMatch(/global/);
    for (const { stdout } of [shown, byKey, byAddress]) {
      expect(stdout).not.toContain(KEY);
      expect(stdout).not.toContain("robot");
    }

    const reset = await running.limits("reset", "--key", "user:robot");
    expect([reset.code, reset.stdout]).toEqual([0, "1 counter reset\n"]);
    expect((await running.call("/things")).status).toBe(200);
    expect((await running.limits("reset", "--key", "user:nobody")).code).toBe(1);
    expect((await running.limits("reset", "--key", "nonsense")).code).toBe(2);
    expect(running.gateway.logsOf("audit")).toEqual([
      expect.objectContaining({ event: "limits_reset", counters: 1 }),
      expect.objectContaining({ counters: 0 }),
    ]);
  });

  test("of a bucket and of a whole route are found by the route's name and by their own keys", async () => {
    const answers: number[] = [];
    for (let turn = 0; turn < 3; turn++) answers.push((await fetch(`${running.gateway.url}/smooth`)).status);
    expect(answers).toEqual([200, 200, 429]);
    const shown = await running.limits("show", "--key", "route:GET /smooth", "--format", "json");
    const { counters } = JSON.parse(shown.stdout) as {
      counters: { key: string; algorithm: string; used: number }[];
    };
    expect(counters).toHaveLength(1);
    expect(counters[0]).toMatchObject({ algorithm: "tokenBucket", used: 2 });
    const reset = await running.limits("reset", "--key", counters[0]?.key ?? "");
    expect(reset.code).toBe(0);
    expect((await fetch(`${running.gateway.url}/smooth`)).status).toBe(200);
  });

  test("are summed up in what each limit decided, refusals of observed ones apart", async () => {
    const { stdout } = await running.limits("show", "--format", "json");
    const { limits } = JSON.parse(stdout) as {
      limits: { limit: string; decisions: Record<string, number> }[];
    };
    const of = (name: string) => limits.find(({ limit }) => limit === name)?.decisions;
    expect(of("GET /things")).toMatchObject({ admitted: 4, refused: 1 });
    expect(of("watched")).toMatchObject({ refused: 0 });
    expect(of("watched")?.wouldRefuse).toBeGreaterThanOrEqual(1);
    expect(of("GET /smooth")).toMatchObject({ admitted: 3, refused: 1 });
    expect(limits.find(({ limit }) => limit === "key bot")).toMatchObject({
      route: "",
      per: "key",
      rates: [{ units: 50, windowSeconds: 3_600 }],
      decisions: { admitted: 4, refused: 0 },
    });
    const metrics = await (await fetch(adminUrl(running.gateway, "/metrics"))).text();
    expect(metrics).toMatch(
      /gateway_ratelimit_decisions_total\{route="GET \/things",limit="GET \/things",result="admitted"\} 4/,
    );
    const told = running.gateway.logsOf("decision").filter((line) => line.wouldRefuse !== undefined);
    expect(told[0]).toMatchObject({ decision: "forward", wouldRefuse: ["watched"] });
  });
});

function adminUrl(gateway: TestGateway, path: string): string {
  const { address } = gateway.logs.find((line) => line.event === "admin_listening") ?? {};
  return `http://${String(address)}${path}`;
}
