// A limit made ready for the hot path: everything that doesn't depend on the request is worked out once.

import { BUCKET_FORM, type Measure, MICROS_PER_MS, measureOf } from "./algorithms/registry.ts";
import { counterName, type KeyOf, keyMaker } from "./identity.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";
import { LEASED_FLAG, MODE, OBSERVED_FLAG } from "./script.ts";
import type { LimitStats } from "./stats.ts";

// A lease lasts for this part of the window, within these bounds: the shorter, the less is withheld from others.
const LEASES_PER_WINDOW = 50;
const SHORTEST_LEASE_MICROS = 50 * MICROS_PER_MS;
const LONGEST_LEASE_MICROS = 5_000 * MICROS_PER_MS;

/** One limit with what follows from its policy. Times are microseconds. */
export interface BoundLimit {
  readonly policy: LimitPolicy;
  readonly measure: Measure;
  /** First part of the key of every counter of this limit. */
  readonly counters: string;
  /** Key of the counter that a request belongs to. */
  readonly keyOf: KeyOf;
  readonly leased: boolean;
  readonly enforced: boolean;
  /** Time that a lease lasts. */
  readonly leaseMicros: number;
  /** The script's arguments for this limit at its own cost. */
  readonly args: readonly string[];
  readonly stats: LimitStats;
}

/** All limits of a request. */
export interface BoundLimits {
  readonly list: readonly BoundLimit[];
  /** Every limit is enforced and leased, so that a request may pass without a call. */
  readonly leased: boolean;
  /** The upstream tells what some of them cost. */
  readonly later: boolean;
  /** The script's arguments for one decision under these limits. */
  readonly args: readonly string[];
}

/** Binds one limit; its counters' keys start with `prefix`, and what it decides is noted in `stats`. */
export function bindLimit(prefix: string, policy: LimitPolicy, stats: LimitStats): BoundLimit {
  const measure = measureOf(policy);
  const counters = counterName(prefix, policy);
  const leased = policy.sync === "leased";
  const enforced = policy.observe !== true;
  const [form, first, second] = measure.form;
  const flags = form + (enforced ? 0 : OBSERVED_FLAG) + (leased ? LEASED_FLAG : 0);
  const lease = Math.round((policy.windowMs * MICROS_PER_MS) / LEASES_PER_WINDOW);
  return {
    policy,
    measure,
    counters,
    keyOf: keyMaker(counters, policy.subject),
    leased,
    enforced,
    leaseMicros: Math.min(LONGEST_LEASE_MICROS, Math.max(SHORTEST_LEASE_MICROS, lease)),
    args: [flags, measure.cap, first, second, policy.cost].map(String),
    stats,
  };
}

/** Joins the limits that one request has to pass. */
export function joinLimits(list: readonly BoundLimit[]): BoundLimits {
  return {
    list,
    later: list.some(({ policy }) => policy.costFrom !== undefined),
    leased: list.length > 0 && list.every(({ leased, enforced }) => leased && enforced),
    args: [String(MODE.decide + list.length), ...list.flatMap(({ args }) => args)],
  };
}

/** The script's arguments for one limit at another cost. */
export function argsAt(limit: BoundLimit, cost: number): readonly string[] {
  return [...limit.args.slice(0, -1), String(cost)];
}

/** Keys that the script is given for one counter. */
export function scriptKeys(limit: BoundLimit, key: string): readonly string[] {
  return limit.leased ? [key, leasesKey(key)] : [key];
}

/** Where the leases of a counter are; in the same slot of a cluster as the counter. */
export function leasesKey(key: string): string {
  return `${key}:leases`;
}

/** Time until `units` of a limit count no more, when nothing is known of their times: at the latest then. */
export function freeAfter({ measure }: BoundLimit, units: number): number {
  const [form, scale, drain] = measure.form;
  if (units <= 0) return 0;
  return form === BUCKET_FORM ? Math.ceil((units * scale) / drain) : measure.lasts;
}

function wholeSeconds(micros: number): number {
  return Math.ceil(micros / 1_000_000);
}

/** The state of one limit; `reset` and `retry` in microseconds from now, `retry` 0 when the limit had room. */
export function outcomeOf(
  policy: LimitPolicy,
  remaining: number,
  reset: number,
  retry: number,
  degraded: boolean,
): LimitOutcome {
  return {
    admitted: retry === 0,
    policy,
    remaining: remaining > 0 ? remaining : 0,
    resetSeconds: wholeSeconds(reset),
    retryAfterSeconds: wholeSeconds(retry),
    degraded,
  };
}

function byTightness(one: LimitOutcome, other: LimitOutcome): number {
  if (one.admitted !== other.admitted) return one.admitted ? 1 : -1;
  if (!one.admitted) return other.retryAfterSeconds - one.retryAfterSeconds;
  return requestsLeft(one) - requestsLeft(other);
}

/** How many more requests the limit admits; one that is only looked at counts as taking one unit. */
function requestsLeft({ remaining, policy }: LimitOutcome): number {
  return remaining / Math.max(1, policy.cost);
}

// Stands where no limit is: its outcome is never shown, since a result without outcomes has none.
const NO_POLICY: LimitPolicy = {
  name: "",
  limit: Number.MAX_SAFE_INTEGER,
  windowMs: 1,
  subject: { by: "route" },
  cost: 0,
  onStoreFailure: "allow",
};

/** The result for a caller whom no limit of the route concerns. */
export const UNLIMITED = {
  kind: "admitted",
  outcomes: [],
  tightest: outcomeOf(NO_POLICY, NO_POLICY.limit, 0, 0, false),
} as const satisfies LimitResult;

/** The result of one decision, with the tightest limit first. Limits that are only observed are told apart, and never refuse. */
export function resultOf(limits: readonly BoundLimit[], outcomes: readonly LimitOutcome[]): LimitResult {
  if (outcomes.length === 1 && (limits[0] as BoundLimit).enforced) {
    const tightest = outcomes[0] as LimitOutcome;
    const { stats } = limits[0] as BoundLimit;
    if (tightest.admitted) stats.admitted++;
    else stats.refused++;
    return { kind: tightest.admitted ? "admitted" : "refused", outcomes, tightest };
  }
  return resultOfMany(limits, outcomes);
}

function resultOfMany(limits: readonly BoundLimit[], outcomes: readonly LimitOutcome[]): LimitResult {
  const enforced: LimitOutcome[] = [];
  const observed: string[] = [];
  for (const [index, outcome] of outcomes.entries()) {
    if ((limits[index] as BoundLimit).enforced) enforced.push(outcome);
    else if (!outcome.admitted) observed.push(outcome.policy.name);
  }
  const admitted = enforced.every((outcome) => outcome.admitted);
  for (const [index, outcome] of outcomes.entries()) {
    const { stats, enforced: counts } = limits[index] as BoundLimit;
    if (outcome.admitted) stats.admitted += admitted ? 1 : 0;
    else if (counts) stats.refused++;
    else stats.wouldRefuse++;
  }
  enforced.sort(byTightness);
  const result: LimitResult = {
    kind: admitted ? "admitted" : "refused",
    outcomes: enforced,
    tightest: enforced[0] ?? UNLIMITED.tightest,
  };
  return observed.length === 0 ? result : { ...result, observed };
}
