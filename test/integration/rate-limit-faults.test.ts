// What becomes of limits while Redis is away, frozen, full, read-only or talking nonsense, and when it is back.

import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { GatewayEvent } from "../../src/core/events.ts";
import { Fields } from "../../src/core/fields.ts";
import type { Awaitable } from "../../src/core/result.ts";
import { LIMITER_SCRIPT, Limiter, type LimitResult, type ScriptPort } from "../../src/rate-limit/limiter.ts";
import type { LimitPolicy, StoreFailurePolicy } from "../../src/rate-limit/policy.ts";
import { RedisStore } from "../../src/store/redis.ts";
import { FaultProxy } from "../support/fault-proxy.ts";
import { startRedis, type TestRedis, type TestRedisOptions } from "../support/redis.ts";

const DEADLINE_MS = 50;
const ALLOWANCE_MS = 30;
const RECOVERY_MS = 2_000;

function policy(onStoreFailure: StoreFailurePolicy, more: Partial<LimitPolicy> = {}): LimitPolicy {
  const subject = { by: "ip" } as const;
  return { name: onStoreFailure, limit: 100, windowMs: 60_000, subject, cost: 1, onStoreFailure, ...more };
}

interface Gateway {
  readonly store: RedisStore;
  readonly events: GatewayEvent[];
  take(policies: readonly LimitPolicy[], address?: string): Promise<LimitResult>;
  /** A decision that must not wait. */
  takeNow(policies: readonly LimitPolicy[]): Awaitable<LimitResult>;
}

/** A limiter on a store at `url`, opened, and closed with the test. */
async function gateway(
  url: string,
  clock = () => performance.now(),
  timeoutMs = DEADLINE_MS,
): Promise<Gateway> {
  const events: GatewayEvent[] = [];
  const emit = (event: GatewayEvent): void => void events.push(event);
  const store = new RedisStore({ url, prefix: "gw", timeoutMs, emit });
  onTestFinished(() => store.close());
  await store.open();
  const script = store.script(LIMITER_SCRIPT);
  const options = { prefix: "gw", clock: { steadyMs: clock }, script, instances: () => store.instances() };
  const limiter = new Limiter(options);
  const fields = new Fields([]);
  const take = (policies: readonly LimitPolicy[], clientAddress = "192.0.2.1"): Awaitable<LimitResult> =>
    limiter.take(policies, { principal: undefined, clientAddress, fields });
  return { store, events, take: async (policies, address) => take(policies, address), takeNow: take };
}

async function redisServer(options?: TestRedisOptions): Promise<TestRedis> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

/** One command in the server's inline form; its answer as text. */
function command(redis: TestRedis, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(redis.port, "127.0.0.1", () => socket.write(`${line}\r\n`));
    socket.once("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(condition: () => boolean, withinMs: number): Promise<number> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms`);
    await pause(5);
  }
  return performance.now() - start;
}

/** The longest that the event loop was late by while `work` ran: time that other processes took, not the limiter. */
async function withLag<T>(work: () => Promise<T>): Promise<{ value: T; lagMs: number }> {
  let lagMs = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    lagMs = Math.max(lagMs, performance.now() - last - 2);
    last = performance.now();
  }, 2);
  const value = await work();
  lagMs = Math.max(lagMs, performance.now() - last - 2);
  clearInterval(timer);
  return { value, lagMs };
}

/** A decision, and how long it took beyond what the machine was late by. */
async function timed(
  gate: Gateway,
  policies: readonly LimitPolicy[],
): Promise<readonly [LimitResult, number]> {
  const { value, lagMs } = await withLag(async () => {
    const start = performance.now();
    const result = await gate.take(policies);
    return [result, performance.now() - start] as const;
  });
  return [value[0], value[1] - lagMs];
}

function degradedOf(result: LimitResult): boolean | undefined {
  return result.kind === "unavailable" ? undefined : result.tightest.degraded;
}

/** Ways to lose the server; each is undone by `restart` or `resume`. */
const LOSSES = [
  {
    id: "Q09",
    how: "killed",
    lose: (redis: TestRedis) => redis.stop(),
    back: (redis: TestRedis) => redis.restart(),
  },
  {
    id: "Q10",
    how: "frozen",
    lose: async (redis: TestRedis) => redis.pause(),
    back: async (redis: TestRedis) => redis.resume(),
  },
] as const;

const EXPECTED = [
  { mode: "deny", kind: "unavailable", degraded: undefined },
  { mode: "allow", kind: "admitted", degraded: true },
  { mode: "local", kind: "admitted", degraded: true },
] as const;

describe.each(LOSSES)("$id while Redis is $how", ({ lose, back }) => {
  test.each(
    EXPECTED,
  )("a limit in mode $mode decides within the deadline, and again with Redis 2 s after it is back", async ({
    mode,
    kind,
    degraded,
  }) => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    const policies = [policy(mode)];
    expect(degradedOf(await gate.take(policies))).toBe(false);
    await lose(redis);
    const [first, took] = await timed(gate, policies);
    expect(first.kind).toBe(kind);
    expect(degradedOf(first)).toBe(degraded);
    expect(took).toBeLessThanOrEqual(DEADLINE_MS + ALLOWANCE_MS);
    // The circuit is open: nobody waits for anything any more.
    for (let turn = 0; turn < 20; turn++) expect(gate.takeNow(policies)).toMatchObject({ kind });
    await pause(600);
    expect((await gate.take(policies)).kind).toBe(kind);
    await back(redis);
    await until(() => gate.store.reachable, RECOVERY_MS);
    expect(degradedOf(await gate.take(policies))).toBe(false);
    expect(gate.events.map((event) => event.kind)).toEqual(["store_unreachable", "store_recovered"]);
  });

  test("no request of a steady load hangs or waits past the deadline, through three losses", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    const policies = [policy("local", { limit: 1_000_000 })];
    let running = true;
    let longest = 0;
    let decisions = 0;
    const client = async (): Promise<void> => {
      while (running) {
        const start = performance.now();
        const result = await gate.take(policies);
        longest = Math.max(longest, performance.now() - start);
        expect(result.kind).toBe("admitted");
        decisions++;
        await pause(1);
      }
    };
    const { lagMs } = await withLag(async () => {
      const clients = Array.from({ length: 20 }, client);
      for (let loss = 0; loss < 3; loss++) {
        await pause(100);
        await lose(redis);
        await pause(300);
        await back(redis);
        await until(() => gate.store.reachable, RECOVERY_MS);
      }
      running = false;
      await Promise.all(clients);
    });
    expect(decisions).toBeGreaterThan(1_000);
    expect(longest - lagMs).toBeLessThanOrEqual(DEADLINE_MS + ALLOWANCE_MS);
    const kinds = gate.events.map((event) => event.kind);
    expect(kinds).toEqual(Array.from({ length: 3 }, () => ["store_unreachable", "store_recovered"]).flat());
  });
});

describe("the local share", () => {
  test("is the limit divided by the gateways, less what this one admitted already", async () => {
    const redis = await redisServer();
    const gates = [];
    for (let index = 0; index < 4; index++) gates.push(await gateway(redis.url));
    await gates[0]!.store.open();
    const first = gates[0]!;
    expect(first.store.instances()).toBe(4);
    const policies = [policy("local")];
    for (let turn = 0; turn < 10; turn++) await first.take(policies);
    await redis.stop();
    await until(() => !first.store.reachable, 1_000);
    const answers = await Promise.all(Array.from({ length: 40 }, () => first.take(policies)));
    const admitted = answers.filter((answer) => answer.kind === "admitted");
    expect(admitted).toHaveLength(15);
    expect(answers.at(-1)).toMatchObject({ kind: "refused", tightest: { degraded: true, remaining: 0 } });
  });

  test("lets at least one request through, however dear it is", async () => {
    const redis = await redisServer();
    const [gate] = [await gateway(redis.url), await gateway(redis.url), await gateway(redis.url)];
    await gate.store.open();
    expect(gate.store.instances()).toBe(3);
    await redis.stop();
    await until(() => !gate.store.reachable, 1_000);
    const policies = [policy("local", { limit: 10, cost: 8 })];
    expect((await gate.take(policies)).kind).toBe("admitted");
    expect((await gate.take(policies)).kind).toBe("refused");
  });

  test("a gateway that closes is no longer counted", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    const other = await gateway(redis.url);
    await gate.store.open();
    expect(gate.store.instances()).toBe(2);
    await other.store.close();
    await gate.store.open();
    expect(gate.store.instances()).toBe(1);
  });

  test("of several limits each follows its own choice, and deny wins", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    await redis.stop();
    await until(() => !gate.store.reachable, 1_000);
    const local = policy("local", { limit: 1 });
    const allow = policy("allow", { limit: 1 });
    const deny = policy("deny", { limit: 1 });
    expect((await gate.take([local, allow])).kind).toBe("admitted");
    expect(await gate.take([allow])).toMatchObject({
      kind: "admitted",
      tightest: { degraded: true, remaining: 0 },
    });
    expect(await gate.take([allow, local])).toMatchObject({ kind: "refused", tightest: { policy: local } });
    expect(await gate.take([allow, local, deny])).toEqual({ kind: "unavailable", policy: deny });
  });
});

describe("a server that answers, but not with a decision", () => {
  test("Q11 that was restarted has forgotten the script and is taught it again, within the call", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
    await command(redis, "SCRIPT FLUSH");
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
    expect(gate.events).toEqual([]);
  });

  test("Q14 out of memory counts as lost, with one event for as long as it lasts", async () => {
    const redis = await redisServer({ args: ["--maxmemory-policy", "noeviction"] });
    const gate = await gateway(redis.url);
    await command(redis, "CONFIG SET maxmemory 1");
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    await pause(800);
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    expect(gate.events).toEqual([{ kind: "store_unreachable", store: "redis", reason: "oom" }]);
    await command(redis, "CONFIG SET maxmemory 0");
    await until(() => gate.store.reachable, RECOVERY_MS);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
  });

  test.each([
    ["READONLY", "replica-serve-stale-data yes", "readonly"],
    ["MASTERDOWN", "replica-serve-stale-data no", "masterdown"],
  ])("Q13 demoted to a replica (%s) counts as lost until it is promoted", async (_error, setting, reason) => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    await command(redis, `CONFIG SET ${setting}`);
    await command(redis, "REPLICAOF 127.0.0.1 1");
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    expect((await gate.take([policy("local")])).kind).toBe("admitted");
    expect(gate.events).toEqual([{ kind: "store_unreachable", store: "redis", reason }]);
    await command(redis, "REPLICAOF NO ONE");
    await until(() => gate.store.reachable, RECOVERY_MS);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
  });

  test("Q13 busy with another's endless script counts as lost until that is killed", async () => {
    const redis = await redisServer({ args: ["--busy-reply-threshold", "10"] });
    const gate = await gateway(redis.url);
    const endless = command(redis, 'EVAL "while true do end" 0');
    await pause(30);
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    await command(redis, "SCRIPT KILL");
    await endless;
    await until(() => gate.store.reachable, RECOVERY_MS);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
  });

  test("Q16 a counter of another type is unavailable, and others go on undisturbed", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    const deny = [policy("deny")];
    await gate.take(deny);
    const key = /gw:deny:[^\r]+/.exec(await command(redis, "KEYS gw:deny:*"))?.[0];
    await command(redis, `SET ${key} text`);
    expect((await gate.take(deny)).kind).toBe("unavailable");
    expect(degradedOf(await gate.take(deny, "192.0.2.2"))).toBe(false);
    expect(gate.events).toEqual([]);
  });

  test.each<[string, (good: readonly unknown[]) => readonly unknown[]]>([
    ["nothing", () => []],
    ["too little", (good) => good.slice(0, -1)],
    ["too much", (good) => [...good, 0]],
    ["text", (good) => good.map(String)],
    ["NaN", (good) => good.map(() => Number.NaN)],
    ["nil", (good) => good.map(() => null)],
    ["negative numbers", (good) => [...good.slice(0, -1), -1]],
    ["fractions", (good) => [...good.slice(0, -1), 0.5]],
    ["an admission that asks to wait", (good) => [...good.slice(0, -1), 1_000]],
    ["a refusal without a wait", ([now]) => [now, 0, 1, 60_000_000, 0]],
  ])("Q16 an answer of %s is unavailable, never an admission", async (_what, spoil) => {
    const good = [1_700_000_000_000_000, 1, 1, 60_000_000, 0];
    const script: ScriptPort = { available: true, run: async () => spoil(good) };
    const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 }, script });
    const input = { principal: undefined, clientAddress: "192.0.2.1", fields: new Fields([]) };
    expect(await limiter.take([policy("deny")], input)).toMatchObject({ kind: "unavailable" });
    const sound: ScriptPort = { available: true, run: async () => good };
    const trusting = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 }, script: sound });
    expect(await trusting.take([policy("deny")], input)).toMatchObject({ kind: "admitted" });
  });

  test.each([
    ["delay", { kind: "delay", ms: 10_000 }],
    ["blackhole", { kind: "blackhole" }],
    ["reset", { kind: "reset" }],
    ["refuse", { kind: "refuse" }],
    ["cut in mid-answer", { kind: "cut", bytes: 3, how: "fin" }],
  ] as const)("Q10 a network that turns to %s is a loss, and its end a recovery", async (_name, fault) => {
    const redis = await redisServer();
    const proxy = await new FaultProxy({ port: redis.port }).start();
    onTestFinished(() => proxy.stop());
    const gate = await gateway(`redis://127.0.0.1:${proxy.port}`);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
    await proxy.set(fault, "drop");
    const [result, took] = await timed(gate, [policy("deny")]);
    expect(result.kind).toBe("unavailable");
    expect(took).toBeLessThanOrEqual(DEADLINE_MS + ALLOWANCE_MS);
    await pause(1_200);
    await proxy.set({ kind: "none" });
    await until(() => gate.store.reachable, RECOVERY_MS);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
  });
});

describe("start-up", () => {
  test.each([
    ["allkeys-lru", "10mb", [{ kind: "store_evicts", store: "redis", policy: "allkeys-lru" }]],
    ["volatile-ttl", "10mb", [{ kind: "store_evicts", store: "redis", policy: "volatile-ttl" }]],
    ["allkeys-lru", "0", []],
    ["noeviction", "10mb", []],
  ])("Q14 warns once of a server that evicts counters: %s with maxmemory %s", async (evict, most, expected) => {
    const redis = await redisServer({ args: ["--maxmemory-policy", evict, "--maxmemory", most] });
    const gate = await gateway(redis.url);
    await gate.take([policy("deny")]);
    await gate.store.open();
    await pause(20);
    expect(gate.events).toEqual(expected);
  });

  test("Q09 without Redis the store opens at once, degraded, and finds Redis when it comes", async () => {
    const redis = await redisServer();
    await redis.stop();
    const start = performance.now();
    const gate = await gateway(redis.url);
    expect(performance.now() - start).toBeLessThan(1_000);
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    expect(gate.events).toEqual([{ kind: "store_unreachable", store: "redis", reason: "econnrefused" }]);
    await redis.restart();
    await until(() => gate.store.reachable, RECOVERY_MS);
    expect(degradedOf(await gate.take([policy("deny")]))).toBe(false);
  });

  test("a wrong password is a loss whose event does not hold it", async () => {
    const redis = await redisServer({ args: ["--requirepass", "right-password"] });
    const gate = await gateway(`redis://:wrong-password@127.0.0.1:${redis.port}`);
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    expect(gate.events[0]).toEqual({ kind: "store_unreachable", store: "redis", reason: "wrongpass" });
    expect(JSON.stringify(gate.events)).not.toContain("password");
    const good = await gateway(`redis://:right-password@127.0.0.1:${redis.port}`);
    expect(degradedOf(await good.take([policy("deny")]))).toBe(false);
  });

  test("a closed store stays closed, and does so without an event", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url, undefined, 2_000);
    await gate.store.close();
    expect((await gate.take([policy("deny")])).kind).toBe("unavailable");
    expect(gate.events).toEqual([]);
  });
});

describe("a busy gateway", () => {
  test("does not blame Redis for its own stall: an answer that is there already counts", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    await gate.take([policy("deny")]);
    redis.pause();
    const decision = gate.take([policy("deny")]);
    await pause(5);
    // From here the loop comes to its timers before it comes to its sockets.
    await new Promise((resolve) => setImmediate(resolve));
    redis.resume();
    const stalled = performance.now();
    while (performance.now() - stalled < 3 * DEADLINE_MS);
    expect(degradedOf(await decision)).toBe(false);
    expect(gate.events).toEqual([]);
  });

  test("decides a thousand requests of one moment, each by itself", async () => {
    const redis = await redisServer();
    // As long as a machine that others use as well may take to decide them all.
    const gate = await gateway(redis.url, undefined, 2_000);
    const policies = [policy("deny", { limit: 3 })];
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => gate.take(policies, `192.0.2.${index % 200}`)),
    );
    expect(answers.filter((answer) => answer.kind === "admitted")).toHaveLength(600);
    expect(answers.filter((answer) => answer.kind === "refused")).toHaveLength(400);
  });
});

describe("known refusals", () => {
  test("are answered without asking the server, exactly until there is room again", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    const policies = [policy("deny", { limit: 2, windowMs: 900 })];
    const start = performance.now();
    await gate.take(policies);
    const second = performance.now();
    await gate.take(policies);
    expect((await gate.take(policies)).kind).toBe("refused");
    const calls = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await command(redis, "INFO commandstats"))?.[1]);
    const before = await calls();
    for (let turn = 0; turn < 50; turn++) expect(gate.takeNow(policies)).toMatchObject({ kind: "refused" });
    expect(await calls()).toBe(before);
    let kind = "refused";
    while (kind === "refused") {
      await pause(1);
      ({ kind } = await gate.take(policies));
    }
    expect(kind).toBe("admitted");
    expect(performance.now() - start).toBeGreaterThanOrEqual(900);
    expect(performance.now() - second).toBeLessThan(900 + 100);
  });

  test("do not outlive a counter that was deleted by more than a second", async () => {
    const redis = await redisServer();
    const gate = await gateway(redis.url);
    const policies = [policy("deny", { limit: 1 })];
    await gate.take(policies);
    expect(await gate.take(policies)).toMatchObject({ kind: "refused", tightest: { retryAfterSeconds: 60 } });
    await command(redis, "FLUSHALL");
    expect(await gate.take(policies)).toMatchObject({ kind: "refused", tightest: { retryAfterSeconds: 60 } });
    await pause(1_050);
    expect((await gate.take(policies)).kind).toBe("admitted");
  });

  test("Q08 gateways whose clocks differ by a minute share one count", async () => {
    const redis = await redisServer();
    const early = await gateway(redis.url, () => performance.now() + 30_000);
    const late = await gateway(redis.url, () => performance.now() - 30_000);
    const policies = [policy("deny", { limit: 10, windowMs: 20_000 })];
    let admitted = 0;
    for (let turn = 0; turn < 20; turn++) {
      if ((await (turn % 2 === 0 ? early : late).take(policies)).kind === "admitted") admitted++;
    }
    expect(admitted).toBe(10);
  });
});
