import fc from "fast-check";
import { expect, test } from "vitest";
import { Histogram } from "../../../src/telemetry/histogram.ts";

const BOUNDS = [1, 2.5, 10, 1_000];

test("a bound holds what is equal to it", () => {
  const histogram = new Histogram(BOUNDS);
  for (const ms of [1, 2.5, 2.6, 10, 1_000, 1_000.1]) histogram.observe(ms);
  expect(histogram.read()).toEqual({
    buckets: [
      [0.001, 1],
      [0.0025, 2],
      [0.01, 4],
      [1, 5],
    ],
    count: 6,
    sumSeconds: expect.closeTo(2.0162, 9),
  });
});

test("each bucket holds what is at or below its bound, whatever was observed", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 5_000, noNaN: true })), (observed) => {
      const histogram = new Histogram(BOUNDS);
      for (const ms of observed) histogram.observe(ms);
      const { buckets, count, sumSeconds } = histogram.read();
      expect(buckets).toEqual(
        BOUNDS.map((bound) => [bound / 1_000, observed.filter((ms) => ms <= bound).length]),
      );
      expect(count).toBe(observed.length);
      expect(sumSeconds).toBeCloseTo(observed.reduce((sum, ms) => sum + ms, 0) / 1_000, 6);
    }),
  );
});
