// The script in a real Redis against the pure steps and a plain model, over random decisions of every kind on a clock
// that the test sets: every answer alike, to the unit and to the microsecond.

import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Meter } from "../../src/rate-limit/algorithms/meter.ts";
import { type Measure, measureOf } from "../../src/rate-limit/algorithms/registry.ts";
import type { LimitAlgorithm, LimitPolicy } from "../../src/rate-limit/policy.ts";
import {
  asCall,
  type LeaseTerms,
  type ModelDecision,
  type ModelDemand,
  type ModelLimit,
  type ModelMode,
  ScriptModel,
} from "../support/limit-model.ts";
import { Admissions, keysOf, random, runScript } from "../support/limit-script.ts";

const PREFIX = `model-test-${process.pid}`;
const START = 1_700_000_000_000_000;
let redis: Redis;

beforeAll(() => {
  redis = new Redis(inject("redisUrl"));
});

afterAll(async () => {
  const keys = await keysOf(redis, PREFIX);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

function measure(algorithm: LimitAlgorithm, limit: number, windowMs: number, burst?: number): Measure {
  const policy: LimitPolicy = {
    name: "any",
    limit,
    windowMs,
    subject: { by: "route" },
    cost: 1,
    onStoreFailure: "deny",
    algorithm,
  };
  return measureOf(burst === undefined ? policy : { ...policy, burst });
}

interface Fixture {
  readonly limit: ModelLimit;
  readonly measure: Measure;
}

function fixture(key: string, found: Measure, more: Partial<ModelLimit> = {}): Fixture {
  const [form, first, second] = found.form;
  const limit = {
    key: `${PREFIX}:${key}`,
    form: form === 0 ? "log" : "bucket",
    cap: found.cap,
    first,
    second,
  } as const;
  return { limit: { ...limit, ...more }, measure: found };
}

/** Counters of one algorithm, small and large, one of them of nothing. */
function fixtures(algorithm: LimitAlgorithm, test: string, more: Partial<ModelLimit> = {}): Fixture[] {
  const named = (name: string): string => `${test}:${algorithm}:${name}`;
  const bursts = algorithm === "tokenBucket";
  return [
    fixture(named("one"), measure(algorithm, 1, 2), more),
    fixture(named("small"), measure(algorithm, 7, 9, bursts ? 3 : undefined), more),
    fixture(named("hundred"), measure(algorithm, 100, 25), more),
    fixture(named("odd"), measure(algorithm, 149, 60, bursts ? 400 : undefined), more),
    fixture(named("large"), measure(algorithm, 5_000, 40), more),
    fixture(named("none"), measure(algorithm, 0, 40), more),
  ];
}

/** Time to the next call: mostly short, sometimes past every window, sometimes backwards. */
function advance(below: (below: number) => number, jumps: boolean): number {
  const kind = below(100);
  if (kind < 70) return below(3_000);
  if (kind < 97) return below(20_000);
  if (kind < 98 && jumps) return -below(100_000);
  return below(200_000);
}

/** What the pure steps say: all enforced limits of a decision or none, an observed one where it has room. */
class PureSteps {
  readonly #meters = new Map<string, Meter>();

  decide(demands: readonly (readonly [Fixture, cost: number])[], now: number): number[] {
    const all = demands.map(([{ limit, measure }, cost]) => {
      const meter = this.#meters.get(limit.key) ?? measure.create();
      this.#meters.set(limit.key, meter);
      return { meter, cost, limit, measure, fits: meter.used(now) + cost <= limit.cap };
    });
    const admitted = all.every(({ fits, limit }) => fits || limit.observed === true);
    const answer = [admitted ? 1 : 0];
    for (const { meter, cost, limit, measure, fits } of all) {
      if (admitted && fits && cost > 0) meter.add(now, cost, measure.grain);
      const retry = fits ? 0 : meter.untilFits(now, cost, limit.cap);
      answer.push(meter.used(now), meter.untilFree(now), retry);
    }
    return answer;
  }
}

const STEPS = 10_000;

describe("the script", () => {
  test.each([
    "slidingWindow",
    "slidingLog",
    "tokenBucket",
  ] as const)("Q05 answers %s as the pure step does, over 10,000 random decisions with other algorithms beside it", async (algorithm) => {
    const below = random(algorithm.length * 104728);
    const own = fixtures(algorithm, "pure");
    const observed = fixtures(algorithm, "observed", { observed: true });
    const others = (["slidingWindow", "slidingLog", "tokenBucket"] as const)
      .filter((other) => other !== algorithm)
      .flatMap((other) => fixtures(other, `beside-${algorithm}`));
    const steps = new PureSteps();
    const score = { admitted: 0, refused: 0, looks: 0 };
    let now = START;
    for (let decisions = 0; decisions < STEPS; ) {
      now += advance(below, false);
      const batch = Array.from({ length: 1 + below(50) }, () => {
        const chosen = [own[below(own.length)] as Fixture];
        if (below(3) === 0) chosen.push(others[below(others.length)] as Fixture);
        if (below(4) === 0) chosen.push(observed[below(observed.length)] as Fixture);
        if (below(5) === 0) {
          const more = own[below(own.length)] as Fixture;
          if (!chosen.includes(more)) chosen.unshift(more);
        }
        return chosen.map((one) => {
          const most =
            below(4) === 0 ? Math.max(1, one.limit.cap) : Math.max(1, Math.floor(one.limit.cap / 20));
          return [one, below(8) === 0 ? 0 : 1 + below(most)] as const;
        });
      });
      const { keys, args } = asCall(
        batch.map((demands) => ({
          mode: "decide",
          demands: demands.map(([{ limit }, cost]) => ({ limit, cost })),
        })),
      );
      const answer = await runScript(redis, keys, args, now);
      const expected = [now, ...batch.flatMap((demands) => steps.decide(demands, now))];
      expect(answer).toEqual(expected);
      let at = 1;
      for (const demands of batch) {
        if (answer[at] === 1) score.admitted++;
        else score.refused++;
        if (demands.some(([, cost]) => cost === 0)) score.looks++;
        at += 1 + 3 * demands.length;
      }
      decisions += batch.length;
    }
    expect(Math.min(...Object.values(score))).toBeGreaterThan(1_000);
    for (const { limit } of [...own, ...observed, ...others]) {
      expect(await redis.pttl(limit.key)).not.toBe(-1);
      if (limit.form === "log" && limit.second > 1) {
        expect(await redis.llen(limit.key)).toBeLessThanOrEqual(101);
      }
    }
  });

  test("Q05 Q08 admits no more than the limit in any trailing window of true time, also when its clock jumps", async () => {
    const below = random(51);
    const all = (["slidingWindow", "slidingLog"] as const).flatMap((one) => fixtures(one, "jumps"));
    const admissions = new Map(all.map(({ limit }) => [limit.key, new Admissions()]));
    let now = START;
    let truth = 0;
    for (let turn = 0; turn < 600; turn++) {
      const step = below(4_000);
      const jump = below(20) === 0 ? below(120_000) - 80_000 : 0;
      truth += step + Math.max(0, jump);
      now += step + jump;
      const demands = Array.from({ length: 40 }, () => {
        const { limit } = all[below(all.length)] as Fixture;
        return { limit, cost: 1 + below(Math.max(1, Math.floor(limit.cap / 10))) };
      });
      const { keys, args } = asCall(demands.map((demand) => ({ mode: "decide", demands: [demand] })));
      const answer = await runScript(redis, keys, args, now);
      for (const [index, { limit, cost }] of demands.entries()) {
        if (answer[1 + 4 * index] === 1) admissions.get(limit.key)?.add(truth, cost);
      }
    }
    for (const { limit } of all) {
      const most = admissions.get(limit.key)?.most(limit.first) ?? 0;
      expect(most).toBeLessThanOrEqual(limit.cap);
      expect(most).toBeGreaterThanOrEqual(limit.cap - Math.floor(limit.cap / 10));
    }
  });
});

/** Terms of a lease for one of three instances; sometimes of one that the script never heard of. */
function leaseOf(below: (below: number) => number, cap: number): LeaseTerms {
  const spent = below(3) === 0 ? 0 : below(Math.ceil(cap / 8) + 1);
  return {
    id: `i${below(3)}.${below(2)}`,
    spent,
    back: below(3) === 0 ? below(Math.ceil(cap / 8) + 1) : 0,
    want: below(3) === 0 ? 0 : below(cap + 1),
    lasts: 2_000 + below(3) * 4_000,
    part: 2 * (1 + below(3)),
  };
}

describe("the script in every mode", () => {
  test.each([
    "slidingWindow",
    "slidingLog",
    "tokenBucket",
  ] as const)("answers %s as a plain model does, over 10,000 decisions, charges, refunds, floors and leases", async (algorithm) => {
    const below = random(algorithm.length * 104728);
    const exact = fixtures(algorithm, "modes");
    const leased = fixtures(algorithm, "modes-leased", { leased: true });
    const model = new ScriptModel();
    const count: Record<string, number> = {};
    let granted = 0;
    let now = START;
    for (let decisions = 0; decisions < STEPS; ) {
      now += advance(below, true);
      const batch: ModelDecision[] = Array.from({ length: 1 + below(40) }, () => {
        const kind = below(100);
        const mode: ModelMode =
          kind < 40 ? "decide" : kind < 50 ? "charge" : kind < 60 ? "refund" : kind < 65 ? "floor" : "lease";
        const from = mode === "lease" || below(2) === 0 ? leased : exact;
        const first = below(from.length);
        const chosen = from.filter((_, index) => index === first || below(8) === 0);
        const demands = chosen.map(({ limit, measure }): ModelDemand => {
          const most = below(4) === 0 ? Math.max(1, limit.cap) : Math.max(1, Math.floor(limit.cap / 20));
          const demand = { limit, cost: below(8) === 0 ? 0 : 1 + below(most) };
          if (mode === "lease") return { ...demand, lease: leaseOf(below, limit.cap) };
          if (mode === "refund")
            return { ...demand, since: now - below(below(2) === 0 ? 500 : measure.lasts + 2_000) };
          if (mode !== "floor") return demand;
          const age = below(measure.lasts + 2_000);
          return { ...demand, ages: [age, Math.max(0, age - below(2) * below(8_000))] };
        });
        return { mode, demands };
      });
      const { keys, args } = asCall(batch);
      const answer = await runScript(redis, keys, args, now);
      expect(answer).toEqual(model.run(batch, now));
      expect(answer.every((number) => Number.isSafeInteger(number) && number >= 0)).toBe(true);
      for (const { mode } of batch) count[mode] = (count[mode] ?? 0) + 1;
      for (const { limit } of leased) granted += model.held(limit.key);
      decisions += batch.length;
    }
    expect(Math.min(...Object.values(count))).toBeGreaterThan(300);
    expect(granted).toBeGreaterThan(10_000);
  });
});

const ALGORITHMS = ["slidingWindow", "slidingLog", "tokenBucket"] as const;

function lend(limit: ModelLimit, id: string, want: number, lasts: number): ModelDecision {
  const lease = { id, spent: 0, back: 0, want, lasts, part: 1 };
  return { mode: "lease", demands: [{ limit, cost: 0, lease }] };
}

async function ask(decision: ModelDecision, now: number): Promise<number[]> {
  const { keys, args } = asCall([decision]);
  return (await runScript(redis, keys, args, now)).slice(1);
}

describe.each(ALGORITHMS)("a lease of %s that nobody settled", (algorithm) => {
  const WINDOW = 1_000_000;
  const LASTS = 50_000;

  test("counts as spent at its end, whenever it is asked about, and a window later no more", async () => {
    for (const [index, [after, left]] of (
      [
        [-1, 40],
        [0, 40],
        [WINDOW / 2, algorithm === "tokenBucket" ? 0 : 40],
        [WINDOW - 1, algorithm === "tokenBucket" ? 0 : 40],
        [WINDOW, 0],
        [WINDOW + 1, 0],
        [WINDOW + LASTS, 0],
      ] as const
    ).entries()) {
      const measured = measure(algorithm, 100, WINDOW / 1_000);
      const { limit } = fixture(`crash:${algorithm}:${index}`, measured, { leased: true });
      expect(await ask(lend(limit, "one", 40, LASTS), START)).toEqual([1, 40, 0, 0, 40]);
      const look = { mode: "decide", demands: [{ limit, cost: 0 }] } as const;
      const answer = await ask(look, START + LASTS + after);
      expect(answer).toMatchObject([1, left, expect.any(Number), 0]);
      // A number below 0 makes the whole answer unsound.
      expect(answer[2]).toBeGreaterThanOrEqual(0);
      expect(answer[2]).toBeLessThanOrEqual(WINDOW);
      const taken = await ask({ ...look, demands: [{ limit, cost: 100 - left }] }, START + LASTS + after);
      expect(taken).toMatchObject([1, 100, expect.any(Number), 0]);
    }
  });

  test("drains or leaves the window from its end on, several of them together no faster than one", async () => {
    const measured = measure(algorithm, 100, WINDOW / 1_000);
    for (const [index, ids] of [
      ["a", "b"],
      ["b", "a"],
    ].entries()) {
      const { limit } = fixture(`crashes:${algorithm}:${index}`, measured, { leased: true });
      // Ends 100 and 200 ms from the start, 10 and 40 units.
      for (const id of ids)
        await ask(lend(limit, id, id === "a" ? 10 : 40, id === "a" ? 100_000 : 200_000), START);
      const look = { mode: "decide", demands: [{ limit, cost: 0 }] } as const;
      const answer = await ask(look, START + 500_000);
      // 40 units of a bucket since 200 ms, at 100 a second, leave 10.
      if (algorithm !== "tokenBucket") expect(answer[1]).toBe(50);
      else {
        expect(answer[1]).toBeGreaterThanOrEqual(10);
        expect(answer[1]).toBeLessThanOrEqual(20);
      }
    }
  });
});

describe("keys of the script", () => {
  test("of another type leave nothing counted by the decision that meets them, in any mode", async () => {
    const measured = measure("slidingWindow", 10, 60_000);
    const buckets = measure("tokenBucket", 10, 60_000);
    const good = [
      fixture("type:good", measured).limit,
      fixture("type:good-bucket", buckets).limit,
      fixture("type:good-leased", measured, { leased: true }).limit,
    ];
    const bad = [
      fixture("type:text", measured).limit,
      fixture("type:hash", buckets).limit,
      fixture("type:leases", measured, { leased: true }).limit,
    ];
    await redis.set(`${PREFIX}:type:text`, "text", "PX", 60_000);
    await redis.hset(`${PREFIX}:type:hash`, "field", "text");
    await redis.pexpire(`${PREFIX}:type:hash`, 60_000);
    await redis.set(`${PREFIX}:type:leases:leases`, "text", "PX", 60_000);
    const lease = { id: "one", spent: 0, back: 0, want: 5, lasts: 50_000, part: 2 };
    for (const wrong of bad) {
      for (const mode of ["decide", "lease"] as const) {
        const limits = mode === "lease" ? good.slice(2) : good;
        if (mode === "lease" && wrong.leased !== true) continue;
        const demands = [...limits, wrong].map((limit) =>
          mode === "lease" ? { limit, cost: 1, lease } : { limit, cost: 1 },
        );
        await expect(ask({ mode, demands }, START)).rejects.toThrow("WRONGTYPE");
      }
    }
    for (const limit of good) {
      expect(await redis.exists(limit.key, `${limit.key}:leases`)).toBe(0);
    }
  });

  test("Q07 all have an end behind the last moment at which they matter", async () => {
    const below = random(77);
    for (const algorithm of ALGORITHMS) {
      const all = [...fixtures(algorithm, "ttl"), ...fixtures(algorithm, "ttl-leased", { leased: true })];
      let now = START;
      for (let turn = 0; turn < 150; turn++) {
        now += below(6_000);
        const { limit } = all[below(all.length)] as Fixture;
        const mode = limit.leased === true && below(2) === 0 ? "lease" : below(5) === 0 ? "charge" : "decide";
        const demand = { limit, cost: below(Math.ceil(limit.cap / 4) + 1) };
        const lease = leaseOf(below, limit.cap);
        const demands = [mode === "lease" ? { ...demand, lease } : demand];
        const [, , reset = 0] = await ask({ mode, demands }, now);
        const left = await redis.pttl(limit.key);
        if (reset > 0) expect(left * 1_000).toBeGreaterThanOrEqual(reset);
        if (mode === "lease" && (await redis.exists(`${limit.key}:leases`)) === 1) {
          // One that nobody settles counts for a window more.
          const leased = await redis.pttl(`${limit.key}:leases`);
          const lasts = limit.form === "log" ? limit.first : (limit.cap * limit.first) / limit.second;
          expect(leased * 1_000).toBeGreaterThanOrEqual(lease.lasts + lasts);
        }
      }
    }
    const keys = await keysOf(redis, PREFIX);
    expect(keys.length).toBeGreaterThan(20);
    const ends = await Promise.all(keys.map((key) => redis.pttl(key)));
    expect(keys.filter((_, index) => ends[index] === -1)).toEqual([]);
  });
});

test("a bucket gives nothing twice: what drained in the place of others is not had back", async () => {
  const { limit } = fixture("phantom", { ...measure("tokenBucket", 1_000, 1_000), cap: 10 });
  const take = (cost: number): ModelDecision => ({ mode: "decide", demands: [{ limit, cost }] });
  // Ten units at a time, a thousand in a second: ten that another limit of their request refuses, and nine others.
  expect((await ask(take(10), START)).slice(0, 2)).toEqual([1, 10]);
  expect((await ask(take(9), START + 9_000)).slice(0, 2)).toEqual([1, 10]);
  const refund: ModelDecision = { mode: "refund", demands: [{ limit, cost: 10, since: START }] };
  expect((await ask(refund, START + 9_000)).slice(0, 2)).toEqual([1, 9]);
  expect((await ask(take(2), START + 9_000)).slice(0, 2)).toEqual([0, 9]);
});

test("what is taken back a window late takes nothing from others", async () => {
  const { limit } = fixture("late", measure("slidingLog", 5, 1_000));
  const demand = { limit, cost: 5 };
  expect((await ask({ mode: "decide", demands: [demand] }, START)).slice(0, 2)).toEqual([1, 5]);
  expect((await ask({ mode: "decide", demands: [demand] }, START + 1_000_000)).slice(0, 2)).toEqual([1, 5]);
  await ask({ mode: "refund", demands: [{ ...demand, since: START }] }, START + 1_000_000);
  const one = await ask({ mode: "decide", demands: [{ limit, cost: 1 }] }, START + 1_000_000);
  expect(one.slice(0, 2)).toEqual([0, 5]);
});
