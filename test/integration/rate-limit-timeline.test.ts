// The promise as users see it: four gateway processes and 200 clients on one key, while Redis is well and while it is
// frozen, paused, killed and restarted empty. Nowhere on the recorded timeline does a window hold more than the limit.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { redisCommand, startRedis, type TestRedis } from "../support/redis.ts";
import { eventually, type SentinelDeployment, startSentinels } from "../support/redis-deployments.ts";
import { mostInWindow } from "../support/timeline.ts";
import type { Campaign, Report } from "./timeline-clients.ts";

const GATEWAYS = 4;
const CLIENTS = 200;
const LIMIT = 300;
const WINDOW_MS = 2_000;
const PROGRAM = fileURLToPath(new URL("./timeline-clients.ts", import.meta.url));
const PATHS = ["/exact", "/leased", "/bucket"];

let clients: ChildProcess;
let upstreamPort = 0;

beforeAll(async () => {
  clients = fork(PROGRAM, { execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
  [upstreamPort] = (await once(clients, "message")) as [number];
});

afterAll(() => clients.disconnect());

/** The file of every gateway; `redis` is its section. */
function yaml(redis: string): string {
  return `listen: 127.0.0.1:0
logs: { access: off, decisions: off }
redis: { ${redis}, timeout: 300ms }
upstreams: { app: "http://127.0.0.1:${upstreamPort}" }
routes:
  - { match: /exact, to: app, public: true, limit: { rate: ${LIMIT}/2s, per: route } }
  - { match: /leased, to: app, public: true, limit: { rate: ${LIMIT}/2s, per: route, sync: leased } }
  - { match: /bucket, to: app, public: true, limit: { rate: ${LIMIT - 60}/2s, per: route, burst: 60, onStoreFailure: deny } }
`;
}

function startGateways(redis: string): Promise<TestGateway[]> {
  return Promise.all(Array.from({ length: GATEWAYS }, () => startGateway(yaml(redis))));
}

/** Lets the clients fire for as long as `meanwhile` takes; what they saw by path. */
async function campaign(
  gateways: readonly TestGateway[],
  meanwhile: () => Promise<void>,
): Promise<Readonly<Record<string, Report>>> {
  const ports = gateways.map((gateway) => gateway.port);
  const start: Campaign = { kind: "start", ports, paths: PATHS, clients: CLIENTS, pauseMs: 400 };
  clients.send(start);
  await meanwhile();
  const report = once(clients, "message");
  clients.send({ kind: "stop" });
  return (await report)[0] as Record<string, Report>;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Within the limit throughout; nobody waits in vain, and nobody meets a failure but where the file says `deny`. */
function expectHonest(reports: Readonly<Record<string, Report>>, gateways: readonly TestGateway[]): void {
  for (const path of PATHS) {
    const { admitted, others, modes } = reports[path]!;
    expect(mostInWindow(admitted, WINDOW_MS), path).toBeLessThanOrEqual(LIMIT);
    expect(Object.keys(others), path).toEqual(path === "/bucket" ? ["503"] : []);
    if (path !== "/bucket") expect(modes.local, path).toBeGreaterThan(50);
    expect(admitted.length, path).toBeGreaterThan(LIMIT * 3);
  }
  for (const gateway of gateways) expect(gateway.alive()).toBe(true);
}

describe(`${GATEWAYS} gateways, ${CLIENTS} clients, one key, one Redis`, () => {
  let redis: TestRedis;
  let gateways: TestGateway[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    gateways = await startGateways(`url: "${redis.url}"`);
  }, 60_000);

  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await redis.stop();
  });

  test("Q05 Q06 in 30 s no window holds more than the limit, and hardly less", async () => {
    const seconds = 30;
    const reports = await campaign(gateways, () => pause(seconds * 1_000));
    for (const path of PATHS) {
      const { admitted, others, modes } = reports[path]!;
      expect(others, path).toEqual({});
      expect(modes, path).toEqual({});
      expect(mostInWindow(admitted, WINDOW_MS), path).toBeLessThanOrEqual(LIMIT);
    }
    const windows = (seconds * 1_000) / WINDOW_MS;
    expect(reports["/exact"]!.admitted.length).toBeGreaterThan(windows * LIMIT * 0.9);
    expect(reports["/leased"]!.admitted.length).toBeGreaterThan(windows * LIMIT * 0.8);
    expect(reports["/bucket"]!.admitted.length).toBeGreaterThan(windows * (LIMIT - 60) * 0.95);
  }, 60_000);

  test("Q09 Q10 Q11 nor while Redis is frozen, paused, killed and restarted empty", async () => {
    const reports = await campaign(gateways, async () => {
      await pause(2_500);
      redis.pause();
      await pause(1_500);
      redis.resume();
      await pause(3_000);
      await redisCommand(redis, "CLIENT PAUSE 1500");
      await pause(4_500);
      await redis.restart();
      await pause(4_000);
      await redis.stop();
      await pause(3_000);
      await redis.restart();
      await pause(4_000);
    });
    expectHonest(reports, gateways);
  }, 60_000);
});

describe(`${GATEWAYS} gateways, ${CLIENTS} clients, one key, three Sentinels`, () => {
  let deployment: SentinelDeployment;
  let gateways: TestGateway[] = [];

  beforeAll(async () => {
    deployment = await startSentinels();
    const sentinels = deployment.sentinels.map(({ port }) => `127.0.0.1:${port}`);
    gateways = await startGateways(
      `sentinels: [${sentinels.map((one) => `"${one}"`).join(", ")}], name: ${deployment.name}`,
    );
  }, 60_000);

  afterAll(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await deployment.stop();
  });

  test("Q13 no window holds more than the limit while one master is killed, and another leaves office", async () => {
    const reports = await campaign(gateways, async () => {
      await pause(3_000);
      const killed = await deployment.master();
      await killed.stop();
      await eventually(async () => (await deployment.master()).port !== killed.port, 15_000);
      await pause(6_000);
      const left = await deployment.master();
      const [sentinel] = deployment.sentinels;
      await eventually(async () =>
        (await redisCommand(sentinel!, `SENTINEL failover ${deployment.name}`)).startsWith("+OK"),
      );
      await eventually(async () => (await deployment.master()).port !== left.port, 15_000);
      await pause(6_000);
    });
    expectHonest(reports, gateways);
  }, 90_000);
});
