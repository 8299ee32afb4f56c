// The blocks of one dimension: when one begins, how long it lasts, and when it is forgotten. No clock: times are given.

import { MOST_FAILING } from "./local-counter.ts";
import type { FailurePolicy } from "./policy.ts";
import { RecentTable } from "./recent-table.ts";

interface Block {
  /** Steady milliseconds. */
  readonly endsMs: number;
  /** Blocks that came right before this one; each doubled the length. */
  readonly doublings: number;
}

// Who was blocked lately has this part of the limit before the next block. Not none of it: one client behind a shared
// address that goes on with a wrong key now and then would keep the block alive for everybody else there.
const PART_AFTER_A_BLOCK = 10;

export class Blocks {
  readonly #policy: FailurePolicy;
  /** Time after the end of a block in which the next one is a further one. */
  readonly #suspectMs: number;
  readonly #known: RecentTable<Block>;
  #lastEndMs = Number.NEGATIVE_INFINITY;

  constructor(policy: FailurePolicy, most: number = MOST_FAILING) {
    this.#policy = policy;
    this.#suspectMs = policy.longestMs + policy.windowMs;
    this.#known = new RecentTable(most, policy.longestMs + this.#suspectMs);
  }

  /** Blocks that are remembered, ended ones included. */
  get size(): number {
    return this.#known.size;
  }

  /** False as long as there was no block at all, or each has ended and somebody asked since: the cheap first question. */
  get maybeActive(): boolean {
    return this.#lastEndMs !== Number.NEGATIVE_INFINITY;
  }

  /** Whether any block lasts at this moment. */
  anyActive(nowMs: number): boolean {
    if (nowMs < this.#lastEndMs) return true;
    this.#lastEndMs = Number.NEGATIVE_INFINITY;
    return false;
  }

  /** Milliseconds for which `id` is still blocked; 0 when it isn't. */
  leftMs(id: string, nowMs: number): number {
    const block = this.#known.get(id);
    return block === undefined ? 0 : Math.max(0, block.endsMs - nowMs);
  }

  /**
   * Takes note of a failure at `failedAtMs` that made `failures` in the window. Gives the length of the block that
   * begins with it at `nowMs`, or undefined when none does.
   */
  failed(id: string, failures: number, failedAtMs: number, nowMs: number): number | undefined {
    const last = this.#known.get(id);
    // Counting may take a while: what failed before a block began, or within it, is no reason for the next.
    if (last !== undefined && failedAtMs < last.endsMs) return undefined;
    const suspect = last !== undefined && nowMs < last.endsMs + this.#suspectMs;
    const { limit, backoffMs, longestMs } = this.#policy;
    if (failures < (suspect ? Math.ceil(limit / PART_AFTER_A_BLOCK) : limit)) return undefined;
    const doublings = suspect ? last.doublings + 1 : 0;
    const lengthMs = Math.min(longestMs, backoffMs * 2 ** doublings);
    const endsMs = nowMs + lengthMs;
    this.#known.set(id, { endsMs, doublings }, nowMs);
    if (endsMs > this.#lastEndMs) this.#lastEndMs = endsMs;
    return lengthMs;
  }
}
