// Remembers what verified tokens stand for, so that a signature is paid for once. Bounded in entries and in bytes.

interface Entry<V> {
  readonly token: string;
  readonly value: V;
}

/** What the cache may hold; reached, the least recently used half goes. */
export interface CacheBounds {
  /** Most tokens remembered, at least 2. */
  readonly entries: number;
  /** Most memory used, roughly, in bytes. */
  readonly bytes: number;
}

/** Enough for 10,000 callers with one token each. */
export const CACHE_BOUNDS: CacheBounds = { entries: 10_000, bytes: 64 * 1024 * 1024 };

// An entry holds the token and the claims parsed from it, which take a few times its length, and some objects.
const BYTES_PER_CHARACTER = 4;
const BYTES_PER_ENTRY = 1024;
// 72 bits of the signature tell valid tokens apart, and are much cheaper to cut off and hash than the whole text. Should
// two share them, each look-up still compares whole tokens.
const KEY_CHARACTERS = 12;

/**
 * Two generations: what is used moves to the young one; when that is half of the bounds, the old one is forgotten.
 * So at least the most recently used half survives, and eviction costs nothing per look-up.
 */
export class TokenCache<V> {
  readonly #entries: number;
  readonly #bytes: number;
  #young = new Map<string, Entry<V>>();
  #old = new Map<string, Entry<V>>();
  #youngBytes = 0;

  constructor(bounds: CacheBounds = CACHE_BOUNDS) {
    this.#entries = bounds.entries / 2;
    this.#bytes = bounds.bytes / 2;
  }

  /** Number of tokens remembered; one that moved between the generations may count twice. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** What was set for exactly this token. */
  get(token: string): V | undefined {
    const key = token.slice(-KEY_CHARACTERS);
    const young = this.#young.get(key);
    if (young !== undefined) return young.token === token ? young.value : undefined;
    const old = this.#old.get(key);
    if (old === undefined || old.token !== token) return undefined;
    this.#put(key, old);
    return old.value;
  }

  /** Remembers `value` for a token whose signature is valid. */
  set(token: string, value: V): void {
    this.#put(token.slice(-KEY_CHARACTERS), { token, value });
  }

  /** A cache of the same bounds with those values that `keep` is true of. */
  filtered(keep: (value: V) => boolean): TokenCache<V> {
    const cache = new TokenCache<V>({ entries: this.#entries * 2, bytes: this.#bytes * 2 });
    for (const generation of [this.#old, this.#young])
      for (const [key, entry] of generation) if (keep(entry.value)) cache.#put(key, entry);
    return cache;
  }

  #put(key: string, entry: Entry<V>): void {
    const size = entry.token.length * BYTES_PER_CHARACTER + BYTES_PER_ENTRY;
    if (this.#young.size >= this.#entries || this.#youngBytes + size > this.#bytes) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngBytes = 0;
    }
    this.#young.set(key, entry);
    this.#youngBytes += size;
  }
}
