// A log of admissions in groups: the state of both sliding algorithms, which differ only in how large a group may be.
// A group leaves the window as one, when its LAST admission does. So no unit is ever forgotten too early, and at most
// the oldest group, less one unit, is forgotten too late.

import type { Meter } from "./meter.ts";

// Expired groups are cut off the array when at least this many numbers would be freed and they are half of it.
const LEAST_CUT = 32;

/**
 * The admissions of one key within the half-open window `(now - window, now]`. All times are in one unit of the
 * caller's choice. Two neighbouring groups together exceed the grain.
 */
export class AdmissionLog implements Meter {
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

  isIdle(now: number): boolean {
    return this.#groups.length === 0 || this.#newest + this.window <= now;
  }

  copy(): AdmissionLog {
    const copy = new AdmissionLog(this.window);
    copy.#groups = this.#groups.slice(this.#head);
    copy.#base = this.#base;
    return copy;
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

  /**
   * Counts `cost` units at `now`, which is not before the last call of `used`. None at all leave the log as it is.
   * `grain` is the most that one group holds; a cost beyond it is a group of its own.
   */
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

  untilFree(now: number): number {
    // In this order a fractional clock can't make a whole window come out longer than it is.
    return this.#groups.length === 0 ? 0 : this.window - (now - this.#newest);
  }

  untilFits(now: number, cost: number, cap: number): number {
    const total = this.#total;
    if (total - this.#base + cost <= cap) return 0;
    // It never fits, and 0 would say that it does now.
    if (this.#groups.length === 0) return this.window;
    // Totals grow along the log, so the first group whose end leaves enough room is found by halving.
    let low = this.#head / 2;
    let high = this.#groups.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (total - (this.#groups[middle * 2 + 1] as number) + cost <= cap) high = middle;
      else low = middle + 1;
    }
    return low * 2 < this.#groups.length
      ? this.window - (now - (this.#groups[low * 2] as number))
      : this.untilFree(now);
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
