// What happens between the first good answer after a loss and the moment that the store is reachable again.

import { describe, expect, onTestFinished, test } from "vitest";
import type { Recovery } from "../../src/store/redis.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { redisCommand, startRedis, type TestRedis, type TestRedisOptions } from "../support/redis.ts";
import { eventually } from "../support/redis-deployments.ts";
import { openStore } from "../support/redis-store.ts";

const RECOVERY_MS = 2_000;
const COUNT = "return {redis.call('INCR', KEYS[1])}";

async function server(options?: TestRedisOptions): Promise<TestRedis> {
  const redis = await startRedis(options);
  onTestFinished(() => redis.stop());
  return redis;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe("a hook", () => {
  test("is awaited before the store is reachable, and can use Redis meanwhile", async () => {
    const redis = await server();
    const { store, events, script, count } = await openStore({ url: redis.url });
    const seen: unknown[] = [];
    store.onRecover(async ({ lostForMs, script: prepare }) => {
      const own = prepare(COUNT);
      seen.push(store.reachable, script.available, await own.run(["gw:x"], []));
      seen.push(await script.run(["gw:x"], []), events.length);
      await pause(100);
      seen.push(lostForMs >= 300 && lostForMs < 5_000, store.reachable, store.lastLoss);
    });
    redis.pause();
    await eventually(async () => (await count()) === undefined);
    await pause(300);
    redis.resume();
    await eventually(() => store.reachable, RECOVERY_MS);
    expect(seen).toEqual([false, false, [1], undefined, 1, true, false, "timeout"]);
    expect(store.lastLoss).toBeUndefined();
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable", "store_recovered"]);
  });

  test("that fails leaves the store unreachable, and everything is tried again", async () => {
    const redis = await server();
    const { store, events, recoveries } = await openStore({ url: redis.url });
    let turns = 0;
    store.onRecover(async () => {
      turns++;
      expect(store.reachable).toBe(false);
      if (turns < 3) throw new Error("canary");
    });
    await redis.restart();
    await eventually(() => store.reachable, RECOVERY_MS);
    expect(turns).toBe(3);
    expect(recoveries).toHaveLength(3);
    expect(JSON.stringify(events)).not.toContain("canary");
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable", "store_recovered"]);
  });

  test("during which Redis is lost again counts for nothing, and what it still does does nothing", async () => {
    const redis = await server();
    const { store, events } = await openStore({ url: redis.url });
    const late: unknown[] = [];
    let turns = 0;
    store.onRecover(async ({ script, barrier }) => {
      const own = script(COUNT);
      if (++turns > 1) return;
      await redis.restart();
      await pause(300);
      late.push(await own.run(["gw:late"], []));
      // One instance waits for nobody.
      await barrier(1);
    });
    await redis.restart();
    await eventually(() => store.reachable, RECOVERY_MS);
    expect(turns).toBe(2);
    expect(late).toEqual([undefined]);
    expect(await redisCommand(redis, "EXISTS gw:late")).toBe(":0\r\n");
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable", "store_recovered"]);
  });

  test("is not asked at the start, but when Redis comes after it", async () => {
    const redis = await server();
    expect((await openStore({ url: redis.url })).recoveries).toEqual([]);
    await redis.stop();
    const early = await openStore({ url: redis.url });
    await redis.restart();
    await eventually(() => early.store.reachable, RECOVERY_MS);
    expect(early.recoveries).toMatchObject([{ sameServer: false }]);
  });

  test("doesn't keep a store from closing", async () => {
    const redis = await server();
    const { store } = await openStore({ url: redis.url });
    store.onRecover(() => new Promise(() => undefined));
    await redis.restart();
    await eventually(() => !store.reachable, RECOVERY_MS);
    await pause(200);
    await store.close();
    expect(store.reachable).toBe(false);
  });
});

describe("the server is the same", () => {
  const LOSSES = [
    [
      "after it was frozen",
      true,
      async (redis: TestRedis) => {
        redis.pause();
        await pause(300);
        redis.resume();
      },
    ],
    [
      "after its connections were ended",
      true,
      async (redis: TestRedis) => {
        await redisCommand(redis, "CLIENT KILL TYPE normal");
      },
    ],
    ["not after a restart", false, (redis: TestRedis) => redis.restart()],
    [
      "not after it was another's replica, whose data it may have taken over",
      false,
      async (redis: TestRedis) => {
        await redisCommand(redis, "REPLICAOF 127.0.0.1 1");
        await pause(300);
        await redisCommand(redis, "REPLICAOF NO ONE");
      },
    ],
  ] as const;

  test.each(LOSSES)("%s", async (_when, same, lose) => {
    const redis = await server();
    const { store, count, recoveries } = await openStore({ url: redis.url });
    await count();
    const losing = lose(redis);
    // An idle store would notice some losses only with its next probe.
    await eventually(async () => {
      await count();
      return store.lastLoss !== undefined || recoveries.length > 0;
    });
    await losing;
    await eventually(() => store.reachable, RECOVERY_MS);
    expect(recoveries.map(({ sameServer }) => sameServer)).toEqual([same]);
    // The next loss is measured against the server of now.
    await redisCommand(redis, "CLIENT KILL TYPE normal");
    await eventually(() => recoveries.length === 2, RECOVERY_MS);
    expect(recoveries[1]?.sameServer).toBe(true);
  });
});

describe("the barrier", () => {
  /** Three stores whose hooks wait for each other; when each of them passed. */
  async function three(redis: TestRedis, urls: readonly string[], phases = [1]) {
    const passed: number[] = [];
    const stores = [];
    for (const url of urls) {
      const one = await openStore({ url });
      one.store.onRecover(async ({ barrier }: Recovery) => {
        for (const phase of phases) await barrier(phase);
        passed.push(performance.now());
      });
      stores.push(one);
    }
    for (const { store } of stores) await store.open();
    expect(stores.map(({ store }) => store.instances())).toEqual([3, 3, 3]);
    expect(await redisCommand(redis, "KEYS *")).toContain("gw:{gw}:instances");
    return { stores, passed };
  }

  test("is passed when all instances have reached it", async () => {
    const redis = await server();
    const { stores, passed } = await three(redis, [redis.url, redis.url, redis.url], [1, 2]);
    await redis.restart();
    const took = await eventually(() => stores.every(({ store }) => store.reachable), RECOVERY_MS);
    // Had nobody been waited for, or somebody in vain, it were at once or two seconds.
    expect(passed).toHaveLength(3);
    expect(took).toBeLessThan(1_000);
    expect(await redisCommand(redis, "ZCARD gw:{gw}:barrier:2")).toBe(":3\r\n");
    expect(await redisCommand(redis, "TTL gw:{gw}:barrier:1")).toMatch(/^:[1-6]?\d\r\n$/);
    // Presence expired with the restart, but those that are coming back are still counted.
    for (const { store } of stores) expect(store.instances()).toBe(3);
  });

  test("waits a second for one that stays away, and not for those of an earlier loss", async () => {
    const redis = await server();
    const proxy = await startFaultProxy({ port: redis.port });
    onTestFinished(() => proxy.stop());
    const viaProxy = `redis://127.0.0.1:${proxy.port}`;
    const { stores, passed } = await three(redis, [redis.url, redis.url, viaProxy]);
    const [first, second, away] = stores;
    // By the events, since a loss may be over before the next look.
    const lose = async (): Promise<void> => {
      const before = [first, second].map((one) => one?.events.length ?? 0);
      passed.length = 0;
      await redisCommand(redis, "CLIENT KILL TYPE normal");
      await eventually(
        () => [first, second].every((one, index) => (one?.events.length ?? 0) > (before[index] ?? 0)),
        RECOVERY_MS,
      );
    };
    const back = () =>
      eventually(() => first?.store.reachable === true && second?.store.reachable === true, 3_000);
    await lose();
    expect(await back()).toBeLessThan(900);
    await eventually(() => away?.store.reachable === true, RECOVERY_MS);
    // Longer than the margin for those that noticed the loss earlier.
    await pause(300);
    await proxy.set({ kind: "refuse" });
    await lose();
    expect(await back()).toBeGreaterThan(800);
    expect(passed).toHaveLength(2);
  });
});
