import { describe, expect, test } from "vitest";
import { Lease } from "../../../src/rate-limit/lease.ts";

const LEASE = 1_200_000;

/** What is forecast at each of `count` requests that come one by one, `gap` microseconds apart. */
function forecasts(gap: number, count: number): number[] {
  const lease = new Lease("one", 0);
  return Array.from({ length: count }, (_, turn) => {
    lease.noteUse(1);
    return lease.forecast(turn * gap, LEASE);
  });
}

describe("the forecast of a lease", () => {
  test("sees a caller who comes often, even when each request is asked for by itself", () => {
    expect(forecasts(10_000, 4).some((units) => units > 1)).toBe(true);
  });

  test("lends nothing to a caller who comes once in a lease, once that is known", () => {
    expect(forecasts(LEASE, 20).slice(2)).toEqual(Array(18).fill(0));
  });

  test("follows the rate, with a quarter to spare", () => {
    const lease = new Lease("one", 0);
    for (let turn = 0; turn < 100; turn++) lease.noteUse(1);
    expect(lease.forecast(LEASE, LEASE)).toBe(125);
    lease.noteUse(10);
    expect(lease.forecast(2 * LEASE, LEASE)).toBe(13);
  });
});
