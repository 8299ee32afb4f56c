// The promise of the three algorithms as pure steps, checked by brute force over random arrivals and clocks that jump.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AdmissionLog } from "../../src/rate-limit/algorithms/admission-log.ts";
import { decideOn, type Meter, type Verdict } from "../../src/rate-limit/algorithms/meter.ts";
import { stepLog } from "../../src/rate-limit/algorithms/sliding-log.ts";
import { grainOf, step } from "../../src/rate-limit/algorithms/sliding-window.ts";
import { Bucket, drainOf, stepBucket } from "../../src/rate-limit/algorithms/token-bucket.ts";

interface Arrival {
  /** True time since the last arrival. */
  readonly gap: number;
  /** What the clock jumps by besides. */
  readonly jump: number;
  readonly cost: number;
}

interface Scene {
  readonly limit: number;
  readonly window: number;
  readonly burst: number;
  readonly arrivals: readonly Arrival[];
}

const limits = fc.oneof(
  fc.integer({ min: 1, max: 60 }),
  fc.integer({ min: 61, max: 400 }),
  fc.integer({ min: 401, max: 100_000 }),
);
const windows = fc.oneof(
  fc.constant(1_000),
  fc.integer({ min: 1, max: 50 }),
  fc.integer({ min: 51, max: 1_000_000 }),
);

/** Bursts, steady traffic, bursts at the border of a window, and silence. */
function gaps(window: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.integer({ min: 1, max: Math.ceil(window / 30) }) },
    { weight: 1, arbitrary: fc.constantFrom(Math.max(0, window - 1), window, window + 1) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: window * 3 }) },
  );
}

function costs(limit: number): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: Math.max(1, Math.floor(limit / 40)) }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: limit }) },
    { weight: 1, arbitrary: fc.constantFrom(1, limit) },
  );
}

function scenes(withJumps: boolean): fc.Arbitrary<Scene> {
  return fc.tuple(limits, windows).chain(([limit, window]) => {
    const jump = fc.oneof(
      { weight: 30, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.integer({ min: -5 * window, max: -1 }) },
      { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 * window }) },
      { weight: 1, arbitrary: fc.integer({ min: -Math.ceil(window / 20), max: Math.ceil(window / 20) }) },
    );
    return fc.integer({ min: 1, max: 2 * limit }).chain((burst) => {
      const arrival = fc.record({
        gap: gaps(window),
        jump: withJumps ? jump : fc.constant(0),
        cost: costs(Math.min(limit, burst)),
      });
      const arrivals = fc.array(arrival, { minLength: 1, maxLength: 250, size: "max" });
      return fc.record({
        limit: fc.constant(limit),
        window: fc.constant(window),
        burst: fc.constant(burst),
        arrivals,
      });
    });
  });
}

interface Algorithm {
  readonly name: string;
  create(scene: Scene): Meter;
  cap(scene: Scene): number;
  grain(scene: Scene): number;
  step(meter: Meter, scene: Scene, now: number, cost: number): Verdict;
}

const slidingWindow: Algorithm = {
  name: "slidingWindow",
  create: ({ window }) => new AdmissionLog(window),
  cap: ({ limit }) => limit,
  grain: ({ limit }) => grainOf(limit),
  step: (meter, { limit }, now, cost) => step(meter as AdmissionLog, limit, now, cost),
};
const slidingLog: Algorithm = {
  ...slidingWindow,
  name: "slidingLog",
  grain: () => 1,
  step: (meter, { limit }, now, cost) => stepLog(meter as AdmissionLog, limit, now, cost),
};
const tokenBucket: Algorithm = {
  name: "tokenBucket",
  create: ({ limit, window }) => new Bucket(drainOf(limit, window)),
  cap: ({ burst }) => burst,
  grain: () => 1,
  step: (meter, { burst }, now, cost) => stepBucket(meter as Bucket, burst, now, cost),
};

interface Decision extends Verdict {
  /** Time that passed in truth, plus what the clock jumped ahead. */
  readonly at: number;
  /** What the clock said. */
  readonly now: number;
  readonly cost: number;
}

const START = 10_000_000;

function play(algorithm: Algorithm, scene: Scene): { meter: Meter; decisions: Decision[]; now: number } {
  const meter = algorithm.create(scene);
  const decisions: Decision[] = [];
  let at = START;
  let now = START;
  for (const { gap, jump, cost } of scene.arrivals) {
    at += gap + Math.max(0, jump);
    now += gap + jump;
    decisions.push({ ...algorithm.step(meter, scene, now, cost), at, now, cost });
  }
  return { meter, decisions, now };
}

/** Units admitted in `(at - window, at]` by the first `count` decisions. */
function unitsIn(decisions: readonly Decision[], count: number, window: number, at: number): number {
  let units = 0;
  for (let index = count - 1; index >= 0; index--) {
    const decision = decisions[index] as Decision;
    if (decision.at <= at - window) break;
    if (decision.admitted) units += decision.cost;
  }
  return units;
}

function check(withJumps: boolean, property: (scene: Scene) => void, numRuns = 200): void {
  fc.assert(fc.property(scenes(withJumps), property), { numRuns });
}

describe.each([slidingWindow, slidingLog])("$name", (algorithm) => {
  test.each([
    ["of a steady clock", false],
    ["of true time, under a clock that jumps back and ahead", true],
  ])("Q05 Q08 never admits more than the limit in any trailing window %s", (_title, withJumps) => {
    check(withJumps, (scene) => {
      const { decisions } = play(algorithm, scene);
      // What a trailing window holds only grows where something is admitted, so these are all the maxima.
      for (const [index, { admitted, at }] of decisions.entries()) {
        if (admitted)
          expect(unitsIn(decisions, index + 1, scene.window, at)).toBeLessThanOrEqual(scene.limit);
      }
    });
  });

  test("refuses only what would exceed the limit, less what its grouping may cost", () => {
    check(false, (scene) => {
      const { decisions } = play(algorithm, scene);
      const early = algorithm.grain(scene) - 1;
      expect(early).toBeLessThanOrEqual(Math.max(0, Math.floor(scene.limit / 50) - 1));
      for (const [index, { admitted, at, cost }] of decisions.entries()) {
        const demand = unitsIn(decisions, index, scene.window, at) + cost;
        if (admitted) expect(demand).toBeLessThanOrEqual(scene.limit);
        else expect(demand).toBeGreaterThan(scene.limit - early);
      }
    });
  });
});

test("Q22 slidingWindow holds about 100 groups that count, and at most as many that count no more", () => {
  check(true, (scene) => {
    const log = new AdmissionLog(scene.window);
    let now = START;
    for (const { gap, jump, cost } of scene.arrivals) {
      now += gap + jump;
      step(log, scene.limit, now, cost);
      expect(log.size).toBeLessThanOrEqual(203);
    }
    // At one moment nothing has expired.
    const still = new AdmissionLog(scene.window);
    for (const { cost } of scene.arrivals) step(still, scene.limit, now, cost);
    expect(still.size).toBeLessThanOrEqual(101);
  });
});

/** GCRA on exact rationals: the theoretical arrival time in parts of a tick, `limit` of them to the tick. */
class Gcra {
  readonly #limit: bigint;
  readonly #window: bigint;
  readonly #burst: bigint;
  #tat = 0n;
  #at = 0n;

  constructor({ limit, window, burst }: Pick<Scene, "limit" | "window" | "burst">) {
    this.#limit = BigInt(limit);
    this.#window = BigInt(window);
    this.#burst = BigInt(burst);
  }

  decide(time: number, units: number): Verdict {
    const now = BigInt(time);
    const cost = BigInt(units);
    // A clock that was set back takes the theoretical time with it.
    if (now < this.#at) this.#tat -= (this.#at - now) * this.#limit;
    this.#at = now;
    const present = now * this.#limit;
    const start = this.#tat > present ? this.#tat : present;
    const late = start + cost * this.#window - (present + this.#burst * this.#window);
    const admitted = late <= 0n;
    if (admitted && units > 0) this.#tat = start + cost * this.#window;
    const ahead = this.#tat > present ? this.#tat - present : 0n;
    const used = ceiling(ahead, this.#window);
    return {
      admitted,
      remaining: Number(used > this.#burst ? 0n : this.#burst - used),
      reset: Number(ceiling(ahead, this.#limit)),
      retry: admitted ? 0 : Number(ceiling(late, this.#limit)),
    };
  }
}

function ceiling(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

describe("tokenBucket", () => {
  test("admits at most its burst and what drained, in any interval whatsoever", () => {
    check(true, (scene) => {
      const { limit, window, burst } = scene;
      const admitted = play(tokenBucket, scene).decisions.filter((decision) => decision.admitted);
      for (let from = 0; from < admitted.length; from++) {
        const start = (admitted[from] as Decision).at;
        let units = 0;
        let most = 0;
        for (let to = from; to < admitted.length; to++) {
          const { at, cost } = admitted[to] as Decision;
          units += cost;
          most = Math.max(most, units * window - (burst * window + (at - start) * limit));
        }
        expect(most).toBe(0);
      }
    });
  });

  test("equals an exact rational cell rate algorithm to the tick and the unit", () => {
    check(true, (scene) => {
      const oracle = new Gcra(scene);
      for (const { now, cost, admitted, remaining, reset, retry } of play(tokenBucket, scene).decisions) {
        expect({ admitted, remaining, reset, retry }).toEqual(oracle.decide(now, cost));
      }
    });
  });

  test("stays exact on microseconds up to the largest level that is a safe integer", () => {
    const large = fc
      .record({ limit: fc.integer({ min: 1, max: 1_000_000_000 }), days: fc.integer({ min: 1, max: 366 }) })
      .chain(({ limit, days }) => {
        const window = days * 86_400_000_000;
        const most = Math.floor(Number.MAX_SAFE_INTEGER / drainOf(limit, window).scale);
        const burst = fc.integer({ min: 1, max: Math.min(most, 1_000_000_000) });
        return burst.chain((burst) => {
          const gap = fc.oneof(fc.integer({ min: 0, max: 2_000_000 }), fc.integer({ min: 0, max: window }));
          const arrival = fc.record({
            gap,
            jump: fc.constant(0),
            cost: fc.oneof(fc.integer({ min: 1, max: burst }), fc.constant(1)),
          });
          const arrivals = fc.array(arrival, { minLength: 1, maxLength: 60, size: "max" });
          return fc.record({
            limit: fc.constant(limit),
            window: fc.constant(window),
            burst: fc.constant(burst),
            arrivals,
          });
        });
      });
    fc.assert(
      fc.property(large, (scene) => {
        const oracle = new Gcra(scene);
        for (const { now, cost, admitted, remaining, reset, retry } of play(tokenBucket, scene).decisions) {
          expect({ admitted, remaining, reset, retry }).toEqual(oracle.decide(now, cost));
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe.each([slidingWindow, slidingLog, tokenBucket])("$name", (algorithm) => {
  test("Q17 admits a retry at the tick that it named, and not one before", () => {
    check(
      true,
      (scene) => {
        const played = play(algorithm, scene);
        const { now, meter } = played;
        const cap = algorithm.cap(scene);
        for (const cost of new Set([1, Math.ceil(cap / 3), cap])) {
          const { admitted, retry } = algorithm.step(play(algorithm, scene).meter, scene, now, cost);
          expect(retry > 0).toBe(!admitted);
          expect(meter.untilFits(now, cost, cap)).toBe(retry);
          if (admitted) continue;
          expect(algorithm.step(play(algorithm, scene).meter, scene, now + retry - 1, cost).admitted).toBe(
            false,
          );
          expect(algorithm.step(play(algorithm, scene).meter, scene, now + retry, cost).admitted).toBe(true);
        }
      },
      100,
    );
  });

  test("Q17 frees the whole limit at the tick that it named, and not one before", () => {
    check(
      true,
      (scene) => {
        const { meter, now } = play(algorithm, scene);
        const reset = meter.untilFree(now);
        if (reset === 0) {
          expect(meter.used(now)).toBe(0);
          return;
        }
        expect(meter.isIdle(now + reset - 1)).toBe(false);
        expect(meter.used(now + reset - 1)).toBeGreaterThan(0);
        expect(meter.isIdle(now + reset)).toBe(true);
        expect(meter.used(now + reset)).toBe(0);
      },
      100,
    );
  });

  test("tells what is left, and a refusal or a look changes nothing", () => {
    check(
      true,
      (scene) => {
        const meter = algorithm.create(scene);
        const cap = algorithm.cap(scene);
        let now = START;
        for (const { gap, jump, cost } of scene.arrivals) {
          now += gap + jump;
          const before = algorithm.step(meter, scene, now, 0);
          expect(before.admitted).toBe(true);
          const verdict = algorithm.step(meter, scene, now, cost);
          expect(verdict.admitted).toBe(cost <= before.remaining);
          expect(verdict.remaining).toBe(before.remaining - (verdict.admitted ? cost : 0));
          if (!verdict.admitted) expect({ ...verdict, retry: 0, admitted: true }).toEqual(before);
          expect(meter.used(now)).toBe(cap - verdict.remaining);
        }
      },
      100,
    );
  });

  test("of no units at all refuses every cost for some time, used before or not", () => {
    const scene = { limit: 5, window: 1_000, burst: 5, arrivals: [] };
    const meter = algorithm.create(scene);
    expect(decideOn(meter, 0, 1, 10, 1)).toMatchObject({ admitted: false });
    expect(decideOn(meter, 0, 1, 10, 1).retry).toBeGreaterThan(0);
    algorithm.step(meter, scene, 10, 5);
    expect(decideOn(meter, 0, 1, 5_010, 1)).toMatchObject({ admitted: false });
    expect(decideOn(meter, 0, 1, 5_010, 1).retry).toBeGreaterThan(0);
  });
});
