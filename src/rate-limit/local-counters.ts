// Decisions on this process's own counters: the whole limiter when nothing is shared, and the stand-in while the
// shared counters can't answer.

import type { AdmissionLog } from "./algorithms/sliding-window.ts";
import { type BoundLimit, outcomeOf, resultOf } from "./bound-limit.ts";
import type { MemoryStore } from "./memory-store.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";

/** How much of a limit this process may admit. */
type Share = (limit: BoundLimit) => number;

const whole: Share = ({ policy }) => policy.limit;

/** The share of one of `instances` equal processes; never too small for a single request. */
function shareOf(instances: number): Share {
  return ({ policy }) => {
    if (policy.onStoreFailure === "allow") return Number.POSITIVE_INFINITY;
    return Math.max(policy.cost, Math.floor(policy.limit / instances));
  };
}

/** Limits over one table of logs. */
export class LocalCounters {
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  /** Takes all of `limits` or none; `keys` are their counters. */
  take(limits: readonly BoundLimit[], keys: readonly string[], now: number): LimitResult {
    return this.#decide(limits, keys, now, whole, false);
  }

  /**
   * The same on a 1/`instances` share of each limit, or without any bound where the limit says `allow`. What
   * `record` counted is counted here too.
   */
  takeShare(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    now: number,
    instances: number,
  ): LimitResult {
    return this.#decide(limits, keys, now, shareOf(instances), true);
  }

  /** Counts what the shared counters admitted, so that the share starts from it when they are lost. */
  record(limits: readonly BoundLimit[], keys: readonly string[], now: number): void {
    this.#store.tidy(now);
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      if (limit.policy.onStoreFailure !== "local") continue;
      this.#count(limit, keys[index] as string, this.#store.find(keys[index] as string), now);
    }
  }

  #decide(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    now: number,
    share: Share,
    degraded: boolean,
  ): LimitResult {
    this.#store.tidy(now);
    const logs: (AdmissionLog | undefined)[] = [];
    let fits = true;
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      const log = this.#store.find(keys[index] as string);
      logs.push(log);
      if (log !== undefined && log.used(now) + limit.policy.cost > share(limit)) fits = false;
    }
    const outcomes: LimitOutcome[] = [];
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      let log = logs[index];
      if (fits) log = this.#count(limit, keys[index] as string, log, now);
      outcomes.push(stateOf(limit, log, now, share(limit), fits, degraded));
    }
    return resultOf(outcomes);
  }

  // A log is made only to be counted on at once: an empty one would be the first to make room for the next.
  #count(limit: BoundLimit, key: string, known: AdmissionLog | undefined, now: number): AdmissionLog {
    const { policy, grain } = limit;
    const log = known ?? this.#store.create(key, policy.windowMs, now);
    log.used(now);
    log.add(now, policy.cost, grain);
    return log;
  }
}

/** One limit's state after a decision on `share` of it. */
function stateOf(
  limit: BoundLimit,
  log: AdmissionLog | undefined,
  now: number,
  share: number,
  counted: boolean,
  degraded: boolean,
): LimitOutcome {
  const { policy } = limit;
  const bound = Math.min(share, policy.limit);
  if (log === undefined) return outcomeOf(policy, bound, 0, 0, degraded);
  const retryMs = counted ? 0 : log.untilFits(now, policy.cost, share);
  return outcomeOf(policy, bound - log.used(now), log.untilFree(now), retryMs, degraded);
}
