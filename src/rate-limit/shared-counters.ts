// Decisions on counters that all gateways share: gathers those of one turn of the event loop into one script call,
// and reads the answer back. Knows the script's protocol and no store.

import type { Clock } from "../core/clock.ts";
import type { Awaitable } from "../core/result.ts";
import { type BoundLimit, type BoundLimits, outcomeOf, resultOf } from "./bound-limit.ts";
import { Denials, type Refusal } from "./denials.ts";
import type { LimitOutcome, LimitResult } from "./outcome.ts";

/** Where `SLIDING_WINDOW_SCRIPT` runs. */
export interface ScriptPort {
  /** Whether a call has a chance now. */
  readonly available: boolean;
  /** Runs the script; undefined when it gave no answer in time. Never rejects. */
  run(keys: readonly string[], args: readonly string[]): Promise<readonly unknown[] | undefined>;
}

/** One decision on its way. */
interface Asked {
  readonly limits: BoundLimits;
  readonly keys: readonly string[];
  readonly since: number;
  readonly answer: (result: LimitResult | undefined) => void;
}

// Bounds how long one call keeps the server busy: a decision takes it about 6 µs.
const LARGEST_BATCH = 100;

/** Limits over shared counters. */
export class SharedCounters {
  readonly #script: ScriptPort;
  readonly #clock: Pick<Clock, "steadyMs">;
  readonly #denials = new Denials();
  #batch: Asked[] = [];

  constructor(script: ScriptPort, clock: Pick<Clock, "steadyMs">) {
    this.#script = script;
    this.#clock = clock;
  }

  /** Takes all of `limits` or none; undefined when the counters could not be asked, at once or after the deadline. */
  take(limits: BoundLimits, keys: readonly string[], now: number): Awaitable<LimitResult | undefined> {
    if (!this.#script.available) return undefined;
    const refused = this.#knownRefusal(limits.list, keys, now);
    if (refused !== undefined) return refused;
    return new Promise((answer) => {
      this.#batch.push({ limits, keys, since: now, answer });
      if (this.#batch.length === 1) setImmediate(() => this.#send());
      else if (this.#batch.length >= LARGEST_BATCH) this.#send();
    });
  }

  #knownRefusal(
    limits: readonly BoundLimit[],
    keys: readonly string[],
    now: number,
  ): LimitResult | undefined {
    const outcomes: LimitOutcome[] = [];
    for (let index = 0; index < limits.length; index++) {
      const outcome = this.#denials.find(keys[index] as string, (limits[index] as BoundLimit).policy, now);
      if (outcome !== undefined) outcomes.push(outcome);
    }
    return outcomes.length === 0 ? undefined : resultOf(outcomes);
  }

  #send(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    const keys: string[] = [];
    const args: string[] = [];
    for (const asked of batch) {
      for (const key of asked.keys) keys.push(key);
      for (const arg of asked.limits.args) args.push(arg);
    }
    const length = 1 + batch.length + 3 * keys.length;
    const give = (reply: readonly unknown[] | undefined): void => {
      this.#answer(batch, reply === undefined ? undefined : wholeNumbers(reply, length));
    };
    this.#script.run(keys, args).then(give, () => give(undefined));
  }

  #answer(batch: readonly Asked[], numbers: readonly number[] | undefined): void {
    const now = this.#clock.steadyMs();
    let at = 1;
    for (const asked of batch) {
      asked.answer(numbers === undefined ? undefined : this.#read(asked, numbers, at, now));
      at += 1 + 3 * asked.keys.length;
    }
  }

  /** Reads the answer to one decision at `at`; undefined when it contradicts itself. */
  #read(asked: Asked, numbers: readonly number[], at: number, now: number): LimitResult | undefined {
    const outcomes: LimitOutcome[] = [];
    const refusals: (readonly [key: string, refusal: Refusal])[] = [];
    for (const [index, { policy }] of asked.limits.list.entries()) {
      const from = at + 1 + 3 * index;
      const remaining = policy.limit - (numbers[from] as number);
      const resetMs = (numbers[from + 1] as number) / 1_000;
      const retryMs = (numbers[from + 2] as number) / 1_000;
      outcomes.push(outcomeOf(policy, remaining, resetMs, retryMs, false));
      if (retryMs === 0) continue;
      // The server measured its wait after `since` and before `now`.
      const times = { closedUntil: asked.since + retryMs, opensAt: now + retryMs, freeAt: now + resetMs };
      refusals.push([asked.keys[index] as string, { policy, remaining, ...times }]);
    }
    if ((refusals.length === 0) !== (numbers[at] === 1)) return undefined;
    for (const [key, refusal] of refusals) this.#denials.add(key, refusal, asked.since);
    return resultOf(outcomes);
  }
}

/** `reply` if it consists of exactly `length` whole numbers, none of them negative. */
function wholeNumbers(reply: readonly unknown[], length: number): readonly number[] | undefined {
  if (reply.length !== length) return undefined;
  for (const value of reply) if (!Number.isSafeInteger(value) || (value as number) < 0) return undefined;
  return reply as readonly number[];
}
