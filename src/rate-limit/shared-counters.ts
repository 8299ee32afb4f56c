// Decisions on counters that all instances share: asked of the store on every request, all limits in one call.

import type { Awaitable } from "../core/result.ts";
import { argsAt, type BoundLimit, type BoundLimits, outcomeOf, resultOf, scriptKeys } from "./bound-limit.ts";
import type { StoreAnswer } from "./known-counter.ts";
import type { KnownCounters } from "./known-counters.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";
import { ANSWER_LENGTH, MODE } from "./script.ts";
import type { Question, ScriptCalls } from "./script-calls.ts";

/** What one place of the store answered about its part of a decision. */
interface Part {
  /** The store's time of the decision, microseconds. */
  readonly decidedAt: number;
  readonly admitted: boolean;
  readonly outcomes: readonly LimitOutcome[];
}

/** What the store said about one limit, times in microseconds. */
export interface Found extends StoreAnswer {
  /** Every limit that lies in the same place of the store had room. */
  readonly admitted: boolean;
}

/** Limits over shared counters. Times are steady microseconds. */
export class SharedCounters {
  readonly #calls: ScriptCalls;
  readonly #known: KnownCounters;
  readonly #now: () => number;

  constructor(calls: ScriptCalls, known: KnownCounters, now: () => number) {
    this.#calls = calls;
    this.#known = known;
    this.#now = now;
  }

  /** Takes all of `limits` or none; undefined when the counters could not be asked, at once or after the deadline. */
  take(limits: BoundLimits, keys: readonly string[], now: number): Awaitable<LimitResult | undefined> {
    if (!this.#calls.available) return undefined;
    const refused = this.#known.knownRefusal(limits.list, keys, now);
    if (refused !== undefined) return refused;
    const places = this.#places(keys);
    if (places !== undefined) return this.#takeApart(limits.list, keys, places, now);
    return new Promise((settle) => {
      this.#ask(limits.list, keys, limits.args, now, (part) => {
        settle(part && resultOf(limits.list, part.outcomes));
      });
    });
  }

  /** Counts `units` whether or not there is room; how many count then, or undefined when the store gave no answer. */
  charge(limit: BoundLimit, key: string, units: number): Promise<number | undefined> {
    return new Promise((settle) => {
      const question = {
        keys: scriptKeys(limit, key),
        args: [String(MODE.charge + 1), ...argsAt(limit, units)],
        length: 1 + ANSWER_LENGTH,
      };
      this.#calls.ask(question, (numbers, at) => settle(numbers?.[at + 1]));
    });
  }

  /** The state of one counter in the store, without counting. */
  look(limit: BoundLimit, key: string): Promise<LimitOutcome | undefined> {
    return new Promise((settle) => {
      const question = {
        keys: scriptKeys(limit, key),
        args: [String(MODE.decide + 1), ...argsAt(limit, 0)],
        length: 1 + ANSWER_LENGTH,
      };
      this.#calls.ask(question, (numbers, at) => {
        if (numbers === undefined) settle(undefined);
        else {
          const used = numbers[at + 1] as number;
          settle(outcomeOf(limit.policy, limit.measure.cap - used, numbers[at + 2] as number, 0, false));
        }
      });
    });
  }

  /** What `take` would find in the store, without counting; one entry per limit. Undefined when it gave no answer. */
  async peek(limits: readonly BoundLimit[], keys: readonly string[]): Promise<readonly Found[] | undefined> {
    const places = this.#places(keys) ?? new Map([[0, [...keys.keys()]]]);
    const found: Found[] = [];
    const answered = await Promise.all(
      [...places.values()].map(async (indexes) => {
        const own = indexes.map((index) => limits[index] as BoundLimit);
        const question: Question = {
          keys: indexes.flatMap((index) => scriptKeys(limits[index] as BoundLimit, keys[index] as string)),
          args: [String(MODE.peek + own.length), ...own.flatMap((limit) => limit.args)],
          length: 1 + own.length * ANSWER_LENGTH,
        };
        return await new Promise<boolean>((settle) => {
          this.#calls.ask(question, (numbers, at) => {
            for (const [turn, index] of indexes.entries()) {
              const from = at + 1 + ANSWER_LENGTH * turn;
              if (numbers !== undefined)
                found[index] = {
                  used: numbers[from] as number,
                  reset: numbers[from + 1] as number,
                  retry: numbers[from + 2] as number,
                  admitted: numbers[at] === 1,
                };
            }
            settle(numbers !== undefined);
          });
        });
      }),
    );
    return answered.every(Boolean) ? found : undefined;
  }

  /** Deletes counters; false when the store gave no answer. */
  async forget(limits: readonly { readonly limit: BoundLimit; readonly key: string }[]): Promise<boolean> {
    const forgotten = limits.map(({ limit, key }) => {
      return new Promise<boolean>((settle) => {
        const question = {
          keys: scriptKeys(limit, key),
          args: [String(MODE.forget + 1), ...limit.args],
          length: 1 + ANSWER_LENGTH,
        };
        this.#calls.ask(question, (numbers) => settle(numbers !== undefined));
      });
    });
    return (await Promise.all(forgotten)).every(Boolean);
  }

  /** Indexes of the keys by their place in a cluster; undefined when all lie in one. */
  #places(keys: readonly string[]): ReadonlyMap<number, readonly number[]> | undefined {
    if (keys.length < 2) return undefined;
    const first = this.#calls.placeOf(keys[0] as string);
    if (keys.every((key) => this.#calls.placeOf(key) === first)) return undefined;
    const places = new Map<number, number[]>();
    for (const [index, key] of keys.entries()) {
      const place = this.#calls.placeOf(key);
      places.set(place, [...(places.get(place) ?? []), index]);
    }
    return places;
  }

  /**
   * One question for each place, all at once. When one of them refuses, the others take back what they counted: until
   * then they hold too much for a moment, and never too little.
   */
  async #takeApart(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    places: ReadonlyMap<number, readonly number[]>,
    now: number,
  ): Promise<LimitResult | undefined> {
    const outcomes: LimitOutcome[] = [];
    const counted: { readonly indexes: readonly number[]; readonly decidedAt: number }[] = [];
    let answered = true;
    let admitted = true;
    const pick = <T>(list: readonly T[], indexes: readonly number[]): T[] =>
      indexes.map((index) => list[index] as T);
    await Promise.all(
      [...places.values()].map(async (indexes) => {
        const own = pick(limits, indexes);
        const args = [String(MODE.decide + own.length), ...own.flatMap((limit) => limit.args)];
        const part = await new Promise<Part | undefined>((settle) => {
          this.#ask(own, pick(keys, indexes), args, now, settle);
        });
        if (part === undefined) answered = false;
        else if (!part.admitted) admitted = false;
        else counted.push({ indexes, decidedAt: part.decidedAt });
        for (const [turn, index] of indexes.entries()) {
          const outcome = part?.outcomes[turn];
          if (outcome !== undefined) outcomes[index] = outcome;
        }
      }),
    );
    if (answered && admitted) return resultOf(limits, outcomes);
    for (const { indexes, decidedAt } of counted)
      this.#refund(pick(limits, indexes), pick(keys, indexes), pick(outcomes, indexes), decidedAt);
    return answered ? resultOf(limits, outcomes) : undefined;
  }

  /** Takes back what was counted. Whether the answer comes doesn't matter: what stays counted only refuses more. */
  #refund(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    outcomes: readonly LimitOutcome[],
    decidedAt: number,
  ): void {
    const taken = limits.flatMap((limit, index) => {
      const key = keys[index] as string;
      // A limit that is only observed counted nothing where it had no room.
      return outcomes[index]?.admitted === true ? [{ limit, key }] : [];
    });
    if (taken.length === 0) return;
    this.#calls.ask(
      {
        keys: taken.flatMap(({ limit, key }) => scriptKeys(limit, key)),
        args: [
          String(MODE.refund + taken.length),
          ...taken.flatMap(({ limit }) => [...limit.args, String(decidedAt)]),
        ],
        length: 1 + taken.length * ANSWER_LENGTH,
      },
      () => undefined,
    );
  }

  #ask(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    args: readonly string[],
    since: number,
    settle: (part: Part | undefined) => void,
  ): void {
    const question: Question = {
      keys: limits.some(({ leased }) => leased)
        ? limits.flatMap((limit, index) => scriptKeys(limit, keys[index] as string))
        : keys,
      args,
      length: 1 + limits.length * ANSWER_LENGTH,
    };
    this.#calls.ask(question, (numbers, at) => {
      settle(numbers === undefined ? undefined : this.#read(limits, keys, numbers, at, since));
    });
  }

  /** Reads the answer to one decision at `at`; undefined when it contradicts itself. */
  #read(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    numbers: readonly number[],
    at: number,
    since: number,
  ): Part | undefined {
    const admitted = numbers[at] === 1;
    if (refusedBy(limits, numbers, at) === admitted) return undefined;
    const now = this.#now();
    const outcomes: LimitOutcome[] = [];
    for (let index = 0; index < limits.length; index++) {
      const limit = limits[index] as BoundLimit;
      const from = at + 1 + ANSWER_LENGTH * index;
      const counter = this.#known.get(limit, keys[index] as string, now);
      const answer = {
        used: numbers[from] as number,
        reset: numbers[from + 1] as number,
        retry: numbers[from + 2] as number,
      };
      const { cost } = limit.policy;
      if (admitted && answer.retry === 0 && cost > 0) counter.admit(cost, now);
      outcomes.push(counter.note(limit, answer, since, now));
    }
    return { decidedAt: numbers[0] as number, admitted, outcomes };
  }
}

/** Whether the numbers from `at` on tell that an enforced limit had no room. */
function refusedBy(limits: readonly BoundLimit[], numbers: readonly number[], at: number): boolean {
  for (let index = 0; index < limits.length; index++) {
    const retry = numbers[at + 1 + ANSWER_LENGTH * index + 2] as number;
    if (retry > 0 && (limits[index] as BoundLimit).enforced) return true;
  }
  return false;
}
