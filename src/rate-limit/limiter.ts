// The limiter: takes all limits of a request at once, from the shared counters where there are some, else from this
// process's own, and follows each limit's own choice while the shared ones can't answer.

import type { Clock } from "../core/clock.ts";
import type { Awaitable } from "../core/result.ts";
import { type BoundLimit, bindLimit } from "./bound-limit.ts";
import type { LimitInput } from "./identity.ts";
import { LocalCounters } from "./local-counters.ts";
import { MemoryStore } from "./memory-store.ts";
import type { LimitResult } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";

export type { LimitInput } from "./identity.ts";
export type { LimitOutcome, LimitResult } from "./outcome.ts";

/** How a limiter is set up. */
export interface LimiterOptions {
  /** First part of every counter's key. */
  readonly prefix: string;
  readonly clock: Pick<Clock, "steadyMs">;
  /** Most counters kept in this process; 1,000,000 unless said. */
  readonly mostKeys?: number;
}

/** Decides whether a request stays within its limits, and counts it when it does. */
export class Limiter {
  readonly #prefix: string;
  readonly #clock: Pick<Clock, "steadyMs">;
  readonly #local: LocalCounters;
  readonly #bound = new WeakMap<readonly LimitPolicy[], readonly BoundLimit[]>();

  constructor(options: LimiterOptions) {
    this.#prefix = options.prefix;
    this.#clock = options.clock;
    this.#local = new LocalCounters(new MemoryStore(options.mostKeys));
  }

  /**
   * Counts one request under all of `policies` (at least one) or, when one of them has no room, under none.
   * `policies` must be the same array for every request of a route.
   */
  take(policies: readonly LimitPolicy[], input: LimitInput): Awaitable<LimitResult> {
    const limits = this.#bind(policies);
    const keys: string[] = [];
    for (const limit of limits) keys.push(limit.keyOf(input));
    return this.#local.take(limits, keys, this.#clock.steadyMs());
  }

  #bind(policies: readonly LimitPolicy[]): readonly BoundLimit[] {
    const known = this.#bound.get(policies);
    if (known !== undefined) return known;
    const bound = policies.map((policy) => bindLimit(this.#prefix, policy));
    this.#bound.set(policies, bound);
    return bound;
  }
}
