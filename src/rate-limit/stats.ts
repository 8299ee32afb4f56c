// What each limit decided so far: plain counters that the hot path raises and a scrape of the metrics reads.

import type { LimitPolicy, StoreFailurePolicy } from "./policy.ts";

/** Counts of one limit of one route since the start. */
export class LimitStats {
  readonly route: string;
  readonly limit: string;
  /** What is in force while the shared store is away. */
  mode: StoreFailurePolicy;
  observed: boolean;
  admitted = 0;
  refused = 0;
  /** Refusals because the store was away and the limit says `deny`. */
  unavailable = 0;
  /** Requests that passed although this limit, which is only observed, had no room. */
  wouldRefuse = 0;

  constructor(route: string, policy: LimitPolicy) {
    this.route = route;
    this.limit = policy.name;
    this.mode = policy.onStoreFailure;
    this.observed = policy.observe === true;
  }

  /** The limit goes on with other traits. */
  follow(policy: LimitPolicy): void {
    this.mode = policy.onStoreFailure;
    this.observed = policy.observe === true;
  }
}
