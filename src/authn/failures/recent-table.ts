// A table that forgets: what was written lately, bounded in number and in age, whoever chooses the keys.

/**
 * Two generations. A key that is written moves to the young one; when that is full or old enough, the old one is
 * forgotten as a whole. So the most recently written half always survives, and forgetting costs nothing per call.
 */
export class RecentTable<V> {
  readonly #half: number;
  readonly #keepMs: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();
  #youngSinceMs = Number.NEGATIVE_INFINITY;

  /**
   * @param most entries held at one time, at least 2
   * @param keepMs time for which an entry is kept after it was written, unless half of `most` others are written
   *   meanwhile; nothing is promised about when it goes
   */
  constructor(most: number, keepMs: number) {
    this.#half = Math.floor(most / 2);
    this.#keepMs = keepMs;
  }

  /** Number of entries held; one that moved between the generations may count twice. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: V, nowMs: number): void {
    const full = this.#young.size >= this.#half && !this.#young.has(key);
    if (full || nowMs - this.#youngSinceMs > this.#keepMs) {
      // What was written last is older than `keepMs` already when the young generation is twice that old.
      this.#old = nowMs - this.#youngSinceMs > 2 * this.#keepMs ? new Map() : this.#young;
      this.#young = new Map();
      this.#youngSinceMs = nowMs;
    }
    this.#young.set(key, value);
  }
}
