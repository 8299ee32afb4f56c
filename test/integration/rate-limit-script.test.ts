// The Redis script is held to the pure step: the same decisions at the same times must come out alike, to the unit.

import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { AdmissionLog, grainOf } from "../../src/rate-limit/algorithms/sliding-window.ts";
import { LIMITER_SCRIPT } from "../../src/rate-limit/limiter.ts";
import { random } from "../support/limit-script.ts";

const PREFIX = `script-test-${process.pid}`;
let redis: Redis;

beforeAll(() => {
  redis = new Redis(inject("redisUrl"));
});

afterAll(async () => {
  const keys = await redis.keys(`${PREFIX}:*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

interface Counter {
  readonly key: string;
  readonly limit: number;
  readonly windowMs: number;
}

interface Demand extends Counter {
  readonly cost: number;
}

function argsOf({ limit, windowMs, cost }: Demand): (string | number)[] {
  return [0, limit, windowMs * 1_000, grainOf(limit), cost];
}

/** Runs one batch; the first number of the answer is the server's time. */
async function run(batch: readonly (readonly Demand[])[]): Promise<number[]> {
  const demands = batch.flat();
  const keys = demands.map(({ key }) => key);
  const args = batch.flatMap((decision) => [decision.length, ...decision.flatMap(argsOf)]);
  return (await redis.eval(LIMITER_SCRIPT, keys.length, ...keys, ...args)) as number[];
}

/** What the pure step says, on logs in microseconds. */
class Model {
  readonly #logs = new Map<string, AdmissionLog>();

  decide(batch: readonly (readonly Demand[])[], now: number): number[] {
    return [now, ...batch.flatMap((decision) => this.#one(decision, now))];
  }

  #one(decision: readonly Demand[], now: number): number[] {
    const logs = decision.map(({ key, windowMs }) => {
      const log = this.#logs.get(key) ?? new AdmissionLog(windowMs * 1_000);
      this.#logs.set(key, log);
      return log;
    });
    const used = logs.map((log) => log.used(now));
    const fits = decision.every(({ limit, cost }, index) => used[index]! + cost <= limit);
    const answer = [fits ? 1 : 0];
    for (const [index, { limit, cost }] of decision.entries()) {
      const log = logs[index]!;
      if (fits) log.add(now, cost, grainOf(limit));
      const retry = fits ? 0 : log.untilFits(now, cost, limit);
      answer.push(log.used(now), log.untilFree(now), retry);
    }
    return answer;
  }
}

/** One packed group of a counter's list. */
function group(time: number, before: number, after: number): Buffer {
  const packed = Buffer.alloc(24);
  packed.writeDoubleLE(time, 0);
  packed.writeDoubleLE(before, 8);
  packed.writeDoubleLE(after, 16);
  return packed;
}

/** Calls of EVAL so far, and the microseconds that the server spent in them. */
async function scriptTime(): Promise<{ calls: number; micros: number }> {
  const found = /cmdstat_eval:calls=(\d+),usec=(\d+)/.exec(await redis.info("commandstats"));
  return { calls: Number(found?.[1]), micros: Number(found?.[2]) };
}

describe("the sliding-window script", () => {
  test("Q05 agrees with the pure step over 4,000 random decisions, and leaves no counter unbounded or without an end", async () => {
    const below = random(20_240_611);
    const counters: Counter[] = [
      { key: `${PREFIX}:one`, limit: 1, windowMs: 2 },
      { key: `${PREFIX}:small`, limit: 7, windowMs: 9 },
      { key: `${PREFIX}:hundred`, limit: 100, windowMs: 25 },
      { key: `${PREFIX}:odd`, limit: 149, windowMs: 60 },
      { key: `${PREFIX}:large`, limit: 5_000, windowMs: 40 },
    ];
    const model = new Model();
    let admitted = 0;
    let refused = 0;
    for (let decisions = 0; decisions < 4_000; ) {
      const batch = Array.from({ length: 1 + below(4) }, () => {
        const first = below(counters.length);
        const chosen = counters.filter((_, index) => index === first || below(6) === 0);
        return chosen.map((counter) => {
          const most = below(4) === 0 ? counter.limit : Math.max(1, Math.floor(counter.limit / 20));
          return { ...counter, cost: 1 + below(most) };
        });
      });
      const answer = await run(batch);
      expect(answer).toEqual(model.decide(batch, answer[0]!));
      let at = 1;
      for (const decision of batch) {
        if (answer[at] === 1) admitted++;
        else refused++;
        at += 1 + 3 * decision.length;
      }
      decisions += batch.length;
      if (below(50) === 0) await new Promise((resolve) => setTimeout(resolve, below(70)));
    }
    expect(admitted).toBeGreaterThan(400);
    expect(refused).toBeGreaterThan(400);
    for (const { key } of counters) {
      expect(await redis.llen(key)).toBeLessThanOrEqual(101);
      expect(await redis.pttl(key)).not.toBe(-1);
    }
  });

  test("Q07 gives every counter an end that lies behind its window", async () => {
    const windowMs = 60_000;
    const batches = Array.from({ length: 50 }, (_, index) => [
      [{ key: `${PREFIX}:ttl:${index % 20}`, limit: 2, windowMs, cost: 1 }],
    ]);
    for (const batch of batches) await run(batch);
    const keys = await redis.keys(`${PREFIX}:ttl:*`);
    expect(keys).toHaveLength(20);
    for (const key of keys) {
      const left = await redis.pttl(key);
      expect(left).toBeGreaterThan(windowMs);
      expect(left).toBeLessThanOrEqual(windowMs + 1_000);
    }
  });

  test("Q08 a server clock that was set back by an hour neither reopens the window nor shuts it for the hour", async () => {
    const key = `${PREFIX}:set-back`;
    const demand = { key, limit: 10, windowMs: 100, cost: 1 };
    const [now] = await run([[{ ...demand, key: `${key}:other` }]]);
    const ahead = now! + 3_600_000_000;
    await redis.rpush(key, group(ahead - 50_000, 0, 4), group(ahead - 20_000, 4, 7), group(ahead, 7, 10));
    const [, admitted, used, reset, retry] = await run([[demand]]);
    expect([admitted, used, reset]).toEqual([0, 10, 100_000]);
    // The oldest group keeps its distance to the newest.
    expect(retry).toBe(50_000);
    await new Promise((resolve) => setTimeout(resolve, 51));
    expect((await run([[demand]])).slice(1, 3)).toEqual([1, 7]);
    await new Promise((resolve) => setTimeout(resolve, 101));
    expect((await run([[demand]])).slice(1, 3)).toEqual([1, 1]);
  });

  test("an error in a counter of another type leaves nothing counted by that decision", async () => {
    const good = { key: `${PREFIX}:good`, limit: 5, windowMs: 60_000, cost: 1 };
    const bad = { ...good, key: `${PREFIX}:bad` };
    await redis.set(bad.key, "text", "PX", 10_000);
    await expect(run([[good, bad]])).rejects.toThrow("WRONGTYPE");
    expect(await redis.exists(good.key)).toBe(0);
  });

  test("Q22 a counter under steady load never grows beyond about 100 groups", async () => {
    const demand = { key: `${PREFIX}:steady`, limit: 149, windowMs: 20 };
    let longest = 0;
    let admitted = 0;
    const end = performance.now() + 500;
    for (let turn = 0; performance.now() < end; turn++) {
      const answer = await run(Array.from({ length: 20 }, () => [{ ...demand, cost: 1 + (turn % 2) }]));
      for (let at = 1; at < answer.length; at += 4) admitted += answer[at]!;
      longest = Math.max(longest, await redis.llen(demand.key));
    }
    expect(admitted).toBeGreaterThan(400);
    expect(longest).toBeGreaterThan(10);
    expect(longest).toBeLessThanOrEqual(101);
  });

  test("Q22 a full counter of a large limit takes the server less than a millisecond", async () => {
    const demand = { key: `${PREFIX}:huge`, limit: 100_000, windowMs: 60_000, cost: 1_999 };
    for (let turn = 0; turn < 60; turn++) await run([[demand]]);
    const before = await scriptTime();
    for (let turn = 0; turn < 200; turn++) await run([[{ ...demand, cost: 100_000 }]]);
    const after = await scriptTime();
    expect(after.calls - before.calls).toBeGreaterThanOrEqual(200);
    expect((after.micros - before.micros) / (after.calls - before.calls)).toBeLessThan(1_000);
  });
});
