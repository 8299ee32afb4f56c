// Response fields that tell a client where it stands: the trio of the RateLimit drafts up to -06, and the structured
// fields of draft-ietf-httpapi-ratelimit-headers-10.

import type { LimitOutcome, LimitResult } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";

/** Names that the gateway speaks for on a limited route's answers; an upstream's own would contradict them. */
export const LIMIT_FIELDS: readonly string[] = [
  "ratelimit",
  "ratelimit-policy",
  "ratelimit-limit",
  "ratelimit-remaining",
  "ratelimit-reset",
  "ratelimit-mode",
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
];

/** The parts of the fields that are the same for every answer under one policy. */
interface ConstantParts {
  readonly limit: string;
  /** Item of RateLimit-Policy: name, quota, window. */
  readonly policyItem: string;
  /** Item of RateLimit up to its remaining units. */
  readonly stateStart: string;
}

const constants = new WeakMap<LimitPolicy, ConstantParts>();

/** A Structured Fields String (RFC 9651 3.3.3); characters that one can't hold become `_`. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, "_").replace(/["\\]/g, "\\$&")}"`;
}

function constantParts(policy: LimitPolicy): ConstantParts {
  const known = constants.get(policy);
  if (known !== undefined) return known;
  const name = quoted(policy.name);
  const { quota, windowMs } = quotaOf(policy);
  const made = {
    limit: String(quota),
    policyItem: `${name};q=${quota};w=${Math.ceil(windowMs / 1_000)}`,
    stateStart: `${name};r=`,
  };
  constants.set(policy, made);
  return made;
}

/** What can be left at most, and the time in which all of it comes back: of a bucket its burst, so that `r` never exceeds `q`. */
function quotaOf({ algorithm, limit, windowMs, burst = limit }: LimitPolicy): {
  readonly quota: number;
  readonly windowMs: number;
} {
  return algorithm === "tokenBucket" && limit > 0
    ? { quota: burst, windowMs: (burst * windowMs) / limit }
    : { quota: limit, windowMs };
}

/** Seconds until there is more: of a refused limit the wait itself, so that Retry-After never points before it. */
function resetOf(outcome: LimitOutcome): number {
  return outcome.admitted ? outcome.resetSeconds : outcome.retryAfterSeconds;
}

/**
 * The fields of one answer as a flat `[name, value, …]` list. `legacy` adds the `X-RateLimit-` trio. `RateLimit-Mode` is
 * there only while a limit's `onStoreFailure` decides, and alone when that refused.
 */
export function limitFields(result: LimitResult, legacy: boolean): string[] {
  if (result.kind === "unavailable") return ["RateLimit-Mode", result.policy.onStoreFailure];
  if (result.outcomes.length === 0) return [];
  const { tightest, outcomes } = result;
  const parts = constantParts(tightest.policy);
  const remaining = String(tightest.remaining);
  const reset = String(resetOf(tightest));
  let policies = parts.policyItem;
  let states = `${parts.stateStart}${remaining};t=${reset}`;
  let mode = tightest.degraded ? tightest.policy.onStoreFailure : undefined;
  for (let index = 1; index < outcomes.length; index++) {
    const outcome = outcomes[index] as LimitOutcome;
    const more = constantParts(outcome.policy);
    policies += `, ${more.policyItem}`;
    states += `, ${more.stateStart}${outcome.remaining};t=${resetOf(outcome)}`;
    if (outcome.degraded) mode ??= outcome.policy.onStoreFailure;
  }
  const fields = ["RateLimit-Limit", parts.limit, "RateLimit-Remaining", remaining, "RateLimit-Reset", reset];
  fields.push("RateLimit-Policy", policies, "RateLimit", states);
  if (mode !== undefined) fields.push("RateLimit-Mode", mode);
  if (legacy) {
    fields.push(
      "X-RateLimit-Limit",
      parts.limit,
      "X-RateLimit-Remaining",
      remaining,
      "X-RateLimit-Reset",
      reset,
    );
  }
  return fields;
}
