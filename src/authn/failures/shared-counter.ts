// Counts failures of all instances together, and of this process by itself in case nobody else can be asked.

import { type Awaitable, isPromise } from "../../core/result.ts";
import type { FailureCounter, FailureDimension } from "./ports.ts";

/** Counts one event for `who` over all instances, and tells how many there are; undefined when that can't be told. */
export type Tally = (who: string) => Awaitable<number | undefined>;

export class SharedFailureCounter implements FailureCounter {
  readonly #own: FailureCounter;
  readonly #tallies: Readonly<Record<FailureDimension, Tally>>;

  constructor(own: FailureCounter, tallies: Readonly<Record<FailureDimension, Tally>>) {
    this.#own = own;
    this.#tallies = tallies;
  }

  count(dimension: FailureDimension, hashedId: string): Awaitable<number> {
    const own = this.#own.count(dimension, hashedId);
    const all = this.#tallies[dimension](hashedId);
    if (!isPromise(own) && !isPromise(all)) return Math.max(own, all ?? 0);
    return Promise.all([own, all]).then(([here, everywhere]) => Math.max(here, everywhere ?? 0));
  }
}
