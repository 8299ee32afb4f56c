// Leases under everything that can happen to them: several instances on one counter in a real Redis, random traffic,
// crashes, lost answers and delays. The time is the test's own.

import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from "vitest";
import type { LimitAlgorithm, LimitPolicy } from "../../src/rate-limit/policy.ts";
import { type Fate, Fleet, Instance, TICK } from "../support/limit-fleet.ts";
import { Admissions, keysOf, random } from "../support/limit-script.ts";

const PREFIX = `lease-test-${process.pid}`;
let redis: Redis;
let fleets = 0;

beforeAll(async () => {
  redis = new Redis(inject("redisUrl"));
  await redis.ping();
});

afterEach(() => void vi.unstubAllGlobals());

afterAll(async () => {
  const keys = await keysOf(redis, PREFIX);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

function newFleet(): Fleet {
  const fleet = new Fleet(redis, `${PREFIX}-${fleets++}`);
  fleet.takeTimers();
  return fleet;
}

function leased(limit: number, windowMs: number, more: Partial<LimitPolicy> = {}): LimitPolicy {
  const subject = { by: "route" } as const;
  return {
    name: "leased",
    limit,
    windowMs,
    subject,
    cost: 1,
    onStoreFailure: "deny",
    sync: "leased",
    ...more,
  };
}

interface Storm {
  readonly seed: number;
  readonly algorithm: LimitAlgorithm;
  readonly limit: number;
  readonly windowMs: number;
  readonly instances: number;
  readonly crashes: boolean;
  readonly losses: boolean;
  readonly spread: boolean;
}

const ANSWER = 8 * TICK;
const LONGEST = 400 * TICK;

/** Lets a fleet live for some windows; what was admitted, at the moments when `take` said so. */
async function storm(one: Storm): Promise<Admissions> {
  const below = random(one.seed);
  const fleet = newFleet();
  const window = one.windowMs * 1_000;
  const costs = [1, 1, 1 + below(3), Math.max(1, Math.floor(one.limit / 30))];
  const policies = costs.map((cost) => [
    leased(one.limit, one.windowMs, { algorithm: one.algorithm, cost: Math.min(cost, one.limit) }),
  ]);
  const fate = (): Fate => {
    const runs = TICK * (below(8) === 0 ? below(400) : 1 + below(10));
    const answers = one.spread ? TICK * (1 + below(100)) : ANSWER;
    if (!one.losses || below(15) > 0) return { runs, answers };
    // The answer is given up; the script never runs, or runs, perhaps long after.
    return below(3) === 0
      ? { runs: undefined, answers: LONGEST }
      : { runs: below(2) === 0 ? runs : TICK * below(4_000), answers: LONGEST, lost: true };
  };
  const make = (): Instance => new Instance(fleet, () => one.instances, fate);
  const fleetOf = Array.from({ length: one.instances }, make);
  const admissions = new Admissions();
  const request = async (): Promise<void> => {
    const index = below(3) === 0 ? 0 : below(fleetOf.length);
    const instance = fleetOf[index] as Instance;
    const list = policies[below(policies.length)] as LimitPolicy[];
    const { cost } = list[0] as LimitPolicy;
    if (one.losses && below(400) === 0) {
      instance.available = false;
      fleet.at(fleet.now + TICK * below(4_000), () => {
        instance.available = !instance.dead;
      });
    }
    if (one.crashes && below(300) === 0) {
      instance.crash();
      fleetOf[index] = make();
    }
    void instance.take(list).then(({ kind }) => {
      if (kind === "admitted") admissions.add(fleet.now, cost);
    });
  };
  const end = 5 * window;
  // Phases of silence, of bursts, and of steady traffic below and above the limit.
  for (let at = 0; at < end; ) {
    const phase = below(5);
    const until = at + TICK * (1 + below(Math.floor(window / TICK)));
    if (phase === 0) at = until;
    else if (phase === 1) for (let turn = below(120); turn > 0; turn--) fleet.at(at, request);
    else {
      const mean = Math.max(1, Math.floor(window / TICK / Math.min(one.limit, 600) / (1 + below(3))));
      for (; at < until; at += TICK * below(2 * mean + 1)) fleet.at(at, request);
    }
  }
  await fleet.run(end + window);
  return admissions;
}

function bound({ algorithm, limit, windowMs, spread }: Storm, admissions: Admissions): number {
  // Where answers take longer and shorter, what Redis counted a window apart is told a little less apart.
  const jitter = spread ? 100 * TICK : 0;
  return algorithm === "tokenBucket"
    ? admissions.mostAboveDrain(limit, windowMs * 1_000) - Math.ceil((limit * jitter) / windowMs / 1_000)
    : admissions.most(windowMs * 1_000 - jitter);
}

describe("instances that lease from one counter", () => {
  const conditions = [
    ["quietly", { crashes: false, losses: false, spread: false }],
    ["while some crash", { crashes: true, losses: false, spread: false }],
    ["while answers get lost or come late", { crashes: false, losses: true, spread: false }],
    [
      "while all of it happens, and answers take differently long",
      { crashes: true, losses: true, spread: true },
    ],
  ] as const;
  const cases = (["slidingWindow", "tokenBucket", "slidingLog"] as const).flatMap((algorithm) =>
    conditions.map(([how, condition]) => ({ algorithm, how, condition })),
  );
  test.each(cases)("Q05 Q06 never admit more than the limit by $algorithm $how", async ({
    algorithm,
    condition,
  }) => {
    const rounds = algorithm === "slidingLog" ? 2 : 6;
    for (let round = 0; round < rounds; round++) {
      const limit = [1, 7, 60, 149, 1_000, 20_000][round % 6] as number;
      const windowMs = [1_000, 10_000][round % 2] as number;
      const one = {
        seed: 1_000 + round,
        algorithm,
        limit,
        windowMs,
        instances: 1 + (round % 4),
        ...condition,
      };
      const admissions = await storm(one);
      expect(bound(one, admissions), JSON.stringify(one)).toBeLessThanOrEqual(limit);
      expect(admissions.units).toBeGreaterThan(0);
    }
  });
});

/** A fleet whose calls take no longer than `delays` say, and a way to let its instances take at one moment. */
function calm(delays: { runs: number; answers: number } = { runs: 8 * TICK, answers: 8 * TICK }) {
  const fleet = newFleet();
  const admissions = new Admissions();
  // The second place of a fleet that has one is reached as `far` says.
  const flight = { ...delays, far: delays.runs };
  const instance = (instances = 1, slotOf?: (key: string) => number): Instance =>
    new Instance(
      fleet,
      () => instances,
      (place) => ({ runs: place === 1 ? flight.far : flight.runs, answers: flight.answers }),
      slotOf,
    );
  /** Lets `count` requests come to `one` at `at`. */
  const take = (one: Instance, at: number, count: number, policies: readonly LimitPolicy[]): void => {
    fleet.at(at, () => {
      for (let turn = 0; turn < count; turn++) {
        void one.take(policies).then(({ kind }) => {
          if (kind === "admitted") admissions.add(fleet.now, policies[0]?.cost ?? 0);
        });
      }
    });
  };
  return { fleet, admissions, flight, instance, take };
}

const MS = 1_000;

describe("a lease", () => {
  test("is spent no longer than it lasts, however late timers fire", async () => {
    const { fleet, admissions, instance, take } = calm();
    const policies = [leased(100, 1_000)];
    const one = instance();
    const other = instance();
    fleet.lateBy = 5_000 * MS;
    for (const at of [0, 10, 20]) take(one, at * MS, 6, policies);
    await fleet.run(30 * MS);
    expect(admissions.units).toBe(18);
    // Redis counts what is left of the lease as spent at its end, and has done with it a window later.
    take(one, 600 * MS, 60, policies);
    for (let at = 700; at < 1_700; at += 2) take(other, at * MS, 100, policies);
    await fleet.run(1_800 * MS);
    expect(admissions.most(1_000 * MS)).toBeLessThanOrEqual(100);
    expect(admissions.units).toBeGreaterThan(100);
  });

  test("that ends while a call about it is under way is spent no further", async () => {
    const { fleet, admissions, flight, instance, take } = calm();
    const policies = [leased(100, 1_000)];
    const dear = [leased(100, 1_000, { cost: 30 })];
    const one = instance();
    const other = instance();
    // Enough at once for a lease to be granted at 10 ms; it ends at 61 ms in Redis.
    take(one, 0, 4, policies);
    take(one, 10 * MS, 4, policies);
    await fleet.run(30 * MS);
    const before = admissions.units;
    // A cost that the lease doesn't cover. The script runs when the lease is over, and has counted as spent.
    flight.runs = 35 * MS;
    take(one, 30 * MS, 1, dear);
    await fleet.run(66 * MS);
    expect(admissions.units).toBe(before + 30);
    flight.runs = 8 * TICK;
    take(one, 67 * MS, 41, policies);
    await fleet.run(300 * MS);
    // All that is left, and a window later what is free again, as soon as it is.
    for (let at = 300; at < 1_200; at += at < 1_000 ? 50 : 1) take(other, at * MS, 100, policies);
    await fleet.run(1_300 * MS);
    expect(admissions.units).toBeGreaterThan(100);
    expect(admissions.most(1_000 * MS)).toBeLessThanOrEqual(100);
  });

  test("gives nothing back to a request of several limits that it told Redis of already", async () => {
    const { fleet, admissions, flight, instance, take } = calm();
    // Each limit lies in a place of its own, and the second refuses after the first was taken from its lease.
    const slotOf = (key: string): number => (key.includes(":narrow:") ? 1 : 0);
    const wide = leased(100, 1_000, { name: "wide" });
    const narrow = leased(1, 60_000, { name: "narrow" });
    const one = instance(1, slotOf);
    const other = instance(1, slotOf);
    take(other, 0, 1, [narrow]);
    await fleet.run(5 * MS);
    expect(admissions.units).toBe(1);
    const counted = new Admissions();
    const count = (
      instance: Instance,
      at: number,
      requests: number,
      policies: readonly LimitPolicy[],
    ): void =>
      fleet.at(at, () => {
        for (let turn = 0; turn < requests; turn++) {
          void instance.take(policies).then(({ kind }) => {
            if (kind === "admitted") counted.add(fleet.now, 1);
          });
        }
      });
    count(one, 10 * MS, 8, [wide]);
    count(one, 20 * MS, 8, [wide]);
    await fleet.run(30 * MS);
    const { units } = counted;
    expect(units).toBe(16);
    // Taken from the lease, told to Redis by the renewal, refused by the other place.
    flight.far = 30 * MS;
    count(one, 40 * MS, 20, [wide, narrow]);
    await fleet.run(71 * MS);
    expect(counted.units).toBe(16);
    count(one, 71 * MS + TICK, 100, [wide]);
    for (let at = 80; at < 1_300; at += at < 1_000 ? 50 : 1) count(other, at * MS, 100, [wide]);
    await fleet.run(1_400 * MS);
    expect(counted.most(1_000 * MS)).toBeLessThanOrEqual(100);
  });
});

describe("several leased limits of a request", () => {
  test.each([
    ["together", () => 0],
    ["in different places", (key: string) => (key.includes(":narrow:") ? 1 : 0)],
  ] as const)("that lie %s: what one refuses, no other counts", async (_where, slotOf) => {
    const { fleet, admissions, instance, take } = calm();
    const wide = leased(500, 60_000, { name: "wide" });
    const narrow = leased(20, 60_000, { name: "narrow" });
    const one = instance(2, slotOf);
    const other = instance(2, slotOf);
    const order = [
      [wide, narrow],
      [narrow, wide],
    ];
    for (let at = 0; at < 2_000; at += 20) {
      take(one, at * MS, 1 + (at % 3), order[(at / 20) % 2] as LimitPolicy[]);
      take(other, at * MS, 1, order[((at / 40) % 2) | 0] as LimitPolicy[]);
    }
    await fleet.run(2_100 * MS);
    expect(admissions.units).toBeLessThanOrEqual(20);
    expect(admissions.units).toBeGreaterThanOrEqual(18);
    void one.limiter.close();
    void other.limiter.close();
    await fleet.run(2_200 * MS);
    // Leases that were dropped count as spent; nothing was dropped here.
    const looks = [wide, narrow].map((policy) => ({ ...policy, cost: 0, sync: "exact" as const }));
    const look = instance();
    const left: number[] = [];
    fleet.at(fleet.now, () => {
      void look.take(looks).then((result) => {
        if (result.kind === "unavailable") return;
        for (const { remaining, policy } of result.outcomes) left.push(policy.limit - remaining);
      });
    });
    await fleet.run(2_300 * MS);
    expect(left).toEqual([admissions.units, admissions.units]);
  });
});

describe("an instance that crashed", () => {
  test.each([
    "slidingWindow",
    "slidingLog",
    "tokenBucket",
  ] as const)("gives all back by itself, by %s, within the window and what a lease lasts", async (algorithm) => {
    const { fleet, admissions, instance, take } = calm();
    const policies = [leased(100, 1_000, { algorithm })];
    const one = instance(1);
    for (let at = 0; at < 40; at += 2) take(one, at * MS, 2, policies);
    await fleet.run(40 * MS);
    expect(fleet.calls).toBeLessThan(40);
    one.crash();
    const before = admissions.units;
    const other = instance(1);
    // Nobody asks in between, so nobody noticed the end of the lease.
    take(other, (40 + 1_000 + 50 + 1) * MS, 100, policies);
    await fleet.run(1_200 * MS);
    expect(admissions.units - before).toBe(100);
  });
});

interface Steady {
  readonly instances: number;
  readonly limit: number;
  readonly algorithm: LimitAlgorithm;
  /** Offered units as a part of the limit. */
  readonly load: number;
}

/** Even traffic with some chance in it for some windows; what passed of the last ones. */
async function steady({ instances, limit, algorithm, load }: Steady) {
  const { fleet, instance } = calm();
  const windowMs = 10_000;
  const window = windowMs * MS;
  const all = Array.from({ length: instances }, () => instance(instances));
  const policies = [leased(limit, windowMs, { algorithm })];
  const below = random(limit + instances);
  const score = { offered: 0, admitted: 0 };
  const from = 2 * window;
  const until = 5 * window;
  const gap = window / (limit * load);
  for (let at = 0; at < until; at += gap) {
    const when = Math.floor((at + below(Math.ceil(gap))) / TICK) * TICK;
    fleet.at(when, () => {
      const counts = fleet.now >= from;
      if (counts) score.offered++;
      void (all[below(all.length)] as Instance).take(policies).then(({ kind }) => {
        if (counts && kind === "admitted") score.admitted++;
      });
    });
  }
  await fleet.run(until);
  const due = Math.min(score.offered, (limit * (until - from)) / window);
  return { refusedEarly: 1 - score.admitted / due, calls: fleet.calls / (limit * load * 5) };
}

describe("what leases cost", () => {
  test.each([
    "slidingWindow",
    "tokenBucket",
  ] as const)("one instance alone refuses at most 4 percent and a group early, by %s", async (algorithm) => {
    for (const limit of [100, 1_000]) {
      const full = await steady({ instances: 1, limit, algorithm, load: 2 });
      const grain = algorithm === "slidingWindow" ? Math.max(1, Math.floor(limit / 50)) / limit : 0;
      expect(full.refusedEarly).toBeLessThanOrEqual(0.04 + grain);
      const below = await steady({ instances: 1, limit, algorithm, load: 0.9 });
      expect(below.refusedEarly).toBeLessThanOrEqual(0.01);
    }
  });

  test("four instances refuse hardly more early, and ask Redis for a part of the requests only", async () => {
    const full = await steady({ instances: 4, limit: 1_000, algorithm: "slidingWindow", load: 2 });
    expect(full.refusedEarly).toBeLessThanOrEqual(0.04 + 0.02);
    expect(full.calls).toBeLessThan(0.7);
  });

  test("requests that come one after the other are leased for, too", async () => {
    const { fleet, admissions, instance, take } = calm();
    const one = instance();
    for (let at = 0; at < 1_000; at += 5) take(one, at * MS, 1, [leased(1_000, 10_000)]);
    await fleet.run(1_010 * MS);
    expect(admissions.units).toBe(200);
    expect(fleet.calls).toBeLessThan(50);
  });
});

describe("a counter of several tiers", () => {
  test("lends a wider tier nothing that a narrower one may spend", async () => {
    const { fleet, instance } = calm();
    const wide = [leased(1_000, 10_000)];
    const narrow = [leased(20, 10_000)];
    const one = instance();
    const kinds: string[] = [];
    const take = (at: number, policies: readonly LimitPolicy[], count: number): void =>
      fleet.at(at * MS, () => {
        for (let turn = 0; turn < count; turn++) {
          void one.take(policies).then(({ kind }) => kinds.push(kind));
        }
      });
    for (let at = 0; at < 60; at += 2) take(at, wide, 2);
    await fleet.run(70 * MS);
    expect(kinds).toHaveLength(60);
    expect(kinds).not.toContain("refused");
    kinds.length = 0;
    for (let at = 70; at < 100; at += 2) take(at, narrow, 1);
    for (let at = 71; at < 100; at += 2) take(at, wide, 1);
    await fleet.run(110 * MS);
    expect(kinds.filter((kind) => kind === "refused")).toHaveLength(15);
    expect(kinds.filter((kind) => kind === "admitted")).toHaveLength(15);
  });
});
