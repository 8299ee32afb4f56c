// A route's limits made ready for the hot path: everything that doesn't depend on the request is worked out once.

import { grainOf } from "./algorithms/sliding-window.ts";
import { keyMaker, type LimitInput } from "./identity.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";

/** One limit with what follows from its policy. */
export interface BoundLimit {
  readonly policy: LimitPolicy;
  readonly grain: number;
  /** Key of the counter that a request belongs to. */
  readonly keyOf: (input: LimitInput) => string;
}

/** All limits of a route. */
export interface BoundLimits {
  readonly list: readonly BoundLimit[];
  /** The script's arguments for one decision under these limits. */
  readonly args: readonly string[];
}

/** Binds the limits of one route; keys start with `prefix`. */
export function bindLimits(prefix: string, policies: readonly LimitPolicy[]): BoundLimits {
  const list = policies.map((policy) => {
    return { policy, grain: grainOf(policy.limit), keyOf: keyMaker(prefix, policy) };
  });
  const numbers = list.flatMap(({ policy, grain }) => [
    policy.limit,
    policy.windowMs * 1_000,
    grain,
    policy.cost,
  ]);
  return { list, args: [list.length, ...numbers].map(String) };
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1_000);
}

/** The state of one limit; `resetMs` and `retryMs` from now, `retryMs` 0 when the limit had room. */
export function outcomeOf(
  policy: LimitPolicy,
  remaining: number,
  resetMs: number,
  retryMs: number,
  degraded: boolean,
): LimitOutcome {
  return {
    admitted: retryMs === 0,
    policy,
    remaining: remaining > 0 ? remaining : 0,
    resetSeconds: wholeSeconds(resetMs),
    retryAfterSeconds: wholeSeconds(retryMs),
    degraded,
  };
}

function byTightness(one: LimitOutcome, other: LimitOutcome): number {
  if (one.admitted !== other.admitted) return one.admitted ? 1 : -1;
  if (!one.admitted) return other.retryAfterSeconds - one.retryAfterSeconds;
  return requestsLeft(one) - requestsLeft(other);
}

/** Puts the tightest limit first. `outcomes` holds at least one. */
export function resultOf(outcomes: LimitOutcome[]): LimitResult {
  if (outcomes.length > 1) outcomes.sort(byTightness);
  const tightest = outcomes[0] as LimitOutcome;
  return { kind: tightest.admitted ? "admitted" : "refused", outcomes, tightest };
}

/** How many more requests the limit admits; one that is only looked at counts as taking one unit. */
function requestsLeft({ remaining, policy }: LimitOutcome): number {
  return remaining / Math.max(1, policy.cost);
}
