// The limiter: takes all limits of a request at once, from the shared counters where there are some, else from this
// process's own, and follows each limit's own choice while the shared ones can't answer.

import type { Clock } from "../core/clock.ts";
import { type Awaitable, isPromise } from "../core/result.ts";
import { type BoundLimits, bindLimits } from "./bound-limit.ts";
import type { LimitInput } from "./identity.ts";
import { LocalCounters } from "./local-counters.ts";
import { MemoryStore } from "./memory-store.ts";
import type { LimitResult } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";
import { type ScriptPort, SharedCounters } from "./shared-counters.ts";

export { SLIDING_WINDOW_SCRIPT } from "./algorithms/sliding-window-script.ts";
export type { LimitInput } from "./identity.ts";
export type { LimitOutcome, LimitResult } from "./outcome.ts";
export type { ScriptPort } from "./shared-counters.ts";

/** How a limiter is set up. */
export interface LimiterOptions {
  /** First part of every counter's key. */
  readonly prefix: string;
  readonly clock: Pick<Clock, "steadyMs">;
  /** Where `SLIDING_WINDOW_SCRIPT` runs on counters that all gateways share; without it they are this process's own. */
  readonly script?: ScriptPort;
  /** Number of gateways that share the counters, at least 1; each takes its part of a limit while they are lost. */
  readonly instances?: () => number;
  /** Most counters kept in this process; 1,000,000 unless said. */
  readonly mostKeys?: number;
}

/** Decides whether a request stays within its limits, and counts it when it does. */
export class Limiter {
  readonly #prefix: string;
  readonly #clock: Pick<Clock, "steadyMs">;
  readonly #local: LocalCounters;
  readonly #shared: SharedCounters | undefined;
  readonly #instances: () => number;
  readonly #bound = new WeakMap<readonly LimitPolicy[], BoundLimits>();

  constructor(options: LimiterOptions) {
    this.#prefix = options.prefix;
    this.#clock = options.clock;
    this.#local = new LocalCounters(new MemoryStore(options.mostKeys));
    this.#shared = options.script && new SharedCounters(options.script, options.clock);
    this.#instances = options.instances ?? (() => 1);
  }

  /**
   * Counts one request under all of `policies` (at least one) or, when one of them has no room, under none. At once
   * when the counters are this process's own; never rejects. `policies` must be the same array for every request of
   * a route, and no two of them may share both name and window.
   */
  take(policies: readonly LimitPolicy[], input: LimitInput): Awaitable<LimitResult> {
    const limits = this.#bind(policies);
    const keys: string[] = [];
    for (const limit of limits.list) keys.push(limit.keyOf(input));
    const now = this.#clock.steadyMs();
    if (this.#shared === undefined) return this.#local.take(limits.list, keys, now);
    const result = this.#shared.take(limits, keys, now);
    if (!isPromise(result)) return result ?? this.#standIn(limits, keys);
    return result.then((shared) => {
      if (shared === undefined) return this.#standIn(limits, keys);
      if (shared.kind === "admitted") this.#local.record(limits.list, keys, this.#clock.steadyMs());
      return shared;
    });
  }

  #bind(policies: readonly LimitPolicy[]): BoundLimits {
    const known = this.#bound.get(policies);
    if (known !== undefined) return known;
    const bound = bindLimits(this.#prefix, policies);
    this.#bound.set(policies, bound);
    return bound;
  }

  /** What each limit chose for the time without its shared counters. */
  #standIn(limits: BoundLimits, keys: readonly string[]): LimitResult {
    const denying = limits.list.find(({ policy }) => policy.onStoreFailure === "deny");
    if (denying !== undefined) return { kind: "unavailable", policy: denying.policy };
    return this.#local.takeShare(limits.list, keys, this.#clock.steadyMs(), Math.max(1, this.#instances()));
  }
}
