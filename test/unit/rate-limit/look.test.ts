// A cost of 0 looks at a limit without counting.

import { describe, expect, test } from "vitest";
import { AdmissionLog, step } from "../../../src/rate-limit/algorithms/sliding-window.ts";

describe("a cost of 0", () => {
  test("leaves the log as it is, so that looking never keeps a window shut", () => {
    const log = new AdmissionLog(1_000);
    step(log, 2, 0, 2);
    for (let now = 1; now < 1_000; now += 100) {
      expect(step(log, 2, now, 0)).toMatchObject({ admitted: true, remaining: 0, reset: 1_000 - now });
    }
    expect(step(log, 2, 1_000, 1).admitted).toBe(true);
  });

  test("finds an untouched limit whole", () => {
    expect(step(new AdmissionLog(1_000), 5, 0, 0)).toEqual({
      admitted: true,
      remaining: 5,
      reset: 0,
      retry: 0,
    });
  });
});
