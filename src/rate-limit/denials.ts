// Refusals of the shared counters that still hold: who is known to be over a limit isn't asked for again.

import { outcomeOf } from "./bound-limit.ts";
import type { LimitOutcome } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";

const MOST_REMEMBERED = 10_000;
// A counter that was deleted by hand, or lost with its server, is noticed after this time at the latest.
const LONGEST_MS = 1_000;

/** What the shared counter said when it refused; times are steady milliseconds. */
export interface Refusal {
  readonly policy: LimitPolicy;
  readonly remaining: number;
  /** No admission is possible before. */
  readonly closedUntil: number;
  /** A retry is admitted from here on, unless others come first. */
  readonly opensAt: number;
  readonly freeAt: number;
}

/** Refusals by counter, bounded. While one holds, no counter can have room, so using it never refuses wrongly. */
export class Denials {
  readonly #known = new Map<string, Refusal>();

  /** Remembers a refusal made at `now` for as long as it is certain. */
  add(key: string, refusal: Refusal, now: number): void {
    this.#known.delete(key);
    if (this.#known.size >= MOST_REMEMBERED) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(key, { ...refusal, closedUntil: Math.min(refusal.closedUntil, now + LONGEST_MS) });
  }

  /** The state of the limit of `policy` on the counter `key`, if it is known to have no room. */
  find(key: string, policy: LimitPolicy, now: number): LimitOutcome | undefined {
    const known = this.#known.get(key);
    if (known === undefined || known.policy !== policy) return undefined;
    if (known.closedUntil <= now) {
      this.#known.delete(key);
      return undefined;
    }
    return outcomeOf(policy, known.remaining, known.freeAt - now, known.opensAt - now, false);
  }
}
