// Faults of one server and of the way to it: a call never waits past its deadline, recovery needs no restart, and nothing
// of a closed store stays behind. test/integration/rate-limit-faults.test.ts has what limits make of them.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Fault, type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { redisCommand, startRedis, type TestRedis, type TestRedisOptions } from "../support/redis.ts";
import { eventually } from "../support/redis-deployments.ts";
import { DEADLINE_MS, openStore, type StoreUnderTest } from "../support/redis-store.ts";

const RECOVERY_MS = 2_000;
// Far above the deadline and far below the second after which a connection is given up.
const SOON_MS = DEADLINE_MS * 5;

async function server(options?: TestRedisOptions): Promise<TestRedis> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

async function behindProxy(): Promise<{ redis: TestRedis; proxy: FaultProxy; url: string }> {
  const redis = await server();
  const proxy = await startFaultProxy({ port: redis.port });
  onTestFinished(() => proxy.stop());
  return { redis, proxy, url: `redis://127.0.0.1:${proxy.port}` };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Calls until one fails; none may take longer than `SOON_MS`. */
async function untilLost({ count }: StoreUnderTest): Promise<void> {
  await eventually(async () => {
    const start = performance.now();
    const answer = await count();
    expect(performance.now() - start).toBeLessThan(SOON_MS);
    return answer === undefined;
  });
}

const kinds = ({ events }: StoreUnderTest): readonly string[] => events.map(({ kind }) => kind);
const ONCE = ["store_unreachable", "store_recovered"];

describe("a server", () => {
  test("Q13 that is loading its data (LOADING) is waited for", async () => {
    const redis = await server({
      args: ["--key-load-delay", "3000", "--loading-process-events-interval-bytes", "1024"],
    });
    const one = await openStore({ url: redis.url });
    await redisCommand(
      redis,
      "EVAL \"for i=1,200 do redis.call('SET', 'other:'..i, string.rep('x', 100)) end\" 0",
    );
    await redisCommand(redis, "SAVE");
    const restarting = redis.restart();
    await eventually(() => one.store.lastLoss === "loading", 5_000);
    expect(await one.count()).toBeUndefined();
    await restarting;
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(await one.count()).toBe(1);
    expect(kinds(one)).toEqual(ONCE);
    expect(one.recoveries).toMatchObject([{ sameServer: false }]);
  });

  test("Q10 that is paused (CLIENT PAUSE) is a loss for as long", async () => {
    const redis = await server();
    const one = await openStore({ url: redis.url });
    expect(await one.count()).toBe(1);
    await redisCommand(redis, "CLIENT PAUSE 1500 ALL");
    await untilLost(one);
    await pause(1_500);
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(await one.count()).toBeGreaterThan(1);
    expect(kinds(one)).toEqual(ONCE);
    expect(one.recoveries).toMatchObject([{ sameServer: true }]);
  });

  test("Q14 without memory (OOM) is told by its reason, and counted", async () => {
    const redis = await server();
    const one = await openStore({ url: redis.url });
    await redisCommand(redis, "CONFIG SET maxmemory 1");
    expect(await one.count()).toBeUndefined();
    expect(await one.count()).toBeUndefined();
    expect(one.store.lastLoss).toBe("oom");
    // The second call was never sent.
    expect([...one.store.failures]).toEqual([["oom", 1]]);
    await redisCommand(redis, "CONFIG SET maxmemory 0");
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(one.store.lastLoss).toBeUndefined();
    expect(kinds(one)).toEqual(ONCE);
  });

  test("Q11 that forgot the script (NOSCRIPT) learns it again within the call", async () => {
    const redis = await server();
    const one = await openStore({ url: redis.url });
    await redisCommand(redis, "SCRIPT FLUSH");
    expect(await one.count()).toBe(1);
    expect(kinds(one)).toEqual([]);
  });
});

describe("the way to the server", () => {
  const LOSSES: readonly (readonly [string, Fault, "keep" | "drop"])[] = [
    ["that swallows everything on standing connections (half-open)", { kind: "blackhole" }, "keep"],
    ["that swallows everything, new connections too", { kind: "blackhole" }, "drop"],
    ["that became slower than the deadline", { kind: "delay", ms: 3 * DEADLINE_MS }, "keep"],
    ["that is gone", { kind: "refuse" }, "drop"],
    ["that resets every connection", { kind: "reset" }, "drop"],
  ];

  test.each(LOSSES)("Q10 %s is a loss, and its return ends it", async (_what, fault, existing) => {
    const { proxy, url } = await behindProxy();
    const one = await openStore({ url });
    expect(await one.count()).toBe(1);
    await proxy.set(fault, existing);
    await untilLost(one);
    await pause(1_300);
    expect(one.store.reachable).toBe(false);
    await proxy.set({ kind: "none" });
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(await one.count()).toBeGreaterThan(1);
    expect(kinds(one)).toEqual(ONCE);
  });

  test("Q10 an idle store notices a half-open connection by its own probe", async () => {
    const { proxy, url } = await behindProxy();
    const one = await openStore({ url });
    // Nothing is under way any more.
    await pause(100);
    await proxy.set({ kind: "blackhole" });
    await pause(500);
    expect(one.store.reachable).toBe(true);
    await eventually(() => !one.store.reachable, 3_000);
  });
});

describe("a closed store", () => {
  const PROGRAM = `
    import { RedisStore } from ${JSON.stringify(new URL("../../src/store/redis.ts", import.meta.url).href)};
    const store = new RedisStore({ ...JSON.parse(process.argv[1]), prefix: "gw", timeoutMs: 50, emit: () => {} });
    // A server that listens keeps a gateway up; here only what the store holds does.
    const up = setInterval(() => {}, 1000);
    await store.open();
    await store.script("return {1}").run(["gw:x"], []);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const start = performance.now();
    await store.close();
    clearInterval(up);
    process.on("exit", () => console.log(JSON.stringify([store.reachable, Math.round(performance.now() - start)])));
  `;

  /** Milliseconds from the call of \`close\` to the end of the process. */
  async function timeToExit(options: object): Promise<number> {
    const args = ["--input-type=module", "-e", PROGRAM, JSON.stringify(options)];
    const child = spawn(process.execPath, args, {
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const [code] = await once(child, "close");
    expect(code).toBe(0);
    const [reachable, tookMs] = JSON.parse(output) as [boolean, number];
    expect(reachable).toBe(false);
    return tookMs;
  }

  test("leaves no timer and no connection, whatever became of the server", async () => {
    const good = await server();
    const gone = await server();
    await gone.stop();
    const { redis: frozen, proxy, url } = await behindProxy();
    await proxy.set({ kind: "blackhole" });
    frozen.pause();
    const address = (port: number) => ({ host: "127.0.0.1", port });
    const took = await Promise.all([
      timeToExit({ url: good.url }),
      timeToExit({ url: gone.url }),
      timeToExit({ url: frozen.url, password: "x" }),
      timeToExit({ url }),
      timeToExit({ sentinels: [address(gone.port), address(frozen.port), address(good.port)], name: "main" }),
      timeToExit({ cluster: [address(gone.port), address(proxy.port), address(good.port)] }),
    ]);
    // What is left over would hold the process for as long as its connection is waited for, a second.
    expect(Math.max(...took)).toBeLessThan(900);
    frozen.resume();
  });
});
