// The limiter's script on a clock that a test sets, and what a test needs to talk to it.

import type { Redis } from "ioredis";
import { LIMITER_SCRIPT } from "../../src/rate-limit/limiter.ts";

const CLOCK = `local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
`;

/**
 * The script as it is, except that the last argument is the time, in microseconds. Keys still expire by the server's, but
 * 100 s later: a machine that stands still for a second must not forget what is new by the test's clock.
 */
export const TIMED_SCRIPT = timed();

function timed(): string {
  if (!LIMITER_SCRIPT.includes(CLOCK)) throw new Error("the script reads its clock in another way");
  const timedByTest = LIMITER_SCRIPT.replace(CLOCK, "local now = tonumber(table.remove(ARGV))\n");
  return timedByTest.replaceAll("/ 1000) + 1000", "/ 1000) + 100000");
}

const loaded = new WeakMap<Redis, Promise<unknown>>();

/** Runs the script at `now`, or by the server's own clock without it. */
export async function runScript(
  redis: Redis,
  keys: readonly string[],
  args: readonly (string | number)[],
  now?: number,
): Promise<number[]> {
  if (now === undefined) return (await redis.eval(LIMITER_SCRIPT, keys.length, ...keys, ...args)) as number[];
  let sha = loaded.get(redis);
  if (sha === undefined) {
    sha = redis.script("LOAD", TIMED_SCRIPT);
    loaded.set(redis, sha);
  }
  return (await redis.evalsha((await sha) as string, keys.length, ...keys, ...args, now)) as number[];
}

/** A small generator with a seed, so that a failure can be repeated (mulberry32): whole numbers from 0 to below `below`. */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

/** All keys that start with `prefix`. */
export async function keysOf(redis: Redis, prefix: string): Promise<string[]> {
  const found = new Set<string>();
  const pattern = `${prefix.replace(/[*?[\]\\]/g, "\\$&")}*`;
  for (let cursor = "0"; ; ) {
    const [next, keys] = await redis.scan(cursor, "MATCH", pattern, "COUNT", 1_000);
    for (const key of keys) found.add(key);
    if (next === "0") return [...found];
    cursor = next;
  }
}

/** Admissions in the order of their time, to be asked how many units a trailing window holds at most. */
export class Admissions {
  readonly #list: { readonly at: number; readonly units: number }[] = [];

  add(at: number, units: number): void {
    this.#list.push({ at, units });
  }

  get units(): number {
    return this.#list.reduce((sum, { units }) => sum + units, 0);
  }

  /** Units in `(at - window, at]`. */
  within(at: number, window: number): number {
    let sum = 0;
    for (const one of this.#list) if (one.at <= at && one.at > at - window) sum += one.units;
    return sum;
  }

  /** Most units in any `(t - window, t]`. */
  most(window: number): number {
    const list = this.#list.toSorted((one, other) => one.at - other.at);
    let most = 0;
    let held = 0;
    let from = 0;
    for (const { at, units } of list) {
      held += units;
      for (; (list[from]?.at ?? at) <= at - window; from++) held -= list[from]?.units ?? 0;
      most = Math.max(most, held);
    }
    return most;
  }

  /** Most units that any interval holds beyond what drained in it, at `limit` units in `window`; rounded up. Intervals end after `since`. */
  mostAboveDrain(limit: number, window: number, since = -1): number {
    // The level of a bucket that is never full, in parts of a unit: the largest over all starts.
    let level = 0;
    let last = 0;
    let most = 0;
    for (const { at, units } of this.#list.toSorted((one, other) => one.at - other.at)) {
      level = Math.max(0, level - (at - last) * limit) + units * window;
      last = at;
      if (at > since) most = Math.max(most, level);
    }
    return Math.ceil(most / window);
  }
}
