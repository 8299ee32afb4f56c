// What the limiter answers.

import type { LimitPolicy } from "./policy.ts";

/** The state of one limit after a decision. */
export interface LimitOutcome {
  /** Whether this limit had room; the request passes only when all of its limits do. */
  readonly admitted: boolean;
  readonly policy: LimitPolicy;
  /** Units that are still free. */
  readonly remaining: number;
  /** Whole seconds, rounded up, until the whole limit is free again. */
  readonly resetSeconds: number;
  /** Whole seconds, rounded up and at least 1, until the same request would pass this limit; 0 when it had room. */
  readonly retryAfterSeconds: number;
  /** The shared store could not answer; the limit's `onStoreFailure` decided. */
  readonly degraded: boolean;
}

/** A cost that is known only when the upstream has answered. */
export interface LaterCost {
  /** Lower-case name of the response field that holds it. */
  readonly field: string;
  /** Counts what `units` go beyond the cost that was counted before; more than the whole limit counts as the whole. */
  charge(units: number): void;
}

/** The limiter's answer about one request. */
export type LimitResult =
  | {
      readonly kind: "admitted" | "refused";
      /** One entry per enforced limit that was looked at, the tightest first; empty when no limit concerns the caller. */
      readonly outcomes: readonly LimitOutcome[];
      /** The limit that the caller meets first: of a refusal the one with the longest wait, else the one with least left. */
      readonly tightest: LimitOutcome;
      /** Names of limits that are only observed and had no room. */
      readonly observed?: readonly string[];
      /** What the upstream has still to tell the cost of. */
      readonly later?: readonly LaterCost[];
    }
  /** The store could not answer and `policy` says `deny`. */
  | { readonly kind: "unavailable"; readonly policy: LimitPolicy };
