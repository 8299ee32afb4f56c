// The limiter: takes all limits of a request at once, from the shared counters where there are some, else from this
// process's own, and follows each limit's own choice while the shared ones can't answer.

import type { Clock } from "../core/clock.ts";
import { type Awaitable, isPromise } from "../core/result.ts";
import type { Meter } from "./algorithms/meter.ts";
import { MICROS_PER_MS } from "./algorithms/registry.ts";
import { type BoundLimits, UNLIMITED } from "./bound-limit.ts";
import type { LimitInput } from "./identity.ts";
import { KnownCounters } from "./known-counters.ts";
import { LeasedCounters } from "./leased-counters.ts";
import { LocalCounters } from "./local-counters.ts";
import { MemoryStore } from "./memory-store.ts";
import type { LimitResult } from "./outcome.ts";
import { LimitPlan } from "./plan.ts";
import type { RouteLimit } from "./policy.ts";
import { type Comeback, tellStore } from "./recovery.ts";
import { ScriptCalls, type ScriptPort } from "./script-calls.ts";
import { SharedCounters } from "./shared-counters.ts";
import type { LimitStats } from "./stats.ts";

export type { LimitInput } from "./identity.ts";
export type { LimitOutcome, LimitResult } from "./outcome.ts";
export { LIMITER_SCRIPT } from "./script.ts";
export type { ScriptPort } from "./script-calls.ts";

/** How a limiter is set up. */
export interface LimiterOptions {
  /** First part of every counter's key. */
  readonly prefix: string;
  readonly clock: Pick<Clock, "steadyMs">;
  /** Where `LIMITER_SCRIPT` runs on counters that all gateways share; without it they are this process's own. */
  readonly script?: ScriptPort;
  /** Number of gateways that share the counters, at least 1; each takes its part of a limit while they are lost. */
  readonly instances?: () => number;
  /** Most counters kept in this process; 1,000,000 unless said. */
  readonly mostKeys?: number;
}

/** The parts of a limiter whose counters are shared. */
interface Shared {
  readonly calls: ScriptCalls;
  readonly known: KnownCounters;
  readonly exact: SharedCounters;
  readonly leased: LeasedCounters;
}

/** Decides whether a request stays within its limits, and counts it when it does. */
export class Limiter {
  readonly #prefix: string;
  readonly #clock: Pick<Clock, "steadyMs">;
  readonly #store: MemoryStore<Meter>;
  readonly #local: LocalCounters;
  readonly #shared: Shared | undefined;
  readonly #instances: () => number;
  readonly #plans = new WeakMap<readonly RouteLimit[], LimitPlan>();
  readonly #named: LimitPlan[] = [];
  // When the shared counters were first missed; undefined while they answer.
  #lostAt: number | undefined;

  constructor(options: LimiterOptions) {
    this.#prefix = options.prefix;
    this.#clock = options.clock;
    this.#store = new MemoryStore<Meter>(options.mostKeys);
    this.#local = new LocalCounters(this.#store);
    const instances = options.instances ?? (() => 1);
    this.#instances = () => Math.max(1, instances());
    if (options.script === undefined) return;
    const calls = new ScriptCalls(options.script);
    const known = new KnownCounters(options.mostKeys);
    const now = () => this.#now();
    this.#shared = {
      calls,
      known,
      exact: new SharedCounters(calls, known, now),
      leased: new LeasedCounters(calls, known, now, this.#instances),
    };
  }

  /**
   * Makes `limits` known as those of the route called `route`, for statistics and for looking counters up. To be called
   * before the first request.
   */
  register(limits: readonly RouteLimit[], route: string): void {
    if (this.#plans.has(limits)) return;
    const plan = new LimitPlan(this.#prefix, limits, route);
    this.#plans.set(limits, plan);
    this.#named.push(plan);
  }

  /**
   * Counts one request under all of `limits` that concern the caller or, when one of them has no room, under none. At
   * once when the counters are this process's own; never rejects. `limits` must be the same array for every request of
   * a route, and no two of them may share both name and window.
   */
  take(limits: readonly RouteLimit[], input: LimitInput): Awaitable<LimitResult> {
    const bound = this.#planOf(limits).of(input.principal);
    if (bound.list.length === 0) return UNLIMITED;
    const keys: string[] = [];
    for (const limit of bound.list) keys.push(limit.keyOf(input));
    const now = this.#now();
    const shared = this.#shared;
    if (shared === undefined) return this.#local.take(bound.list, keys, now);
    shared.known.tidy(now);
    const result = (bound.leased ? shared.leased : shared.exact).take(bound, keys, now);
    if (!isPromise(result)) return result ?? this.#standIn(shared, bound, keys);
    return result.then((answer) => answer ?? this.#standIn(shared, bound, keys));
  }

  /** Number of counters that this process holds or knows of. */
  get size(): number {
    return this.#store.size + (this.#shared?.known.size ?? 0);
  }

  /** Whether the shared counters can't be asked now, so that each limit's own choice is in force. */
  get degraded(): boolean {
    return this.#shared?.calls.available === false;
  }

  /** What each limit decided so far. */
  *stats(): Generator<LimitStats> {
    for (const plan of this.#named) for (const { stats } of plan.all) yield stats;
  }

  /** Tells the store, which has just come back, what it may have missed; rejects when it is lost again meanwhile. */
  async comeBack(comeback: Comeback): Promise<void> {
    if (this.#shared === undefined) return;
    this.#shared.leased.abandon();
    await tellStore(this.#shared.known, comeback, () => this.#now());
    this.#lostAt = undefined;
  }

  /** Gives borrowed parts of limits back. */
  async close(): Promise<void> {
    await this.#shared?.leased.close();
  }

  #planOf(limits: readonly RouteLimit[]): LimitPlan {
    let plan = this.#plans.get(limits);
    if (plan === undefined) {
      plan = new LimitPlan(this.#prefix, limits, "");
      this.#plans.set(limits, plan);
    }
    return plan;
  }

  /** Steady time in whole microseconds. */
  #now(): number {
    return Math.floor(this.#clock.steadyMs() * MICROS_PER_MS);
  }

  /** What each limit chose for the time without its shared counters. */
  #standIn({ calls, known }: Shared, { list }: BoundLimits, keys: readonly string[]): LimitResult {
    const now = this.#now();
    const lostAt = this.#lostAt ?? now;
    if (!calls.available) this.#lostAt = lostAt;
    return known.standIn(list, keys, now, lostAt, this.#instances());
  }
}
