// Decisions on this process's own counters: the whole limiter when nothing is shared.

import { decideOn, type Meter } from "./algorithms/meter.ts";
import { type BoundLimit, outcomeOf, resultOf } from "./bound-limit.ts";
import { MemoryStore } from "./memory-store.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";

/** Limits over one table of meters. Times are steady microseconds. */
export class LocalCounters {
  readonly #store: MemoryStore<Meter>;

  constructor(store: MemoryStore<Meter>) {
    this.#store = store;
  }

  /** Takes all of `limits` or none; `keys` are their counters. A limit that is only observed counts what it has room for. */
  take(limits: readonly BoundLimit[], keys: readonly string[], now: number): LimitResult {
    this.#store.tidy(now);
    if (limits.length === 1) return this.#takeOne(limits, keys[0] as string, now);
    const meters: (Meter | undefined)[] = [];
    let fits = true;
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      const meter = this.#store.find(keys[index] as string);
      meters.push(meter);
      if (limit.enforced && !hasRoom(limit, meter, now)) fits = false;
    }
    const outcomes: LimitOutcome[] = [];
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      const meter = meters[index];
      const counts = fits && (limit.enforced || hasRoom(limit, meter, now));
      outcomes.push(
        counts ? this.#count(limit, keys[index] as string, meter, now) : stateOf(limit, meter, now),
      );
    }
    return resultOf(limits, outcomes);
  }

  /** Counts `units` whether or not there is room. */
  charge(limit: BoundLimit, key: string, units: number, now: number): void {
    this.#store.tidy(now);
    const meter = this.#store.find(key) ?? this.#store.add(key, limit.measure.create(), now);
    meter.used(now);
    meter.add(now, units, limit.measure.grain);
  }

  /** The state of one counter, if this process has it. */
  look(limit: BoundLimit, key: string, now: number): LimitOutcome | undefined {
    const meter = this.#store.find(key);
    return meter && stateOf(limit, meter, now);
  }

  /** What `take` would answer now, and each limit's state before it; nothing is counted. */
  peek(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    now: number,
  ): { readonly before: readonly LimitOutcome[]; readonly result: LimitResult } {
    const store = new MemoryStore<Meter>();
    for (const key of keys) {
      const meter = this.#store.find(key);
      if (meter !== undefined) store.add(key, meter.copy(), now);
    }
    const before = limits.map((limit, index) => stateOf(limit, store.find(keys[index] as string), now));
    return { before, result: new LocalCounters(store).take(limits, keys, now) };
  }

  /** Forgets a counter; whether there was one. */
  forget(key: string): boolean {
    return this.#store.delete(key);
  }

  // A meter is kept only once it counts something: an empty one would be the first to make room for the next.
  #takeOne(limits: readonly BoundLimit[], key: string, now: number): LimitResult {
    const { policy, measure } = limits[0] as BoundLimit;
    const known = this.#store.find(key);
    const meter = known ?? measure.create();
    const verdict = decideOn(meter, measure.cap, measure.grain, now, policy.cost);
    if (known === undefined && verdict.admitted && policy.cost > 0) this.#store.add(key, meter, now);
    return resultOf(limits, [outcomeOf(policy, verdict.remaining, verdict.reset, verdict.retry, false)]);
  }

  #count(limit: BoundLimit, key: string, known: Meter | undefined, now: number): LimitOutcome {
    const { policy, measure } = limit;
    if (policy.cost === 0) return stateOf(limit, known, now);
    const meter = known ?? this.#store.add(key, measure.create(), now);
    meter.add(now, policy.cost, measure.grain);
    return outcomeOf(policy, measure.cap - meter.used(now), meter.untilFree(now), 0, false);
  }
}

function hasRoom({ policy, measure }: BoundLimit, meter: Meter | undefined, now: number): boolean {
  return (meter === undefined ? 0 : meter.used(now)) + policy.cost <= measure.cap;
}

/** One limit's state when nothing was counted on it. */
function stateOf({ policy, measure }: BoundLimit, meter: Meter | undefined, now: number): LimitOutcome {
  if (meter === undefined) {
    return outcomeOf(policy, measure.cap, 0, policy.cost <= measure.cap ? 0 : measure.lasts, false);
  }
  const used = meter.used(now);
  const retry = used + policy.cost <= measure.cap ? 0 : meter.untilFits(now, policy.cost, measure.cap);
  return outcomeOf(policy, measure.cap - used, meter.untilFree(now), retry, false);
}
