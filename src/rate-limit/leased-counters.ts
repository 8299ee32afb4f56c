// Decisions on slices of shared counters: an instance borrows a part of the limit, spends it without asking anybody, and
// settles before the loan ends. What is lent counts as taken until it is settled, so that the limit is never exceeded.

import { randomBytes } from "node:crypto";
import type { Awaitable } from "../core/result.ts";
import {
  argsAt,
  type BoundLimit,
  type BoundLimits,
  freeAfter,
  outcomeOf,
  resultOf,
  scriptKeys,
} from "./bound-limit.ts";
import type { KnownCounter } from "./known-counter.ts";
import type { KnownCounters } from "./known-counters.ts";
import { Lease } from "./lease.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";
import { ANSWER_LENGTH, MODE } from "./script.ts";
import type { ScriptCalls } from "./script-calls.ts";

const TICK_MS = 10;
// Most leases that are settled in one go, so that a tick never keeps the event loop.
const LARGEST_TICK = 500;
const LEASE_ANSWER_LENGTH = ANSWER_LENGTH + 1;

/** A limit of a request with what this process knows of its counter. */
interface Held {
  readonly limit: BoundLimit;
  readonly key: string;
  readonly counter: KnownCounter;
  readonly lease: Lease;
}

/** What one place of the store answered. */
interface Answer {
  /** The store's time of the decision, microseconds. */
  readonly decidedAt: number;
  readonly admitted: boolean;
  readonly outcomes: readonly LimitOutcome[];
}

interface Due {
  readonly held: Held;
  readonly at: number;
}

/** Times are steady microseconds. */
export class LeasedCounters {
  readonly #calls: ScriptCalls;
  readonly #known: KnownCounters;
  readonly #now: () => number;
  readonly #instances: () => number;
  readonly #instance = randomBytes(6).toString("base64url");
  #made = 0;
  // Leases to look at, by how long they last: within one of these the order of ending is the order of granting.
  readonly #due = new Map<number, { readonly list: Due[]; head: number }>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(calls: ScriptCalls, known: KnownCounters, now: () => number, instances: () => number) {
    this.#calls = calls;
    this.#known = known;
    this.#now = now;
    this.#instances = instances;
  }

  /** Takes all of `limits` or none: at once from what is held, else by a call. Undefined when the store gave no answer. */
  take(limits: BoundLimits, keys: readonly string[], now: number): Awaitable<LimitResult | undefined> {
    const { list } = limits;
    const [limit] = list;
    const [key] = keys;
    if (list.length === 1 && limit !== undefined && key !== undefined) {
      const counter = this.#known.find(key);
      if (counter?.lease?.covers(limit.policy.cost, limit.measure.cap, now) === true) {
        return resultOf(list, [this.#spendOne(limit, key, counter, counter.lease, now)]);
      }
    }
    let covered = true;
    for (let index = 0; index < list.length && covered; index++) {
      const { policy, measure } = list[index] as BoundLimit;
      const lease = this.#known.find(keys[index] as string)?.lease;
      covered = lease?.covers(policy.cost, measure.cap, now) === true;
    }
    if (covered) return this.#spend(list, keys, now);
    if (!this.#calls.available) {
      for (const key of keys) {
        const counter = this.#known.find(key);
        if (counter?.lease !== undefined) this.#drop(counter, counter.lease);
      }
      return undefined;
    }
    return this.#known.knownRefusal(list, keys, now) ?? this.#borrow(list, keys, now);
  }

  /** Units used of each limit where leases at hand cover a request under all of them; undefined when `take` would have to ask. */
  peek(list: readonly BoundLimit[], keys: readonly string[], now: number): readonly number[] | undefined {
    const used: number[] = [];
    for (const [index, { policy, measure }] of list.entries()) {
      const lease = this.#known.find(keys[index] as string)?.lease;
      if (lease?.covers(policy.cost, measure.cap, now) !== true) return undefined;
      used.push(lease.counted - lease.budget);
    }
    return used;
  }

  /**
   * Gives up every lease: what was lent counts as spent. For the moment when the store may have forgotten them; until its
   * turn comes a lease may be spent, since the store is told of it as a whole.
   */
  async abandon(): Promise<void> {
    this.#due.clear();
    for await (const entries of this.#known.partsInTurns()) {
      for (const counter of entries.values())
        if (counter.lease !== undefined) this.#drop(counter, counter.lease);
    }
  }

  /** Gives back what isn't spent, as far as the store can be told. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#due.clear();
    if (!this.#calls.available) return;
    const now = this.#now();
    const given: Promise<unknown>[] = [];
    for (const entries of this.#known.parts()) {
      for (const [key, counter] of entries) {
        const { lease, limit } = counter;
        if (lease === undefined || (lease.budget === 0 && lease.spent === 0)) continue;
        if (lease.isDoubtful(now)) continue;
        given.push(this.#ask([{ limit, key, counter, lease }], now, { want: 0, back: lease.giveBack() }));
      }
    }
    await Promise.all(given);
  }

  #spend(list: readonly BoundLimit[], keys: readonly string[], now: number): LimitResult {
    const outcomes: LimitOutcome[] = [];
    for (let index = 0; index < list.length; index++) {
      const limit = list[index] as BoundLimit;
      const key = keys[index] as string;
      const counter = this.#known.get(limit, key, now);
      outcomes.push(this.#spendOne(limit, key, counter, counter.lease as Lease, now));
    }
    return resultOf(list, outcomes);
  }

  #spendOne(limit: BoundLimit, key: string, counter: KnownCounter, lease: Lease, now: number): LimitOutcome {
    lease.spend(limit.policy.cost);
    if (lease.isLow && !lease.asking && this.#calls.available) {
      void this.#renew({ limit, key, counter, lease }, now);
    }
    return spentOutcome(limit, lease);
  }

  async #borrow(
    list: readonly BoundLimit[],
    keys: readonly string[],
    now: number,
  ): Promise<LimitResult | undefined> {
    const all = list.map((limit, index) => this.#hold(limit, keys[index] as string, now));
    const lacking = new Map<number, number[]>();
    // What the leases at hand cover is kept for this request until the store has answered for the others.
    const covered: (Held & { readonly settled: number; readonly knownAt: number })[] = [];
    for (const [index, held] of all.entries()) {
      const { policy, measure } = held.limit;
      if (held.lease.covers(policy.cost, measure.cap, now)) {
        const knownAt = held.lease.answeredAt;
        covered.push({ ...held, settled: held.lease.spend(policy.cost), knownAt });
      } else {
        const place = this.#calls.placeOf(held.key);
        lacking.set(place, [...(lacking.get(place) ?? []), index]);
      }
    }
    const asked = [...lacking.values()].map(async (indexes) => {
      const helds = indexes.map((index) => all[index] as Held);
      return { indexes, helds, answer: await this.#ask(helds, now, undefined) };
    });
    const parts = await Promise.all(asked);
    if (parts.some(({ answer }) => answer?.admitted !== true)) {
      for (const held of covered) {
        const { limit, lease, settled, knownAt } = held;
        lease.unspend(limit.policy.cost, settled, knownAt);
        this.#takeBack(held);
      }
      for (const { helds, answer } of parts) {
        if (answer?.admitted === true) this.#refund(helds, answer.decidedAt);
      }
    }
    const outcomes = all.map(({ limit, lease }) => spentOutcome(limit, lease));
    for (const { indexes, answer } of parts) {
      if (answer === undefined) return undefined;
      for (const [turn, index] of indexes.entries()) outcomes[index] = answer.outcomes[turn] as LimitOutcome;
    }
    return resultOf(list, outcomes);
  }

  #hold(limit: BoundLimit, key: string, now: number): Held {
    const counter = this.#known.get(limit, key, now);
    if (counter.lease?.isDoubtful(now)) this.#drop(counter, counter.lease);
    counter.lease ??= this.#newLease(now);
    return { limit, key, counter, lease: counter.lease };
  }

  #newLease(now: number): Lease {
    return new Lease(`${this.#instance}.${(this.#made++).toString(36)}`, now);
  }

  /** Tells in the background what was spent, and fits what is held to the present rate. */
  #renew(held: Held, now: number): Promise<unknown> {
    const { lease, limit } = held;
    const expected = lease.forecast(now, limit.leaseMicros);
    const want = Math.max(0, expected - lease.budget);
    return this.#ask([held], now, { want, back: lease.giveBack(expected) });
  }

  /**
   * One call about leases of one place: tells what was spent, takes each request's cost (none in the background), and
   * borrows. A lease whose call gave no answer is given up: whatever the store made of it, it counts as spent there.
   */
  #ask(
    helds: readonly Held[],
    now: number,
    background: { readonly want: number; readonly back: number } | undefined,
  ): Promise<Answer | undefined> {
    const args = [String(MODE.lease + helds.length)];
    const part = String(2 * Math.max(1, this.#instances()));
    const starts: Held[] = [];
    for (const held of helds) {
      const { limit, lease } = held;
      const cost = background === undefined ? limit.policy.cost : 0;
      if (cost > 0) lease.noteUse(cost);
      const starting = !lease.asking;
      if (starting) starts.push(held);
      lease.asking = true;
      lease.calls++;
      // What an ended lease still held can't be spent any more, so others may have it.
      const back = (background?.back ?? 0) + (lease.isOver(now) ? lease.end() : 0);
      let want = background?.want ?? 0;
      if (background === undefined && starting)
        want = Math.max(0, lease.forecast(now, limit.leaseMicros) - lease.budget);
      const spent = lease.tell();
      if (spent > 0) held.counter.admit(spent, now);
      args.push(
        ...argsAt(limit, cost),
        lease.id,
        ...[spent, back, want, limit.leaseMicros].map(String),
        part,
      );
    }
    return new Promise((settle) => {
      const keys = helds.flatMap(({ limit, key }) => scriptKeys(limit, key));
      this.#calls.ask({ keys, args, length: 1 + helds.length * LEASE_ANSWER_LENGTH }, (numbers, at) => {
        for (const { lease } of starts) lease.asking = false;
        for (const { lease } of helds) lease.calls--;
        if (numbers === undefined) {
          for (const { counter, lease } of helds) this.#drop(counter, lease);
          settle(undefined);
        } else settle(this.#read(helds, numbers, at, now, background === undefined));
      });
    });
  }

  #read(
    helds: readonly Held[],
    numbers: readonly number[],
    at: number,
    since: number,
    taking: boolean,
  ): Answer {
    const now = this.#now();
    const decidedAt = numbers[0] as number;
    const admitted = numbers[at] === 1;
    const outcomes = helds.map((held, index) => {
      const { limit, counter, lease } = held;
      const from = at + 1 + LEASE_ANSWER_LENGTH * index;
      const answer = {
        used: numbers[from] as number,
        reset: numbers[from + 1] as number,
        retry: numbers[from + 2] as number,
      };
      // Given up with what was granted: it ended before the answer came, and it isn't all told yet.
      if (lease.endsAt > 0 && lease.isOver(now) && (lease.budget > 0 || lease.spent > 0 || lease.calls > 0)) {
        this.#drop(counter, lease);
      }
      // An answer about a lease that was given up meanwhile brings nothing to spend.
      if (counter.lease === lease) {
        lease.answeredAt = decidedAt;
        lease.extend(numbers[from + 3] as number, answer.used, limit.measure.cap, since, limit.leaseMicros);
        if (lease.budget > 0) this.#schedule(held);
        this.#takeBack(held);
      }
      if (taking && admitted) counter.admit(limit.policy.cost, now);
      return counter.note(limit, answer, since, now);
    });
    return { decidedAt, admitted, outcomes };
  }

  /** Has the store take back what it was told of for a request that was refused: only when it has answered to that. */
  #takeBack(held: Held): void {
    const { counter, lease } = held;
    const { owed, owedSince } = lease;
    if (owed === 0 || lease.calls > 0 || counter.lease !== lease) return;
    lease.owed = 0;
    this.#refund([held], owedSince, owed);
  }

  /**
   * Takes back what was counted for a request that another place refused: its cost, or `units`. It was counted at `since`
   * by the store's clock, or later.
   */
  #refund(helds: readonly Held[], since: number, units?: number): void {
    this.#calls.ask(
      {
        keys: helds.flatMap(({ limit, key }) => scriptKeys(limit, key)),
        args: [
          String(MODE.refund + helds.length),
          ...helds.flatMap(({ limit }) => [...argsAt(limit, units ?? limit.policy.cost), String(since)]),
        ],
        length: 1 + helds.length * ANSWER_LENGTH,
      },
      () => undefined,
    );
  }

  #drop(counter: KnownCounter, lease: Lease): void {
    if (lease.spent > 0) counter.admit(lease.tell(), this.#now());
    lease.giveBack();
    if (counter.lease === lease) counter.lease = undefined;
  }

  #schedule(held: Held): void {
    if (this.#closed) return;
    const { leaseMicros } = held.limit;
    let queue = this.#due.get(leaseMicros);
    if (queue === undefined) {
      queue = { list: [], head: 0 };
      this.#due.set(leaseMicros, queue);
    }
    queue.list.push({ held, at: held.lease.dueAt });
    this.#timer ??= setTimeout(() => this.#tick(), TICK_MS).unref();
  }

  /** Looks at the leases of which half the time is over: those in use are renewed, the others given back. */
  #tick(): void {
    this.#timer = undefined;
    const now = this.#now();
    let left = LARGEST_TICK;
    for (const [micros, queue] of this.#due) {
      for (; queue.head < queue.list.length && left > 0; queue.head++) {
        const { held, at } = queue.list[queue.head] as Due;
        if (at > now) break;
        left--;
        const { lease, counter } = held;
        // A lease that was renewed since stands further behind in the queue.
        if (counter.lease !== lease || lease.dueAt !== at || lease.asking) continue;
        if (this.#calls.available && !lease.isDoubtful(now)) void this.#renew(held, now);
        else this.#drop(counter, lease);
      }
      if (queue.head === queue.list.length) this.#due.delete(micros);
      else if (queue.head > 1_000) {
        queue.list.splice(0, queue.head);
        queue.head = 0;
      }
    }
    if (this.#due.size > 0 && !this.#closed) {
      this.#timer = setTimeout(() => this.#tick(), left > 0 ? TICK_MS : 0).unref();
    }
  }
}

/** The state of a limit from which a lease was spent. */
function spentOutcome(limit: BoundLimit, lease: Lease): LimitOutcome {
  const used = lease.counted - lease.budget;
  return outcomeOf(limit.policy, limit.measure.cap - used, freeAfter(limit, used), 0, false);
}
