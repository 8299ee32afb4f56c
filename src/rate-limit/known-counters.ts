// The table of shared counters that this process knows something of: the stand-in while the store is away, and what the
// store is told when it is back.

import type { BoundLimit } from "./bound-limit.ts";
import { outcomeOf, resultOf } from "./bound-limit.ts";
import { KnownCounter } from "./known-counter.ts";
import { MemoryStore } from "./memory-store.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";

// What others may have admitted between the last answer about a caller and the loss, as a part of the limit.
const WITHHELD = 4;
// Time within which all instances have heard that the store moved.
const LONGEST_MOVE_MICROS = 1_000_000;
// Counters that are looked at before requests have their turn again.
const LONGEST_WALK = 5_000;

/** Times are steady microseconds. */
export class KnownCounters {
  readonly #store: MemoryStore<KnownCounter>;
  #owing = 0;

  constructor(mostKeys: number | undefined) {
    this.#store = new MemoryStore<KnownCounter>(mostKeys);
  }

  /** Number of counters with units that the store hasn't been told of. */
  get owing(): number {
    return this.#owing;
  }

  /** Notes units admitted without the store. */
  owe(counter: KnownCounter, units: number): void {
    if (counter.untold === 0 && units > 0) this.#owing++;
    counter.untold += units;
  }

  /** Counts and notes units that nobody asked about before they were used up, without the store. */
  chargeAlone(limit: BoundLimit, counter: KnownCounter, units: number, now: number, instances: number): void {
    counter.admit(units * portionOf(limit, instances), now);
    this.owe(counter, units);
  }

  /** Notes that the store was told of `units`. */
  told(counter: KnownCounter, units: number): void {
    counter.untold -= units;
    if (counter.untold === 0 && units > 0) this.#owing--;
  }

  get size(): number {
    return this.#store.size;
  }

  find(key: string): KnownCounter | undefined {
    return this.#store.find(key);
  }

  /** The counter of `key`, made when it isn't known yet. */
  get(limit: BoundLimit, key: string, now: number): KnownCounter {
    const known = this.#store.find(key);
    if (known === undefined) return this.#store.add(key, new KnownCounter(limit), now);
    if (known.limit.measure.cap < limit.measure.cap) known.limit = limit;
    return known;
  }

  /** A table of its own that knows of `keys` what this one does: for looking, without changing anything here. */
  sample(keys: readonly string[], now: number): KnownCounters {
    const sample = new KnownCounters(undefined);
    for (const key of keys) {
      const counter = this.#store.find(key);
      if (counter !== undefined) sample.#store.add(key, counter.copy(), now);
    }
    return sample;
  }

  forget(key: string): boolean {
    const counter = this.#store.find(key);
    if (counter !== undefined) this.told(counter, counter.untold);
    return this.#store.delete(key);
  }

  /** Drops some idle entries; to be called before each decision, never while an entry is held. */
  tidy(now: number): void {
    this.#store.tidy(now);
  }

  parts(): Iterable<ReadonlyMap<string, KnownCounter>> {
    return this.#store.parts();
  }

  /** The same for a long walk: requests have their turn in between. */
  async *partsInTurns(): AsyncGenerator<ReadonlyMap<string, KnownCounter>> {
    let walked = 0;
    for (const entries of this.parts()) {
      walked += entries.size;
      if (walked > LONGEST_WALK) {
        walked = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
      yield entries;
    }
  }

  /** The refusal of those `limits` that are known to have no room; undefined when none is. */
  knownRefusal(limits: readonly BoundLimit[], keys: readonly string[], now: number): LimitResult | undefined {
    let refusing: BoundLimit[] | undefined;
    const outcomes: LimitOutcome[] = [];
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      if (!limit.enforced) continue;
      const outcome = this.#store.find(keys[index] as string)?.refusal(limit.policy, now);
      if (outcome === undefined) continue;
      refusing ??= [];
      refusing.push(limit);
      outcomes.push(outcome);
    }
    return refusing && resultOf(refusing, outcomes);
  }

  /**
   * Decides without the store, which was lost at `lostAt`, as each limit chose. `local` is a 1/`instances` share of the
   * limit, of which what this process admitted before is a part, and at most as large a share of what was left over all
   * instances by the last answer. While the store is `moving`, others may still take all of that where it was: for a
   * moment nothing is had of it.
   */
  standIn(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    now: number,
    lostAt: number,
    instances: number,
    moving = false,
  ): LimitResult {
    for (const { policy, enforced, stats } of limits) {
      if (policy.onStoreFailure !== "deny" || !enforced) continue;
      stats.unavailable++;
      return { kind: "unavailable", policy };
    }
    const shares = limits.map((limit, index) =>
      this.#share(limit, keys[index] as string, now, lostAt, instances, moving),
    );
    const fits = shares.every(
      ({ room, charge }, index) => !(limits[index] as BoundLimit).enforced || charge <= room,
    );
    const outcomes = limits.map((limit, index) => {
      const share = shares[index] as Share;
      if (fits && share.charge <= share.room) this.#admit(limit, share.counter, share.charge, now);
      return degradedOutcome(limit, share, fits, now, lostAt);
    });
    return resultOf(limits, outcomes);
  }

  #share(
    limit: BoundLimit,
    key: string,
    now: number,
    lostAt: number,
    instances: number,
    moving: boolean,
  ): Share {
    const { policy, measure } = limit;
    const counter = this.get(limit, key, now);
    const used = counter.own.used(now);
    // Nothing has to be counted to know that a limit of nothing has no room.
    if (policy.cost > measure.cap) return { counter, room: 0, charge: policy.cost, bound: 0, global: false };
    if (policy.onStoreFailure !== "local") {
      return {
        counter,
        room: Number.POSITIVE_INFINITY,
        charge: policy.cost,
        bound: measure.cap - used,
        global: false,
      };
    }
    const drains = policy.algorithm === "tokenBucket";
    const charge = Math.min(policy.cost * portionOf(limit, instances), measure.cap);
    const share = drains ? measure.cap : Math.max(policy.cost, Math.floor(measure.cap / instances));
    const left = counter.roomAfterLoss(limit, lostAt, now);
    if (left >= measure.cap)
      return { counter, room: share - used, charge, bound: share - used, global: false };
    const goesOn = moving && now < lostAt + LONGEST_MOVE_MICROS;
    const withheld = instances > 1 ? Math.ceil(measure.cap / (goesOn ? 1 : WITHHELD)) : 0;
    const part = Math.floor(Math.max(0, left - withheld) / instances) - counter.untold;
    const room = Math.min(share - used, drains ? part * instances : part);
    return { counter, room, charge, bound: room, global: room < share - used };
  }

  #admit(limit: BoundLimit, counter: KnownCounter, charge: number, now: number): void {
    if (charge === 0) return;
    counter.admit(charge, now);
    this.owe(counter, limit.policy.cost);
  }
}

/** A bucket drains at the whole rate, so a part of it is had by taking more out at a time. */
function portionOf({ policy }: BoundLimit, instances: number): number {
  return policy.algorithm === "tokenBucket" && policy.onStoreFailure === "local" ? instances : 1;
}

interface Share {
  readonly counter: KnownCounter;
  /** Units that this process may still admit. */
  readonly room: number;
  /** Units that one request takes of them. */
  readonly charge: number;
  /** What is told as remaining, before the request. */
  readonly bound: number;
  /** What was left over all instances is what binds. */
  readonly global: boolean;
}

function degradedOutcome(
  { policy, measure }: BoundLimit,
  { counter, room, charge, bound, global }: Share,
  admitted: boolean,
  now: number,
  lostAt: number,
): LimitOutcome {
  const counted = admitted && charge <= room;
  const remaining = Math.floor(
    (bound - (counted ? charge : 0)) * (policy.cost === 0 ? 1 : policy.cost / charge),
  );
  const reset = counter.own.untilFree(now);
  if (charge <= room) return outcomeOf(policy, remaining, reset, 0, true);
  if (charge > measure.cap) return outcomeOf(policy, 0, reset, measure.lasts, true);
  const retry = global
    ? counter.untilKnownFree(lostAt, now)
    : counter.own.untilFits(now, charge, Math.max(charge, counter.own.used(now) + room));
  return outcomeOf(policy, remaining, Math.max(reset, retry), Math.max(1, retry), true);
}
