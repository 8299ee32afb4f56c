// What the limiter would answer, without taking anything: for people who want to know before a request is sent. Where it
// can be, it is the deciding code itself, on copies of the counters.

import { BUCKET_FORM } from "./algorithms/registry.ts";
import {
  type BoundLimit,
  type BoundLimits,
  freeAfter,
  outcomeOf,
  resultOf,
  UNLIMITED,
} from "./bound-limit.ts";
import type { KnownCounters } from "./known-counters.ts";
import type { LeasedCounters } from "./leased-counters.ts";
import type { LocalCounters } from "./local-counters.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";
import type { Found, SharedCounters } from "./shared-counters.ts";
import { LimitStats } from "./stats.ts";

/**
 * Where the numbers are from: this process, the shared store, a part of the limit that this process leased from it, what
 * this process knows of a refusal there that still holds, or the limit's own choice while the store is away.
 */
export type LimitSource = "memory" | "redis" | "lease" | "refusal" | "standIn";

/** One limit as a request would find it. */
export interface PeekedLimit {
  readonly policy: LimitPolicy;
  /** The counter's key: holds a hash of the caller, never a name. */
  readonly key: string;
  /** Most units at one moment. */
  readonly cap: number;
  readonly enforced: boolean;
  /** Undefined when the answer doesn't depend on this limit any more, so that nobody looked. */
  readonly state: PeekedState | undefined;
  readonly source: LimitSource;
}

export interface PeekedState {
  /** Units that count before the request. */
  readonly used: number;
  /** Whether this limit has room for the request. */
  readonly room: boolean;
  /** Units that are left afterwards, as the answer would tell. */
  readonly remaining: number;
  /** Whole seconds, rounded up, until nothing counts any more. */
  readonly resetSeconds: number;
  /** Whole seconds until there is room; 0 when there is. */
  readonly retryAfterSeconds: number;
}

/** What `take` would answer, and what it would find. */
export interface Peek {
  readonly result: LimitResult;
  /** In the order of the file. */
  readonly limits: readonly PeekedLimit[];
}

export const NOTHING_TO_PEEK: Peek = { result: UNLIMITED, limits: [] };

/** The shared counters, as far as they are looked at. */
export interface PeekedShared {
  readonly available: () => boolean;
  readonly known: KnownCounters;
  readonly exact: SharedCounters;
  readonly leased: LeasedCounters;
  /** The limits' own choice, made on `known`. */
  readonly standIn: (known: KnownCounters, list: readonly BoundLimit[], now: number) => LimitResult;
}

/** Looks at this process's own counters. */
export function peekLocal(
  local: LocalCounters,
  { list }: BoundLimits,
  keys: readonly string[],
  now: number,
): Peek {
  const { before, result } = local.peek(list.map(unnoted), keys, now);
  return made(list, keys, result, "memory", (index) => stateBefore(list[index], before[index]));
}

/** Looks at shared counters, by the way that a request would take. */
export async function peekShared(
  shared: PeekedShared,
  bound: BoundLimits,
  keys: readonly string[],
  now: number,
): Promise<Peek> {
  const list = bound.list.map(unnoted);
  const leased = bound.leased ? shared.leased.peek(list, keys, now) : undefined;
  if (leased !== undefined) {
    const found = list.map((limit, index): Found => {
      const used = leased[index] ?? 0;
      return { used, reset: freeAfter(limit, used), retry: 0, admitted: true };
    });
    return decided(list, keys, found, "lease");
  }
  if (shared.available()) {
    const refused = shared.known.knownRefusal(list, keys, now);
    if (refused !== undefined) return made(list, keys, refused, "refusal", () => undefined);
    const found = await shared.exact.peek(list, keys);
    if (found !== undefined) {
      const owing = found.map((one, index) =>
        withDebt(list[index], one, shared.known.find(keys[index] ?? "")?.untold),
      );
      return decided(list, keys, owing, "redis");
    }
  }
  const sample = shared.known.sample(keys, now);
  const used = keys.map((key) => sample.find(key)?.own.used(now) ?? 0);
  const result = shared.standIn(sample, list, now);
  return made(list, keys, result, "standIn", (index, outcome) =>
    outcome === undefined ? undefined : { ...told(outcome), used: used[index] ?? 0 },
  );
}

/** What is only looked at is no decision that statistics count. */
function unnoted(limit: BoundLimit): BoundLimit {
  return { ...limit, stats: new LimitStats("", limit.policy) };
}

/** Units that were admitted without the store count there before the next request is decided. */
function withDebt(limit: BoundLimit | undefined, found: Found, untold = 0): Found {
  if (limit === undefined || untold === 0) return found;
  const used = Math.min(limit.measure.cap, found.used + untold);
  const fits = used + limit.policy.cost <= limit.measure.cap;
  if (fits) return { ...found, used };
  return {
    ...found,
    used,
    retry: Math.max(found.retry, limit.measure.lasts),
    admitted: !limit.enforced && found.admitted,
  };
}

/** The answer that follows from what was found, all or nothing. */
function decided(
  list: readonly BoundLimit[],
  keys: readonly string[],
  found: readonly Found[],
  source: LimitSource,
): Peek {
  const before = list.map((limit, index) => {
    const { used = 0, reset = 0, retry = 0 } = found[index] ?? {};
    return outcomeOf(limit.policy, limit.measure.cap - used, reset, retry, false);
  });
  const after = list.map((limit, index) => {
    const one = found[index];
    const { cost } = limit.policy;
    const counted = one?.admitted === true && one.retry === 0 && cost > 0;
    if (!counted) return before[index] as LimitOutcome;
    const [form, scale, drain] = limit.measure.form;
    const reset = form === BUCKET_FORM ? one.reset + Math.ceil((cost * scale) / drain) : limit.measure.lasts;
    return outcomeOf(limit.policy, limit.measure.cap - one.used - cost, reset, 0, false);
  });
  return made(list, keys, resultOf(list, after), source, (index) => stateBefore(list[index], before[index]));
}

type StateOf = (
  index: number,
  outcome: LimitOutcome | undefined,
) => Omit<PeekedState, "remaining"> | undefined;

function made(
  list: readonly BoundLimit[],
  keys: readonly string[],
  result: LimitResult,
  source: LimitSource,
  stateOf: StateOf,
): Peek {
  const outcomes = result.kind === "unavailable" ? [] : result.outcomes;
  const limits = list.map((limit, index): PeekedLimit => {
    const { policy, measure, enforced } = limit;
    const outcome = outcomes.find((one) => one.policy === policy);
    const before =
      stateOf(index, outcome) ??
      (outcome === undefined ? undefined : { ...told(outcome), used: measure.cap - outcome.remaining });
    const counted = result.kind === "admitted" && before?.room === true ? policy.cost : 0;
    const state = before && {
      ...before,
      remaining: outcome?.remaining ?? Math.max(0, measure.cap - before.used - counted),
    };
    return { policy, key: keys[index] as string, cap: measure.cap, enforced, state, source };
  });
  return { result, limits };
}

function stateBefore(
  limit: BoundLimit | undefined,
  before: LimitOutcome | undefined,
): Omit<PeekedState, "remaining"> | undefined {
  if (limit === undefined || before === undefined) return undefined;
  return { ...told(before), used: limit.measure.cap - before.remaining };
}

function told(outcome: LimitOutcome): Omit<PeekedState, "remaining" | "used"> {
  const { admitted, resetSeconds, retryAfterSeconds } = outcome;
  return { room: admitted, resetSeconds, retryAfterSeconds };
}
