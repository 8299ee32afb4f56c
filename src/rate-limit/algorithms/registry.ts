// The algorithms by name: how a policy becomes a meter in this process, and the numbers of the same meter in Redis.

import type { LimitAlgorithm, LimitPolicy } from "../policy.ts";
import { AdmissionLog } from "./admission-log.ts";
import type { Meter } from "./meter.ts";
import { LOG_GRAIN } from "./sliding-log.ts";
import { grainOf } from "./sliding-window.ts";
import { Bucket, drainOf } from "./token-bucket.ts";

/** Limits are kept by clocks of microseconds: Redis' own, and this process's steady one. */
export const MICROS_PER_MS = 1_000;

/** Forms of a counter in Redis; the script knows them by these numbers. */
export const LOG_FORM = 0;
export const BUCKET_FORM = 1;

/** A policy as an algorithm sees it. Times in microseconds. */
export interface Measure {
  /** Most units at one moment. */
  readonly cap: number;
  /** Time after which an untouched counter holds nothing, at most. */
  readonly lasts: number;
  readonly grain: number;
  /** What the script needs to know of the counter: its form, and two numbers that depend on it. */
  readonly form: readonly [form: number, first: number, second: number];
  readonly create: () => Meter;
}

const ALGORITHMS: Readonly<Record<LimitAlgorithm, (policy: LimitPolicy) => Measure>> = {
  slidingWindow: (policy) => logMeasure(policy, grainOf(policy.limit)),
  slidingLog: (policy) => logMeasure(policy, LOG_GRAIN),
  tokenBucket: bucketMeasure,
};

/** The measure of a policy. */
export function measureOf(policy: LimitPolicy): Measure {
  return ALGORITHMS[policy.algorithm ?? "slidingWindow"](policy);
}

function logMeasure({ limit, windowMs }: LimitPolicy, grain: number): Measure {
  const window = windowMs * MICROS_PER_MS;
  return {
    cap: limit,
    lasts: window,
    grain,
    form: [LOG_FORM, window, grain],
    create: () => new AdmissionLog(window),
  };
}

function bucketMeasure({ limit, windowMs, burst = limit }: LimitPolicy): Measure {
  // A tier without any units has nothing that could drain, and no burst: nothing is ever admitted to it.
  const cap = limit === 0 ? 0 : burst;
  const drain = drainOf(Math.max(1, limit), windowMs * MICROS_PER_MS);
  return {
    cap,
    lasts: Math.ceil((Math.max(1, cap) * drain.scale) / drain.drain),
    grain: 1,
    form: [BUCKET_FORM, drain.scale, drain.drain],
    create: () => new Bucket(drain),
  };
}
