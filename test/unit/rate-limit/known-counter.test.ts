import { expect, test } from "vitest";
import { AdmissionLog } from "../../../src/rate-limit/algorithms/admission-log.ts";
import { bindLimit } from "../../../src/rate-limit/bound-limit.ts";
import { KnownCounter } from "../../../src/rate-limit/known-counter.ts";
import type { LimitAlgorithm, LimitPolicy } from "../../../src/rate-limit/policy.ts";
import { LimitStats } from "../../../src/rate-limit/stats.ts";

const SECOND = 1_000_000;

test.each<LimitAlgorithm>([
  "slidingWindow",
  "slidingLog",
  "tokenBucket",
])("what `allow` lets through takes neither memory nor more than a window to leave, by %s", (algorithm) => {
  const policy: LimitPolicy = {
    name: "exports",
    limit: 10,
    windowMs: 60_000,
    subject: { by: "route" },
    cost: 1,
    onStoreFailure: "allow",
    algorithm,
  };
  const counter = new KnownCounter(bindLimit("gw", policy, new LimitStats("", policy)));
  for (let turn = 0; turn < 5_000; turn++) counter.admit(1, SECOND + turn * 1_000);
  const end = SECOND + 4_999 * 1_000;
  expect(counter.used(end)).toBeGreaterThanOrEqual(10);
  if (counter.own instanceof AdmissionLog) {
    expect(counter.own.size).toBeLessThanOrEqual(20);
    expect(counter.used(end + 60 * SECOND - 1)).toBeGreaterThanOrEqual(10);
  }
  expect(counter.isIdle(end + 60 * SECOND)).toBe(true);
});
