// The limiter: takes all limits of a request at once, from the shared counters where there are some, else from this
// process's own, and follows each limit's own choice while the shared ones can't answer.

import type { Clock } from "../core/clock.ts";
import { type Awaitable, isPromise } from "../core/result.ts";
import type { Meter } from "./algorithms/meter.ts";
import { MICROS_PER_MS } from "./algorithms/registry.ts";
import { type BoundLimit, type BoundLimits, bindLimit, UNLIMITED } from "./bound-limit.ts";
import { counterKey, type LimitInput } from "./identity.ts";
import { type CounterState, Inspector } from "./inspector.ts";
import { KnownCounters } from "./known-counters.ts";
import { LeasedCounters } from "./leased-counters.ts";
import { LocalCounters } from "./local-counters.ts";
import { MemoryStore } from "./memory-store.ts";
import type { LaterCost, LimitResult } from "./outcome.ts";
import { NOTHING_TO_PEEK, type Peek, peekLocal, peekShared } from "./peek.ts";
import { LimitPlan } from "./plan.ts";
import type { KeyedLimits, LimitPolicy, RouteLimit, StoreFailurePolicy } from "./policy.ts";
import { type Comeback, tellStore } from "./recovery.ts";
import { ScriptCalls, type ScriptPort } from "./script-calls.ts";
import { SharedCounters } from "./shared-counters.ts";
import { LimitStats } from "./stats.ts";

export type { LimitInput } from "./identity.ts";
export type { CounterState } from "./inspector.ts";
export type { LimitOutcome, LimitResult } from "./outcome.ts";
export type { LimitSource, Peek, PeekedLimit, PeekedState } from "./peek.ts";
export { LIMITER_SCRIPT } from "./script.ts";
export type { ScriptPort } from "./script-calls.ts";

// Instances come back within a few tens of milliseconds of each other; one that doesn't come is not waited for so long.
const LONGEST_HOLD_MS = 150;

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
  /** Issuers whose users may be asked about. */
  readonly issuers?: readonly string[];
}

/** A route whose limits a limiter is told of. */
export interface LimitedRoute {
  readonly name: string;
  readonly limits: readonly RouteLimit[];
  readonly refusalLimits: readonly RouteLimit[];
}

type StatsByName = ReadonlyMap<string, LimitStats>;

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
  #named: LimitPlan[] = [];
  #ofKeys = new Map<KeyedLimits, ReadonlyMap<string, readonly BoundLimit[]>>();
  #stats = new Map<string, LimitStats>();
  #issuers: readonly string[];
  readonly #inspector: Inspector;
  // The end of the last moment before the store is back, in which nothing is admitted without it.
  #returning: Promise<void> | undefined;
  // When the shared counters were first missed; undefined while they answer.
  #lostAt: number | undefined;

  constructor(options: LimiterOptions) {
    this.#prefix = options.prefix;
    this.#clock = options.clock;
    this.#store = new MemoryStore<Meter>(options.mostKeys);
    this.#local = new LocalCounters(this.#store);
    const instances = options.instances ?? (() => 1);
    this.#instances = () => Math.max(1, instances());
    this.#issuers = options.issuers ?? [];
    const inspected = { limits: () => this.#limits(), issuers: () => this.#issuers, prefix: this.#prefix };
    if (options.script === undefined) {
      this.#inspector = new Inspector(inspected, this.#local, undefined, () => this.#now());
      return;
    }
    const calls = new ScriptCalls(options.script);
    const known = new KnownCounters(options.mostKeys);
    const now = () => this.#now();
    this.#shared = {
      calls,
      known,
      exact: new SharedCounters(calls, known, now),
      leased: new LeasedCounters(calls, known, now, this.#instances),
    };
    this.#inspector = new Inspector(inspected, this.#local, this.#shared, now);
  }

  /**
   * Makes the limits of a file known, for statistics and for looking counters up, in place of those known before. Counters
   * live on under their names, and so do the statistics of limits that are still there. To be called before the first
   * request under these limits.
   * @param issuers those whose users may be asked about
   */
  adopt(routes: readonly LimitedRoute[], issuers: readonly string[]): void {
    const before = this.#stats;
    this.#stats = new Map();
    this.#named = [];
    this.#ofKeys = new Map();
    this.#issuers = issuers;
    const seen = new Set<readonly RouteLimit[]>();
    for (const { name, limits, refusalLimits } of routes) {
      for (const list of [limits, refusalLimits]) {
        if (!seen.has(list)) this.#named.push(this.#makePlan(list, name, before));
        seen.add(list);
      }
    }
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
    const taken = this.#take(bound, keys, now);
    if (!bound.later) return taken;
    return isPromise(taken)
      ? taken.then((result) => this.#withLater(result, bound, keys))
      : this.#withLater(taken, bound, keys);
  }

  /** What `take` would answer now, and what it would find. Nothing is counted, borrowed or noted. Never rejects. */
  async peek(limits: readonly RouteLimit[], input: LimitInput): Promise<Peek> {
    const bound = this.#planOf(limits).of(input.principal);
    if (bound.list.length === 0) return NOTHING_TO_PEEK;
    const keys = bound.list.map((limit) => limit.keyOf(input));
    const shared = this.#shared;
    if (shared === undefined) return peekLocal(this.#local, bound, keys, this.#now());
    if (!shared.calls.available) await this.#returning;
    const { calls, known, exact, leased } = shared;
    const standIn = (sample: KnownCounters, list: readonly BoundLimit[], now: number): LimitResult =>
      sample.standIn(list, keys, now, this.#lostAt ?? now, this.#instances(), calls.left);
    const parts = { available: () => calls.available, known, exact, leased, standIn };
    return await peekShared(parts, bound, keys, this.#now());
  }

  #take(bound: BoundLimits, keys: readonly string[], now: number): Awaitable<LimitResult> {
    const shared = this.#shared;
    if (shared === undefined) return this.#local.take(bound.list, keys, now);
    shared.known.tidy(now);
    if (shared.known.owing > 0 && shared.calls.available) this.#settleDebts(shared, bound.list, keys);
    const result = askStore(shared, bound, keys, now);
    if (!isPromise(result)) return result ?? this.#withoutStore(shared, bound, keys);
    return result.then((answer) => answer ?? this.#withoutStore(shared, bound, keys));
  }

  /** The limits' own choice; in the last moment before the store is back, its decision is waited for. */
  #withoutStore(shared: Shared, bound: BoundLimits, keys: readonly string[]): Awaitable<LimitResult> {
    if (this.#returning === undefined || shared.calls.available) return this.#standIn(shared, bound, keys);
    return this.#returning.then(async () => {
      const result = await askStore(shared, bound, keys, this.#now());
      return result ?? this.#standIn(shared, bound, keys);
    });
  }

  /**
   * Counts events that are no requests in the shared counters, in the window of `policy`: the function counts one for
   * `who` and tells how many there are, undefined while the store gives no answer. Undefined without a store.
   */
  tally(policy: LimitPolicy): ((who: string) => Awaitable<number | undefined>) | undefined {
    const shared = this.#shared;
    if (shared === undefined) return undefined;
    const limit = bindLimit(this.#prefix, policy, new LimitStats("", policy));
    return (who) => {
      if (!shared.calls.available) return undefined;
      return shared.exact.charge(limit, counterKey(limit.counters, who), 1);
    };
  }

  /**
   * The counters of one caller. `who` is `user:SUBJECT`, `user:ISSUER|SUBJECT`, `key:ID`, `ip:ADDRESS`, `org:NAME`,
   * `header:NAME=VALUE`, `claim:PATH=VALUE`, `route:NAME`, or the key of a counter. Undefined when it is none of these.
   */
  show(who: string): Promise<readonly CounterState[] | undefined> {
    return this.#inspector.show(who);
  }

  /**
   * Forgets the counters of one caller, and how many there were; undefined when `who` is no caller. A lease that another
   * instance holds is spent to its end.
   */
  reset(who: string): Promise<number | undefined> {
    return this.#inspector.reset(who);
  }

  /** Number of counters that this process holds or knows of. */
  get size(): number {
    return this.#store.size + (this.#shared?.known.size ?? 0);
  }

  /** Whether the shared counters can't be asked now, so that each limit's own choice is in force. */
  get degraded(): boolean {
    return this.#shared?.calls.available === false;
  }

  /** What the limits chose for the time without their shared counters, each choice once. */
  get modes(): ReadonlySet<StoreFailurePolicy> {
    return new Set(Array.from(this.#stats.values(), ({ mode }) => mode));
  }

  /** What each limit decided so far. */
  *stats(): Generator<LimitStats> {
    yield* this.#stats.values();
  }

  /** Tells the store, which has just come back, what it may have missed; rejects when it is lost again meanwhile. */
  async comeBack(comeback: Comeback): Promise<void> {
    if (this.#shared === undefined) return;
    await this.#shared.leased.abandon();
    let back = (): void => undefined;
    try {
      // What is admitted here when the others think that all has been told would be missing from the store.
      await tellStore(
        this.#shared.known,
        comeback,
        () => this.#now(),
        () => {
          back = this.#holdRequests();
        },
      );
      this.#lostAt = undefined;
    } finally {
      // By then the store is in use again, if it is.
      setImmediate(() => back());
    }
  }

  /** Lets requests wait until the function is called, or for a moment at most. */
  #holdRequests(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LONGEST_HOLD_MS);
    const held = promise.finally(() => {
      clearTimeout(timer);
      if (this.#returning === held) this.#returning = undefined;
    });
    this.#returning = held;
    return resolve;
  }

  /** Gives borrowed parts of limits back. */
  async close(): Promise<void> {
    await this.#shared?.leased.close();
  }

  *#limits(): Generator<BoundLimit> {
    for (const plan of this.#named) yield* plan.all;
    for (const bound of this.#ofKeys.values()) for (const list of bound.values()) yield* list;
  }

  /** Counts `units` whether or not there is room. */
  #charge(limit: BoundLimit, key: string, units: number): void {
    const shared = this.#shared;
    if (shared === undefined) {
      this.#local.charge(limit, key, units, this.#now());
      return;
    }
    const counted = (used: number | undefined): void => {
      const now = this.#now();
      const counter = shared.known.get(limit, key, now);
      if (used === undefined) shared.known.chargeAlone(limit, counter, units, now, this.#instances());
      else {
        counter.admit(units, now);
        counter.saw(used, now);
      }
    };
    if (shared.calls.available) void shared.exact.charge(limit, key, units).then(counted);
    else counted(undefined);
  }

  #withLater(result: LimitResult, { list }: BoundLimits, keys: readonly string[]): LimitResult {
    if (result.kind !== "admitted") return result;
    const later = list.flatMap((limit, index): LaterCost[] => {
      const { costFrom, cost } = limit.policy;
      if (costFrom === undefined) return [];
      const charge = (units: number): void => {
        const more = Math.min(units, limit.measure.cap) - cost;
        if (more > 0) this.#charge(limit, keys[index] as string, more);
      };
      return [{ field: costFrom, charge }];
    });
    return { ...result, later };
  }

  /** Tells the store, before it decides on these counters, what was admitted on them without it. */
  #settleDebts({ known, exact }: Shared, list: readonly BoundLimit[], keys: readonly string[]): void {
    for (const [index, key] of keys.entries()) {
      const counter = known.find(key);
      if (counter === undefined || counter.untold === 0) continue;
      const { untold } = counter;
      known.told(counter, untold);
      const units = Math.min(untold, counter.limit.measure.cap);
      void exact.charge(list[index] as BoundLimit, key, units).then((used) => {
        if (used === undefined) known.owe(counter, untold);
        else counter.saw(used, this.#now());
      });
    }
  }

  #planOf(limits: readonly RouteLimit[]): LimitPlan {
    return this.#plans.get(limits) ?? this.#makePlan(limits, "");
  }

  #makePlan(limits: readonly RouteLimit[], route: string, before?: StatsByName): LimitPlan {
    const plan = new LimitPlan(limits, {
      bind: (policy) => bindLimit(this.#prefix, policy, this.#statsOf(route, policy, before)),
      bindKeys: (ofKeys) => this.#bindKeys(ofKeys, before),
    });
    this.#plans.set(limits, plan);
    return plan;
  }

  #bindKeys(ofKeys: KeyedLimits, before?: StatsByName): ReadonlyMap<string, readonly BoundLimit[]> {
    const known = this.#ofKeys.get(ofKeys);
    if (known !== undefined) return known;
    const bound = new Map<string, readonly BoundLimit[]>();
    for (const [key, policies] of ofKeys.byKey) {
      const list = policies.map((policy) =>
        bindLimit(this.#prefix, policy, this.#statsOf("", policy, before)),
      );
      bound.set(key, list);
    }
    this.#ofKeys.set(ofKeys, bound);
    return bound;
  }

  /** The counts of one limit of one route, whatever the tier. */
  #statsOf(route: string, policy: LimitPolicy, before?: StatsByName): LimitStats {
    if (policy.looked === true) return new LimitStats(route, policy);
    const name = JSON.stringify([route, policy.name]);
    let stats = this.#stats.get(name);
    if (stats === undefined) {
      stats = before?.get(name) ?? new LimitStats(route, policy);
      stats.follow(policy);
      this.#stats.set(name, stats);
    }
    return stats;
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
    return known.standIn(list, keys, now, lostAt, this.#instances(), calls.left);
  }
}

/** The decision on shared counters; undefined when the store gave no answer. */
function askStore(
  { leased, exact }: Shared,
  bound: BoundLimits,
  keys: readonly string[],
  now: number,
): Awaitable<LimitResult | undefined> {
  return (bound.leased ? leased : exact).take(bound, keys, now);
}
