// Bytes of the heap that counters take, to be measured in a process of its own that was started with --expose-gc.

import { BUCKET_FORM } from "../../src/rate-limit/algorithms/registry.ts";
import { type BoundLimit, bindLimit } from "../../src/rate-limit/bound-limit.ts";
import { counterKey, identity } from "../../src/rate-limit/identity.ts";
import { KnownCounters } from "../../src/rate-limit/known-counters.ts";
import { Lease } from "../../src/rate-limit/lease.ts";
import { LocalCounters } from "../../src/rate-limit/local-counters.ts";
import { MemoryStore } from "../../src/rate-limit/memory-store.ts";
import type { LimitPolicy } from "../../src/rate-limit/policy.ts";
import { LimitStats } from "../../src/rate-limit/stats.ts";

/** What is counted, and where its truth is. */
export interface Counting {
  readonly algorithm: NonNullable<LimitPolicy["algorithm"]>;
  readonly sync?: LimitPolicy["sync"];
  readonly limit: number;
  /** Units taken of each key, one by one; the whole limit unless said. */
  readonly units?: number;
}

// A machine that has been up for a day: times are then too large for V8's small integers, as they mostly are.
const START = 86_400_000_000;
const WINDOW_MS = 60_000;

/** The limit as a route has it that is written `N/min`. */
export function limitOf({ algorithm, sync, limit }: Counting): BoundLimit {
  const policy: LimitPolicy = {
    name: "GET /modules",
    limit,
    windowMs: WINDOW_MS,
    subject: { by: "user" },
    cost: 1,
    onStoreFailure: "local",
    algorithm,
    ...(sync === undefined ? {} : { sync }),
  };
  return bindLimit("gw", policy, new LimitStats(policy.name, policy));
}

/** The key of caller N, as the limiter makes it. */
export function keyOf(limit: BoundLimit, caller: number): string {
  return counterKey(limit.counters, identity("user", "https://issuer.example/", `caller-${caller}`));
}

/** Heap in use after everything that can be collected was, bytes. */
export function heapBytes(): number {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("start Node.js with --expose-gc");
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes per key of `keys` counters without Redis, each used by admissions that all come at another microsecond. */
export function localBytes(counting: Counting, keys: number): number {
  const limit = limitOf(counting);
  const list = [limit];
  const store = new MemoryStore<ReturnType<typeof limit.measure.create>>();
  const counters = new LocalCounters(store);
  return perKey(limit, counting, keys, store, (key, at) => counters.take(list, [key], at));
}

/** Bytes per key of what a process remembers of `keys` counters in Redis, all of whose admissions were its own. */
export function knownBytes(counting: Counting, keys: number): number {
  const limit = limitOf(counting);
  const known = new KnownCounters(undefined);
  let used = 0;
  return perKey(limit, counting, keys, known, (key, at) => {
    const counter = known.get(limit, key, at);
    counter.admit(1, at);
    counter.note(limit, { used: ++used % counting.limit, reset: limit.measure.lasts, retry: 0 }, at, at);
    if (limit.leased && counter.lease === undefined) {
      counter.lease = new Lease(`AAAAAAAA.${used.toString(36)}`, at);
      counter.lease.extend(1, 1, limit.measure.cap, at, limit.leaseMicros);
    }
  });
}

/** What the second half of twice as many keys adds: what the table takes without any is no part of it. */
function perKey(
  limit: BoundLimit,
  counting: Counting,
  keys: number,
  table: { readonly size: number },
  take: (key: string, at: number) => void,
): number {
  const middle = fill(limit, counting, 0, keys, START, take);
  const before = heapBytes();
  fill(limit, counting, keys, keys, middle, take);
  const bytes = (heapBytes() - before) / keys;
  if (table.size !== 2 * keys) throw new Error(`${table.size} counters are held, not ${2 * keys}`);
  return bytes;
}

/** Takes turns among the keys, and tells when it was done. Nothing drains or leaves the window meanwhile. */
function fill(
  limit: BoundLimit,
  { limit: most, units = most }: Counting,
  first: number,
  keys: number,
  from: number,
  take: (key: string, at: number) => void,
): number {
  const names = Array.from({ length: keys }, (_, caller) => keyOf(limit, first + caller));
  const apart = limit.measure.form[0] === BUCKET_FORM ? 0 : 1;
  let at = from;
  for (let unit = 0; unit < units; unit++) {
    for (const name of names) {
      take(name, at);
      at += apart;
    }
  }
  if (at - START > WINDOW_MS * 1_000) throw new Error("the first admissions have left the window");
  return at;
}
