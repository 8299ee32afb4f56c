// The sliding-window algorithm: never more than the limit in any trailing window, with bounded memory per key.
// Admissions are kept as a log of groups; a group leaves the window as one, when its LAST admission does. So no unit
// is ever forgotten too early, and at most the oldest group, less one unit, is forgotten too late.

// A group holds at most 1/50 of the limit, so a caller is refused early by less than 2 % of the limit.
const GROUPS_PER_LIMIT = 50;
// Expired groups are cut off the array when at least this many numbers would be freed and they are half of it.
const LEAST_CUT = 32;

/** What one decision found; times are in the unit of the log's window. */
export interface Verdict {
  readonly admitted: boolean;
  /** Units that are still free after the decision. */
  readonly remaining: number;
  /** Time until the whole limit is free again, when nobody takes more. */
  readonly reset: number;
  /** Time until the same cost is admitted; 0 when it was admitted. */
  readonly retry: number;
}

/** Most units that one group of a log for `limit` holds. */
export function grainOf(limit: number): number {
  return Math.max(1, Math.floor(limit / GROUPS_PER_LIMIT));
}

/**
 * The admissions of one key within the half-open window `(now - window, now]`. All times are in one unit of the
 * caller's choice. Two neighbouring groups together exceed the grain, so a log holds at most about 100 groups.
 */
export class AdmissionLog {
  readonly window: number;
  // Pairs: time of a group's last admission, running total after it. Flat numbers are the most compact form.
  #groups: number[] = [];
  #head = 0;
  // Running total before the group at #head.
  #base = 0;

  constructor(window: number) {
    this.window = window;
  }

  get #total(): number {
    return this.#groups.length === 0 ? this.#base : (this.#groups[this.#groups.length - 1] as number);
  }

  get #newest(): number {
    return this.#groups[this.#groups.length - 2] as number;
  }

  /** Number of groups held, expired ones included. */
  get size(): number {
    return this.#groups.length / 2;
  }

  /** Whether nothing is left in the window that ends at `now`. */
  isIdle(now: number): boolean {
    return this.#groups.length === 0 || this.#newest + this.window <= now;
  }

  /** Units counted in the window that ends at `now`; groups that have left it are dropped. */
  used(now: number): number {
    if (this.#groups.length === 0) return 0;
    if (this.#newest > now) this.#shift(this.#newest - now);
    if (this.#newest + this.window <= now) {
      this.#groups = [];
      this.#head = 0;
      this.#base = 0;
      return 0;
    }
    while ((this.#groups[this.#head] as number) + this.window <= now) {
      this.#base = this.#groups[this.#head + 1] as number;
      this.#head += 2;
    }
    return this.#total - this.#base;
  }

  /** Counts `cost` units at `now`, which is not before the last call of `used`. None at all leave the log as it is. */
  add(now: number, cost: number, grain: number): void {
    if (cost === 0) return;
    const groups = this.#groups;
    const total = this.#total + cost;
    const end = groups.length;
    if (end === 0) {
      this.#groups = [now, total];
      return;
    }
    const before = end - this.#head === 2 ? this.#base : (groups[end - 3] as number);
    if (total - before <= grain) {
      groups[end - 2] = now;
      groups[end - 1] = total;
      return;
    }
    if (this.#head >= LEAST_CUT && this.#head * 2 >= end) {
      this.#groups = groups.slice(this.#head);
      this.#head = 0;
    }
    this.#groups.push(now, total);
  }

  /** Time from `now` until nothing is counted any more. Call `used` first. */
  untilFree(now: number): number {
    // In this order a fractional clock can't make a whole window come out longer than it is.
    return this.#groups.length === 0 ? 0 : this.window - (now - this.#newest);
  }

  /** Time from `now` until `cost` units fit under `limit`; 0 when they fit at once. Call `used` first. */
  untilFits(now: number, cost: number, limit: number): number {
    const total = this.#total;
    if (total - this.#base + cost <= limit) return 0;
    for (let index = this.#head; index < this.#groups.length; index += 2) {
      const left = total - (this.#groups[index + 1] as number);
      if (left + cost <= limit) return this.window - (now - (this.#groups[index] as number));
    }
    return this.untilFree(now);
  }

  /**
   * A clock that was set back must neither reopen the window nor hold it shut until the clock has caught up: the log
   * is moved as a whole so that its newest group is of this moment. No admission gets older than it is.
   */
  #shift(by: number): void {
    for (let index = this.#head; index < this.#groups.length; index += 2) {
      this.#groups[index] = (this.#groups[index] as number) - by;
    }
  }
}

/**
 * One decision: counts `cost` units (0 to `limit`) at `now` if they fit, all or none; a refusal counts nothing, and a
 * cost of 0 only looks.
 * Depends on its arguments alone, so it is also the model that the Redis script is held to.
 */
export function step(log: AdmissionLog, limit: number, now: number, cost: number): Verdict {
  const admitted = log.used(now) + cost <= limit;
  if (admitted) log.add(now, cost, grainOf(limit));
  const retry = admitted ? 0 : log.untilFits(now, cost, limit);
  return { admitted, remaining: Math.max(0, limit - log.used(now)), reset: log.untilFree(now), retry };
}
