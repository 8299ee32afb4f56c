// The token bucket, in the form of the generic cell rate algorithm: a level that use raises and time lowers evenly.
// Any interval of length d admits at most burst + d × rate. Two numbers per key, whatever the limit.

import { decideOn, type Meter, type Verdict } from "./meter.ts";

/**
 * How a bucket drains, in whole numbers, so that the process and the Redis script agree to the last unit: the level is
 * kept in parts of a unit, `scale` of them to the unit, of which `drain` leave per tick of the clock.
 */
export interface Drain {
  readonly scale: number;
  readonly drain: number;
}

/** The drain that gives `limit` units back in `window` ticks; both at least 1. */
export function drainOf(limit: number, window: number): Drain {
  const shared = commonDivisor(limit, window);
  return { scale: window / shared, drain: limit / shared };
}

function commonDivisor(one: number, other: number): number {
  return other === 0 ? one : commonDivisor(other, one % other);
}

/** Use of one key. Whole times and costs stay exact while `burst × scale` is a safe integer. */
export class Bucket implements Meter {
  readonly #scale: number;
  readonly #drain: number;
  #level = 0;
  #at = 0;

  constructor({ scale, drain }: Drain) {
    this.#scale = scale;
    this.#drain = drain;
  }

  /** Units in the bucket, a started one counted as whole. */
  used(now: number): number {
    const elapsed = now - this.#at;
    this.#at = now;
    // A clock that was set back drains nothing, and drains on from where it is now.
    if (elapsed > 0) this.#level = Math.max(0, this.#level - elapsed * this.#drain);
    return Math.ceil(this.#level / this.#scale);
  }

  add(now: number, cost: number): void {
    // A bucket that nobody has looked at yet doesn't know the time: what is put in must not drain since its beginning.
    if (this.#level === 0) this.#at = now;
    this.#level += cost * this.#scale;
  }

  untilFree(_now: number): number {
    return Math.ceil(this.#level / this.#drain);
  }

  untilFits(_now: number, cost: number, cap: number): number {
    return Math.max(0, Math.ceil((this.#level + (cost - cap) * this.#scale) / this.#drain));
  }

  copy(): Bucket {
    const copy = new Bucket({ scale: this.#scale, drain: this.#drain });
    copy.#level = this.#level;
    copy.#at = this.#at;
    return copy;
  }

  isIdle(now: number): boolean {
    return this.#level - Math.max(0, now - this.#at) * this.#drain <= 0;
  }
}

/** One decision under the token bucket that holds `burst` units; see `decideOn`. */
export function stepBucket(bucket: Bucket, burst: number, now: number, cost: number): Verdict {
  return decideOn(bucket, burst, 1, now, cost);
}
