// What every algorithm is to the limiter: a meter of one caller's use, and one pure step that decides on it.

/** What one decision found; times are in the unit of the meter's clock. */
export interface Verdict {
  readonly admitted: boolean;
  /** Units that are still free after the decision. */
  readonly remaining: number;
  /** Time until the whole limit is free again, when nobody takes more. */
  readonly reset: number;
  /** Time until the same cost is admitted; 0 when it was admitted. */
  readonly retry: number;
}

/**
 * The use of one key under one limit. Times are whole numbers of one unit. `used` comes first in every decision: the
 * other members speak of the moment that it was asked about.
 */
export interface Meter {
  /** Units that count at `now`. What counts no more is dropped; a clock that was set back is allowed for. */
  used(now: number): number;
  /** Counts `cost` units at `now`, without asking whether they fit. */
  add(now: number, cost: number, grain: number): void;
  /** Time until nothing counts any more. */
  untilFree(now: number): number;
  /** Time until `cost` more units fit under `cap`; 0 when they fit at once, and only then. */
  untilFits(now: number, cost: number, cap: number): number;
  /** Whether nothing counts at `now`. */
  isIdle(now: number): boolean;
  /** A meter that counts the same and goes its own way. */
  copy(): Meter;
}

/**
 * One decision: counts `cost` units (0 to `cap`) at `now` if they fit, all or none; a refusal counts nothing, and a cost
 * of 0 only looks. Depends on its arguments alone, so it is the in-process counter as well as the model that the Redis
 * script is held to.
 */
export function decideOn(meter: Meter, cap: number, grain: number, now: number, cost: number): Verdict {
  const admitted = meter.used(now) + cost <= cap;
  if (admitted && cost > 0) meter.add(now, cost, grain);
  const retry = admitted ? 0 : meter.untilFits(now, cost, cap);
  return { admitted, remaining: Math.max(0, cap - meter.used(now)), reset: meter.untilFree(now), retry };
}
