// What this process knows of a counter that all instances share: what it admitted itself, what the store said last, and
// the lease that it holds. Refusals that still hold are answered from here, and so is everything while the store is away.

import type { Meter } from "./algorithms/meter.ts";
import { BUCKET_FORM } from "./algorithms/registry.ts";
import { type BoundLimit, freeAfter, outcomeOf } from "./bound-limit.ts";
import type { Lease } from "./lease.ts";
import type { Entry } from "./memory-store.ts";
import type { LimitOutcome } from "./outcome.ts";
import type { LimitPolicy } from "./policy.ts";

// A counter that was deleted by hand, or lost with its server, is noticed after this time at the latest.
const LONGEST_REFUSAL_MICROS = 1_000_000;
// Others may give a part of their leases back at any time.
const LONGEST_LEASED_REFUSAL_MICROS = 50_000;

/** What the store answered about one limit; times in microseconds from then. */
export interface StoreAnswer {
  /** Units that count, leases included. */
  readonly used: number;
  readonly reset: number;
  /** 0 when there was room. */
  readonly retry: number;
}

interface Refusal {
  readonly policy: LimitPolicy;
  readonly remaining: number;
  /** No admission is possible before. */
  readonly closedUntil: number;
  /** A retry is admitted from here on, unless others come first. */
  readonly opensAt: number;
  readonly freeAt: number;
}

/** Times are steady microseconds. */
export class KnownCounter implements Entry {
  /** Of the limits that are counted here, those of several tiers, the one that admits most. */
  limit: BoundLimit;
  /** What this process admitted itself. */
  readonly own: Meter;
  /** Units that counted over all instances when the store answered last, leases included. */
  seen = 0;
  seenAt = Number.NEGATIVE_INFINITY;
  /** Units admitted here without the store, which it hasn't been told of. */
  untold = 0;
  lease: Lease | undefined;
  #refusal: Refusal | undefined;

  constructor(limit: BoundLimit, own: Meter = limit.measure.create()) {
    this.limit = limit;
    this.own = own;
  }

  /** A counter of its own with what this one counted and saw; leases and refusals are not taken along. */
  copy(): KnownCounter {
    const copy = new KnownCounter(this.limit, this.own.copy());
    copy.seen = this.seen;
    copy.seenAt = this.seenAt;
    copy.untold = this.untold;
    return copy;
  }

  isIdle(now: number): boolean {
    return (
      this.seenUntil <= now &&
      this.untold === 0 &&
      this.own.isIdle(now) &&
      (this.lease === undefined || this.lease.isOver(now))
    );
  }

  /** From here on nothing of what was seen counts any more; leases that it held may be spent until they end. */
  get seenUntil(): number {
    const { measure, leased, leaseMicros } = this.limit;
    return this.seenAt + measure.lasts + (leased ? leaseMicros : 0);
  }

  used(now: number): number {
    return this.own.used(now);
  }

  /**
   * Counts what this process admitted. `allow` admits without end: what goes beyond the limit takes no more memory, and
   * leaves no later than the limit does.
   */
  admit(units: number, now: number): void {
    const { cap, grain, form } = this.limit.measure;
    if (this.own.used(now) < cap) this.own.add(now, units, grain);
    else if (form[0] !== BUCKET_FORM) this.own.add(now, units, Number.POSITIVE_INFINITY);
  }

  /** Notes that `used` units counted over all instances when the store answered at `now`. */
  saw(used: number, now: number): void {
    this.seen = used;
    this.seenAt = now;
  }

  /** Notes an answer that was asked for at `since` and came at `now`; the state of the limit that it tells. */
  note(
    { policy, measure, leased }: BoundLimit,
    answer: StoreAnswer,
    since: number,
    now: number,
  ): LimitOutcome {
    const { used, reset, retry } = answer;
    const remaining = measure.cap - used;
    this.saw(used, now);
    if (retry > 0) {
      const longest = leased ? LONGEST_LEASED_REFUSAL_MICROS : LONGEST_REFUSAL_MICROS;
      // The server measured its wait after `since` and before `now`.
      this.#refusal = {
        policy,
        remaining,
        closedUntil: since + Math.min(retry, longest),
        opensAt: now + retry,
        freeAt: now + reset,
      };
    }
    return outcomeOf(policy, remaining, reset, retry, false);
  }

  /** The state of the limit of `policy`, if it is known to have no room. While it is, asking could not find any. */
  refusal(policy: LimitPolicy, now: number): LimitOutcome | undefined {
    const known = this.#refusal;
    if (known === undefined || known.policy !== policy) return undefined;
    if (known.closedUntil <= now) {
      this.#refusal = undefined;
      return undefined;
    }
    return outcomeOf(policy, known.remaining, known.freeAt - now, known.opensAt - now, false);
  }

  /** Units over all instances that are left of a limit, as far as is known, when the store was lost at `lostAt`. */
  roomAfterLoss({ measure: { cap, lasts } }: BoundLimit, lostAt: number, now: number): number {
    // Whatever was admitted before the loss has been forgotten by now, or was never heard of.
    if (lostAt + lasts <= now || this.seenUntil <= lostAt) return cap;
    return Math.max(0, cap - this.seen);
  }

  /** Time until the room after a loss may grow. */
  untilKnownFree(lostAt: number, now: number): number {
    return Math.max(1, lostAt + freeAfter(this.limit, this.limit.measure.cap) - now);
  }

  /** Forgets what was refused: after a loss the store has to be asked again. */
  reopen(): void {
    this.#refusal = undefined;
  }
}
