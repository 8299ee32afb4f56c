// Counters of this process: a bounded table that stays bounded without ever stalling the event loop.

const DEFAULT_MOST_KEYS = 1_000_000;
// One big Map would stop the process for tens of milliseconds whenever it grows; small ones don't.
const SHARDS = 256;
// A table as small as this never grows far enough for that, and is made in no time.
const SMALL_TABLE = 4_096;
const SWEEP_EVERY = 16;
const SWEEP_ENTRIES = 32;
const EVICTION_SAMPLE = 8;

/** What the table has to know of an entry. */
export interface Entry {
  /** Whether the entry holds nothing any more at `now`, and may go. */
  isIdle(now: number): boolean;
  /** Units that count at `now`: what would be forgotten with the entry. */
  used(now: number): number;
}

/** One part of the table, with a hand that goes round over its entries. */
class Shard<E extends Entry> {
  readonly entries = new Map<string, E>();
  #hand = this.entries.entries();

  /** The next entry of the round, or undefined at its end; the round after that starts anew. */
  next(): readonly [string, E] | undefined {
    const step = this.#hand.next();
    if (step.done !== true) return step.value;
    this.#hand = this.entries.entries();
    return undefined;
  }
}

/**
 * Entries by key. Idle ones are dropped a few at a time, by the calls themselves. When the table is full, the key with
 * the fewest counted units in a sample of 8 makes room: a flood of fresh keys then displaces itself, and who wants
 * a used-up counter forgotten has to fill the table with keys that are as used up. What an eviction lets through
 * in excess is never more than the evicted key had used.
 */
export class MemoryStore<E extends Entry> {
  readonly #shards: readonly Shard<E>[];
  readonly #mostKeys: number;
  #keys = 0;
  #calls = 0;
  #swept = 0;
  #sampled = 0;

  constructor(mostKeys: number = DEFAULT_MOST_KEYS) {
    this.#mostKeys = mostKeys;
    this.#shards = Array.from({ length: mostKeys <= SMALL_TABLE ? 1 : SHARDS }, () => new Shard<E>());
  }

  /** Number of keys held. */
  get size(): number {
    return this.#keys;
  }

  /** The entry of `key`, if there is one. */
  find(key: string): E | undefined {
    return (this.#shards[shardOf(key) % this.#shards.length] as Shard<E>).entries.get(key);
  }

  /** Adds the entry of `key`, which has none. Idle or hardly used keys may go to make room. */
  add(key: string, entry: E, now: number): E {
    const shard = this.#shards[shardOf(key) % this.#shards.length] as Shard<E>;
    if (this.#keys >= this.#mostKeys) this.#evict(now);
    shard.entries.set(key, entry);
    this.#keys++;
    return entry;
  }

  /** Forgets `key`; whether there was such an entry. */
  delete(key: string): boolean {
    const held = (this.#shards[shardOf(key) % this.#shards.length] as Shard<E>).entries.delete(key);
    if (held) this.#keys--;
    return held;
  }

  /** Drops some idle keys; to be called before each decision, never while an entry is held. */
  tidy(now: number): void {
    if (++this.#calls % SWEEP_EVERY === 0) this.#sweep(now);
  }

  /** All entries, in parts small enough to be walked at once. */
  *parts(): Generator<ReadonlyMap<string, E>> {
    for (const { entries } of this.#shards) if (entries.size > 0) yield entries;
  }

  #sweep(now: number): void {
    for (let seen = 0; seen < SWEEP_ENTRIES; seen++) {
      const shard = this.#shards[this.#swept] as Shard<E>;
      const entry = shard.next();
      if (entry === undefined) this.#swept = (this.#swept + 1) % this.#shards.length;
      else if (entry[1].isIdle(now)) this.#drop(shard, entry[0]);
    }
  }

  #evict(now: number): void {
    let victim: string | undefined;
    let from: Shard<E> | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    // One entry of each part in turn. Where entries are few, most parts are empty.
    for (let seen = 0; seen < EVICTION_SAMPLE || victim === undefined; ) {
      const shard = this.#shards[this.#sampled] as Shard<E>;
      this.#sampled = (this.#sampled + 1) % this.#shards.length;
      const entry = shard.next() ?? shard.next();
      if (entry === undefined) continue;
      seen++;
      const used = entry[1].used(now);
      if (used < fewest) {
        fewest = used;
        victim = entry[0];
        from = shard;
      }
    }
    if (from !== undefined) this.#drop(from, victim);
  }

  #drop(shard: Shard<E>, key: string | undefined): void {
    if (key === undefined) return;
    shard.entries.delete(key);
    this.#keys--;
  }
}

/** Keys end with a hash and a brace, or are few. The very last character of a hash carries only two bits of it. */
function shardOf(key: string): number {
  const end = key.length;
  return (key.charCodeAt(end - 4) * 53 + key.charCodeAt(end - 3) * 7 + key.charCodeAt(end - 5)) % SHARDS;
}
