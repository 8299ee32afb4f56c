// Counters of this process: a bounded table of admission logs that stays bounded without ever stalling the event loop.

import { AdmissionLog } from "./algorithms/sliding-window.ts";

const DEFAULT_MOST_KEYS = 1_000_000;
// One big Map would stop the process for tens of milliseconds whenever it grows; 64 small ones don't.
const SHARDS = 64;
const SWEEP_EVERY = 16;
const SWEEP_ENTRIES = 32;
const EVICTION_SAMPLE = 8;

/** One part of the table, with a hand that goes round over its entries. */
class Shard {
  readonly logs = new Map<string, AdmissionLog>();
  #hand = this.logs.entries();

  /** The next entry of the round, or undefined at its end; the round after that starts anew. */
  next(): readonly [string, AdmissionLog] | undefined {
    const step = this.#hand.next();
    if (step.done !== true) return step.value;
    this.#hand = this.logs.entries();
    return undefined;
  }
}

/**
 * Logs by key. Idle ones are dropped a few at a time, by the calls themselves. When the table is full, the key with
 * the fewest counted units in a sample of 8 makes room: a flood of fresh keys then displaces itself, and who wants
 * a used-up counter forgotten has to fill the table with keys that are as used up. What an eviction lets through
 * in excess is never more than the evicted key had used.
 */
export class MemoryStore {
  readonly #shards: readonly Shard[] = Array.from({ length: SHARDS }, () => new Shard());
  readonly #mostKeys: number;
  #keys = 0;
  #calls = 0;
  #swept = 0;

  constructor(mostKeys: number = DEFAULT_MOST_KEYS) {
    this.#mostKeys = mostKeys;
  }

  /** Number of keys held. */
  get size(): number {
    return this.#keys;
  }

  /** The log of `key`, if there is one. */
  find(key: string): AdmissionLog | undefined {
    return (this.#shards[shardOf(key)] as Shard).logs.get(key);
  }

  /** A new log for `key`, which has none. Idle or hardly used keys may go to make room. */
  create(key: string, window: number, now: number): AdmissionLog {
    const shard = this.#shards[shardOf(key)] as Shard;
    if (this.#keys >= this.#mostKeys) this.#evict(shard.logs.size > 0 ? shard : this.#filledShard(), now);
    const log = new AdmissionLog(window);
    shard.logs.set(key, log);
    this.#keys++;
    return log;
  }

  /** Drops some idle keys; to be called before each decision, never while a log is held. */
  tidy(now: number): void {
    if (++this.#calls % SWEEP_EVERY === 0) this.#sweep(now);
  }

  #sweep(now: number): void {
    for (let seen = 0; seen < SWEEP_ENTRIES; seen++) {
      const shard = this.#shards[this.#swept] as Shard;
      const entry = shard.next();
      if (entry === undefined) this.#swept = (this.#swept + 1) % SHARDS;
      else if (entry[1].isIdle(now)) this.#drop(shard, entry[0]);
    }
  }

  #evict(shard: Shard, now: number): void {
    let victim: string | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    // A round may end within the sample; a non-empty shard yields at least one entry in two tries.
    for (let seen = 0; seen < EVICTION_SAMPLE || victim === undefined; seen++) {
      const entry = shard.next();
      if (entry === undefined) continue;
      const used = entry[1].used(now);
      if (used < fewest) {
        fewest = used;
        victim = entry[0];
      }
    }
    this.#drop(shard, victim);
  }

  #filledShard(): Shard {
    return this.#shards.find((shard) => shard.logs.size > 0) as Shard;
  }

  #drop(shard: Shard, key: string): void {
    shard.logs.delete(key);
    this.#keys--;
  }
}

/** Keys end with a hash, or are few. The very last character of a hash carries only two bits of it. */
function shardOf(key: string): number {
  return (key.charCodeAt(key.length - 3) * 7 + key.charCodeAt(key.length - 2)) % SHARDS;
}
