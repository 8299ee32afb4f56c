// A million counters at once: what they take, and how long the event loop stands still while calls clean them away.
// Started with --expose-gc by limits-memory.ts and by a test; prints one line of JSON.

import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import type { BoundLimit } from "../../src/rate-limit/bound-limit.ts";
import { LocalCounters } from "../../src/rate-limit/local-counters.ts";
import { MemoryStore } from "../../src/rate-limit/memory-store.ts";
import { type Counting, heapBytes, keyOf, limitOf } from "./heap.ts";

/** Milliseconds. */
export interface Stall {
  /** Longest turn of the event loop by the wall clock; others that run on the machine count. */
  readonly wallMs: number;
  /** Longest turn without what others took: no longer than the thread had the processor, which the kernel tells in ticks. */
  readonly ownMs: number;
  /** Longest pause of the garbage collector. */
  readonly gcMs: number;
}

export interface Million {
  readonly keys: number;
  readonly bytesPerKey: number;
  readonly totalBytes: number;
  /** Calls until the last idle counter was gone. */
  readonly calls: number;
  readonly cleaning: Stall;
  /** The same calls with nothing to clean. */
  readonly control: Stall;
}

const KEYS = 1_000_000;
const CALLS_A_TURN = 50;
const GOING_ON = 1_000;
const COUNTING: Counting = { algorithm: "slidingWindow", limit: 10 };

async function main(rounds: number): Promise<Million> {
  const limit = limitOf(COUNTING);
  const list = [limit];
  const goingOn = Array.from({ length: GOING_ON }, (_, caller) => [keyOf(limit, KEYS + caller)]);
  let now = 86_400_000_000;
  let bytesPerKey = 0;
  let calls = 0;
  const cleaning: Stall[] = [];
  const control: Stall[] = [];
  const before = heapBytes();
  const store = new MemoryStore<ReturnType<typeof limit.measure.create>>();
  const counters = new LocalCounters(store);
  const callsUntil = (done: (turns: number) => boolean): Promise<Stall> => {
    let turns = 0;
    return longestTurn(() => {
      for (let n = 0; n < CALLS_A_TURN; n++) counters.take(list, goingOn[calls++ % GOING_ON] ?? [], ++now);
      return done(++turns);
    });
  };
  for (let round = 0; round < rounds; round++) {
    // Hashing a million names again would take longer than all else, so that later rounds use made-up ones.
    const name = round === 0 ? keyOf : madeUpKey;
    for (let caller = 0; caller < KEYS; caller++) counters.take(list, [name(limit, caller)], ++now);
    if (round === 0) bytesPerKey = (heapBytes() - before) / KEYS;
    // Nothing of the filling is to be collected while the cleaning is measured, as it wouldn't be after a minute.
    else heapBytes();
    if (store.size < KEYS) throw new Error(`${store.size} counters are held, not ${KEYS}`);
    now += 2 * limit.measure.lasts;
    const start = calls;
    cleaning.push(await callsUntil(() => store.size <= GOING_ON));
    const turns = (calls - start) / CALLS_A_TURN;
    control.push(await callsUntil((done) => done >= turns));
    if (round === rounds - 1) calls -= start + turns * CALLS_A_TURN;
  }
  const totalBytes = Math.round(bytesPerKey * KEYS);
  return { keys: KEYS, bytesPerKey, totalBytes, calls, cleaning: best(cleaning), control: best(control) };
}

function madeUpKey({ counters }: BoundLimit, caller: number): string {
  const mixed = Math.imul(caller, 0x9e3779b1) >>> 0;
  return `${counters}{user:${mixed.toString(36).padStart(22, "0")}}`;
}

/** The longest of the turns in which `step` runs until it says true. */
async function longestTurn(step: () => boolean): Promise<Stall> {
  let gcMs = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gcMs = Math.max(gcMs, duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  let [wallMs, ownMs] = [0, 0];
  let [wall, cpu] = [performance.now(), threadMs()];
  for (let done = false; !done; ) {
    done = step();
    await turn();
    const [wallNow, cpuNow] = [performance.now(), threadMs()];
    wallMs = Math.max(wallMs, wallNow - wall);
    ownMs = Math.max(ownMs, Math.min(wallNow - wall, cpuNow - cpu));
    [wall, cpu] = [wallNow, cpuNow];
  }
  await turn();
  observer.disconnect();
  return { wallMs, ownMs, gcMs };
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/** The least of each figure: what is dearer was a disturbance. */
function best(stalls: readonly Stall[]): Stall {
  const least = (of: (stall: Stall) => number) => Math.min(...stalls.map(of));
  return {
    wallMs: least((stall) => stall.wallMs),
    ownMs: least((stall) => stall.ownMs),
    gcMs: least((stall) => stall.gcMs),
  };
}

console.log(JSON.stringify(await main(Number(process.argv[2] ?? 3))));
