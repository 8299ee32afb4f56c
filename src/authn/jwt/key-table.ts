// The imported keys of one issuer, by key id and algorithm. Immutable: a changed set is a new table.

import type { CryptoKey } from "jose";
import { importJWK } from "jose/key/import";
import { fittingAlgorithms, hmacHash, RSA_BITS } from "./algorithms.ts";
import { jwkFingerprint, type KeyFault, type PublicJwk, readJwk } from "./jwk.ts";

const MOST_KEYS = 100;
// A token without a key id, or with an ambiguous one, is tried against no more keys than this.
const MOST_CANDIDATES = 5;

/** A key as imported for one algorithm: it can't be used with another. */
interface ImportedKey {
  readonly kid: string | undefined;
  readonly algorithm: string;
  readonly key: CryptoKey;
}

/** Verification keys of one issuer. */
export class KeyTable {
  /** Number of keys, however many algorithms each one serves. */
  readonly count: number;
  readonly #all: readonly ImportedKey[];
  readonly #ids: ReadonlySet<string>;

  constructor(keys: readonly ImportedKey[], count: number) {
    this.#all = keys;
    this.count = count;
    this.#ids = new Set(keys.flatMap((entry) => entry.kid ?? []));
  }

  /** Whether some key has this id. */
  knows(kid: string): boolean {
    return this.#ids.has(kid);
  }

  /** The keys to try for a token, at most 5: those of its key id, or all when it has none; keys without an id fit any. */
  candidates(kid: string | undefined, algorithm: string): readonly CryptoKey[] {
    const found: CryptoKey[] = [];
    for (const entry of this.#all) {
      if (entry.algorithm !== algorithm) continue;
      if (kid !== undefined && entry.kid !== undefined && entry.kid !== kid) continue;
      found.push(entry.key);
      if (found.length === MOST_CANDIDATES) break;
    }
    return found;
  }
}

/** What reading a set gave: usable keys without repetition, and why the others were left out. */
export interface ReadKeys {
  readonly keys: readonly PublicJwk[];
  readonly faults: readonly KeyFault[];
  /** Equal for sets of equal keys. */
  readonly fingerprint: string;
}

/** Picks the usable keys of a set, of which only the first 100 are looked at; the rest is ignored, not a fault (RFC 7517 section 5). */
export function readKeySet(entries: readonly unknown[], algorithms: readonly string[]): ReadKeys {
  const keys = new Map<string, PublicJwk>();
  const faults: KeyFault[] = entries.length > MOST_KEYS ? ["too_many"] : [];
  for (const entry of entries.slice(0, MOST_KEYS)) {
    const read = readJwk(entry, algorithms);
    if (read.ok) keys.set(jwkFingerprint(read.value), read.value);
    else faults.push(read.error);
  }
  return { keys: [...keys.values()], faults, fingerprint: [...keys.keys()].sort().join("\n") };
}

/** Imports public keys, each once per algorithm that it fits. Keys that turn out unusable are named in `faults`. */
export async function importKeys(
  jwks: readonly PublicJwk[],
  algorithms: readonly string[],
): Promise<{ readonly table: KeyTable; readonly faults: readonly KeyFault[] }> {
  const imported: ImportedKey[] = [];
  const faults: KeyFault[] = [];
  let count = 0;
  for (const jwk of jwks) {
    const keys = await importOne(jwk, fittingAlgorithms(jwk, algorithms));
    if (typeof keys === "string") faults.push(keys);
    else {
      imported.push(...keys);
      count++;
    }
  }
  return { table: new KeyTable(imported, count), faults };
}

async function importOne(jwk: PublicJwk, algorithms: readonly string[]): Promise<ImportedKey[] | KeyFault> {
  const { kid, alg: _, ...material } = jwk;
  const keys: ImportedKey[] = [];
  for (const algorithm of algorithms) {
    let key: CryptoKey | Uint8Array;
    try {
      key = await importJWK(material, algorithm);
    } catch {
      return "not_importable";
    }
    if (key instanceof Uint8Array) return "symmetric";
    const bits = "modulusLength" in key.algorithm ? Number(key.algorithm.modulusLength) : undefined;
    if (bits !== undefined && bits < RSA_BITS.least) return "weak";
    if (bits !== undefined && bits > RSA_BITS.most) return "oversized";
    keys.push({ kid, algorithm, key });
  }
  return keys;
}

/** A table of one shared secret, which serves every key id. The algorithms are all HMAC ones. */
export async function importSecret(secret: Uint8Array, algorithms: readonly string[]): Promise<KeyTable> {
  const keys: ImportedKey[] = [];
  for (const algorithm of algorithms) {
    const hash = hmacHash(algorithm);
    if (hash === undefined) continue;
    // A copy, because Web Crypto takes no view of shared memory.
    const bytes = new Uint8Array(secret);
    const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash }, false, ["verify"]);
    keys.push({ kid: undefined, algorithm, key });
  }
  return new KeyTable(keys, 1);
}
