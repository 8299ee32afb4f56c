// Several limiters in one process on a time that only moves when a test lets it, over the script in a real Redis: calls
// take time, answers get lost, instances crash. What happens at one moment is over before the next one comes.

import type { Redis } from "ioredis";
import { vi } from "vitest";
import { Fields } from "../../src/core/fields.ts";
import type { Principal } from "../../src/core/principal.ts";
import { Limiter, type LimitResult, type ScriptPort } from "../../src/rate-limit/limiter.ts";
import type { LimitPolicy } from "../../src/rate-limit/policy.ts";
import { runScript } from "./limit-script.ts";

/** Times are multiples of an eighth of a millisecond, which the milliseconds of a clock hold without error. */
export const TICK = 125;

const START = 1_700_000_000_000_000;

/** What becomes of one call. Times in microseconds from when it is made. */
export interface Fate {
  /** When the script runs; undefined: never. */
  readonly runs: number | undefined;
  /** When the answer comes, from when the script ran; a lost one is missed from when the call was made. */
  readonly answers: number;
  readonly lost?: boolean;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly work: () => unknown;
}

/** The time, and what is to happen in it. */
export class Fleet {
  redis: Redis;
  readonly prefix: string;
  now = 0;
  /** Redis is away: no call runs, and no answer comes through. */
  down = false;
  /** How much later than they should timers fire. */
  lateBy = 0;
  calls = 0;
  #order = 0;
  #events: Event[] = [];

  constructor(redis: Redis, prefix: string) {
    this.redis = redis;
    this.prefix = prefix;
  }

  /** Lets timers of the process go by the fleet's time from now on; undone by `vi.unstubAllGlobals`. */
  takeTimers(): void {
    const cancelled = new WeakSet<object>();
    vi.stubGlobal("setTimeout", (work: () => unknown, ms = 0) => {
      const timer = { unref: () => timer };
      this.at(this.now + this.lateBy + Math.max(TICK, ms * 1_000), () =>
        cancelled.has(timer) ? undefined : work(),
      );
      return timer;
    });
    vi.stubGlobal("clearTimeout", (timer: object | undefined) => void (timer && cancelled.add(timer)));
  }

  /** Redis' time. */
  get serverNow(): number {
    return START + this.now;
  }

  at(at: number, work: () => unknown): void {
    const event = { at: Math.max(at, this.now), order: this.#order++, work };
    const events = this.#events;
    // A heap would be no faster for so few.
    let low = 0;
    let high = events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = events[middle] as Event;
      if (other.at < event.at || (other.at === event.at && other.order < event.order)) high = middle;
      else low = middle + 1;
    }
    events.splice(low, 0, event);
  }

  /** Lets everything happen up to and at `until`. */
  async run(until: number): Promise<void> {
    // What was begun just now comes first.
    await settled();
    for (let next = this.#events.at(-1); next !== undefined && next.at <= until; next = this.#events.at(-1)) {
      this.#events.pop();
      this.now = next.at;
      await next.work();
      await settled();
    }
    this.now = until;
  }

  async script(keys: readonly string[], args: readonly string[]): Promise<number[]> {
    this.calls++;
    return runScript(this.redis, keys, args, this.serverNow);
  }
}

/** What was asked in this turn of the event loop has been sent, and what was answered has been taken. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** One limiter of a fleet. Its calls run, and are answered, in the order in which they are made. */
export class Instance {
  readonly limiter: Limiter;
  available = true;
  #fleet: Fleet;
  #dead = false;
  // By place: each is a server with a connection of its own.
  readonly #last = new Map<number, { run: number; answer: number }>();

  constructor(
    fleet: Fleet,
    instances: () => number,
    fate: (place: number) => Fate,
    slotOf?: (key: string) => number,
  ) {
    this.#fleet = fleet;
    const instance = this;
    const port: ScriptPort = {
      get available() {
        return instance.available;
      },
      run: (keys, args) => {
        const place = slotOf?.(keys[0] ?? "") ?? 0;
        return this.#run(keys, args, fate(place), place);
      },
      ...(slotOf === undefined ? {} : { slotOf }),
    };
    const clock = { steadyMs: () => fleet.now / 1_000 };
    this.limiter = new Limiter({ prefix: fleet.prefix, clock, script: port, instances });
  }

  /** From now on it neither decides nor hears of anything; what it sent arrives. */
  crash(): void {
    this.#dead = true;
    this.available = false;
  }

  get dead(): boolean {
    return this.#dead;
  }

  async take(policies: readonly LimitPolicy[], who: Caller = {}): Promise<LimitResult> {
    return this.limiter.take(policies, {
      principal: who.principal,
      clientAddress: who.address ?? "192.0.2.1",
      fields: new Fields(who.fields ?? []),
    });
  }

  #run(
    keys: readonly string[],
    args: readonly string[],
    { runs, answers, lost }: Fate,
    place: number,
  ): Promise<readonly number[] | undefined> {
    const fleet = this.#fleet;
    const last = this.#last.get(place) ?? { run: 0, answer: 0 };
    this.#last.set(place, last);
    return new Promise((resolve) => {
      const answer = (at: number, numbers: readonly number[] | undefined): void => {
        fleet.at(at, () => {
          if (!this.#dead) resolve(fleet.down ? undefined : numbers);
        });
      };
      if (runs === undefined || lost) answer(fleet.now + answers, undefined);
      if (runs === undefined) return;
      last.run = Math.max(fleet.now + runs, last.run);
      fleet.at(last.run, async () => {
        const numbers = fleet.down ? undefined : await fleet.script(keys, args);
        if (lost) return;
        last.answer = Math.max(fleet.now + answers, last.answer);
        answer(last.answer, numbers);
      });
    });
  }
}

export interface Caller {
  readonly principal?: Principal;
  readonly address?: string;
  readonly fields?: readonly string[];
}
