// The promise of the sliding window, checked by brute force over random arrivals.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AdmissionLog, grainOf, step } from "../../src/rate-limit/algorithms/sliding-window.ts";

interface Arrival {
  readonly gap: number;
  readonly cost: number;
}

interface Scene {
  readonly limit: number;
  readonly window: number;
  readonly arrivals: readonly Arrival[];
}

// Small and large limits; gaps from bursts to more than a whole window; costs from 1 to the limit.
const limits = fc.oneof(
  fc.integer({ min: 1, max: 60 }),
  fc.integer({ min: 61, max: 400 }),
  fc.integer({ min: 401, max: 100_000 }),
);
const scenes: fc.Arbitrary<Scene> = limits.chain((limit) => {
  const window = 1_000;
  const gap = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 30 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 1_200 }) },
  );
  const cost = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: Math.max(1, Math.floor(limit / 40)) }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: limit }) },
  );
  const arrivals = fc.array(fc.record({ gap, cost }), { minLength: 1, maxLength: 300, size: "max" });
  return fc.record({ limit: fc.constant(limit), window: fc.constant(window), arrivals });
});

interface Admission {
  readonly at: number;
  readonly cost: number;
}

/** Units admitted in `(at - window, at]`. */
function unitsIn(admissions: readonly Admission[], window: number, at: number): number {
  let units = 0;
  for (const admission of admissions)
    if (admission.at > at - window && admission.at <= at) units += admission.cost;
  return units;
}

describe("the sliding window", () => {
  test("Q05 never admits more than the limit in any trailing window", () => {
    fc.assert(
      fc.property(scenes, ({ limit, window, arrivals }) => {
        const log = new AdmissionLog(window);
        const admissions: Admission[] = [];
        let now = 0;
        for (const { gap, cost } of arrivals) {
          now += gap;
          if (step(log, limit, now, cost).admitted) admissions.push({ at: now, cost });
        }
        // The count of a trailing window only grows where something is admitted, so these are all the maxima.
        for (const { at } of admissions) expect(unitsIn(admissions, window, at)).toBeLessThanOrEqual(limit);
      }),
      { numRuns: 300 },
    );
  });

  test("refuses early by less than one group, which is 2 % of the limit at most", () => {
    fc.assert(
      fc.property(scenes, ({ limit, window, arrivals }) => {
        const log = new AdmissionLog(window);
        const admissions: Admission[] = [];
        let now = 0;
        for (const { gap, cost } of arrivals) {
          now += gap;
          if (step(log, limit, now, cost).admitted) admissions.push({ at: now, cost });
          else expect(unitsIn(admissions, window, now) + cost).toBeGreaterThan(limit - (grainOf(limit) - 1));
        }
      }),
      { numRuns: 300 },
    );
    for (const limit of [1, 49, 50, 99, 100, 1_000, 100_000]) {
      expect(grainOf(limit) - 1).toBeLessThan(Math.max(1, limit * 0.02));
    }
  });

  test("Q17 admits a retry exactly when it said, and not one unit of time earlier", () => {
    fc.assert(
      fc.property(scenes, ({ limit, window, arrivals }) => {
        const early = new AdmissionLog(window);
        const exact = new AdmissionLog(window);
        let now = 0;
        let wait = 0;
        let refused = 0;
        for (const { gap, cost } of arrivals) {
          now += gap;
          expect(step(early, limit, now, cost)).toEqual(step(exact, limit, now, cost));
          wait = exact.untilFits(now, cost, limit);
          refused = cost;
        }
        fc.pre(wait > 0);
        expect(step(early, limit, now + wait - 1, refused).admitted).toBe(false);
        expect(step(exact, limit, now + wait, refused).admitted).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test("Q17 a refusal changes nothing: hammering never prolongs the wait", () => {
    fc.assert(
      fc.property(scenes, fc.integer({ min: 1, max: 50 }), ({ limit, window, arrivals }, hammering) => {
        const log = new AdmissionLog(window);
        let now = 0;
        for (const { gap, cost } of arrivals) {
          now += gap;
          step(log, limit, now, cost);
        }
        const before = step(log, limit, now, limit);
        fc.pre(!before.admitted);
        for (let turn = 0; turn < hammering; turn++) expect(step(log, limit, now, limit)).toEqual(before);
      }),
    );
  });

  test("the whole limit is free again when it said", () => {
    fc.assert(
      fc.property(scenes, ({ limit, window, arrivals }) => {
        const log = new AdmissionLog(window);
        let now = 0;
        for (const { gap, cost } of arrivals) {
          now += gap;
          const verdict = step(log, limit, now, cost);
          expect(verdict.remaining).toBe(limit - log.used(now));
          expect(verdict.reset).toBeGreaterThan(0);
          expect(verdict.reset).toBeLessThanOrEqual(window);
        }
        const reset = log.untilFree(now);
        expect(log.used(now + reset - 1)).toBeGreaterThan(0);
        expect(log.used(now + reset)).toBe(0);
      }),
    );
  });

  test("Q08 a clock that is set back neither reopens the window nor shuts it for longer than a window", () => {
    const jumps = fc.array(fc.record({ at: fc.nat(299), back: fc.integer({ min: 1, max: 100_000 }) }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(scenes, jumps, ({ limit, window, arrivals }, setBacks) => {
        const log = new AdmissionLog(window);
        const admissions: Admission[] = [];
        let real = 0;
        let offset = 1_000_000;
        for (const [index, { gap, cost }] of arrivals.entries()) {
          real += gap;
          for (const jump of setBacks) if (jump.at === index) offset -= jump.back;
          if (step(log, limit, real + offset, cost).admitted) admissions.push({ at: real, cost });
        }
        for (const { at } of admissions) expect(unitsIn(admissions, window, at)).toBeLessThanOrEqual(limit);
        step(log, limit, real + offset, 1);
        expect(step(log, limit, real + offset + window, limit).admitted).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test("Q22 holds at most about 100 live groups, whatever the costs", () => {
    fc.assert(
      fc.property(scenes, ({ limit, window, arrivals }) => {
        const log = new AdmissionLog(window);
        for (const { cost } of arrivals) step(log, limit, 0, cost);
        expect(log.size).toBeLessThanOrEqual(101);
      }),
    );
    const log = new AdmissionLog(1_000);
    let largest = 0;
    for (let now = 0; now < 20_000; now++) {
      step(log, 149, now, (now % 2) + 1);
      largest = Math.max(largest, log.size);
    }
    // Expired groups are cut off in batches, so the array may be twice as long as what is alive.
    expect(largest).toBeLessThanOrEqual(201);
  });
});
