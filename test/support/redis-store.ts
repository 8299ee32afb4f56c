// A store under test, closed with the test, and a script whose answers tell whether it works.

import { onTestFinished } from "vitest";
import type { GatewayEvent } from "../../src/core/events.ts";
import {
  type Recovery,
  type RedisScript,
  RedisStore,
  type RedisStoreOptions,
} from "../../src/store/redis.ts";

/** Deadline of the stores under test, unless a test says otherwise: short enough to be noticed, long enough for a busy machine. */
export const DEADLINE_MS = 100;

// Counts a key up.
const COUNT = "local n = redis.call('INCR', KEYS[1]) redis.call('PEXPIRE', KEYS[1], 60000) return {n}";

export interface StoreUnderTest {
  readonly store: RedisStore;
  readonly events: GatewayEvent[];
  readonly script: RedisScript;
  /** Recoveries so far. */
  readonly recoveries: Recovery[];
  /** The next number of a counter; undefined when there is no answer. */
  count(key?: string): Promise<number | undefined>;
}

type Options = RedisStoreOptions extends infer Each
  ? Each extends RedisStoreOptions
    ? Omit<Each, "prefix" | "timeoutMs" | "emit"> & { readonly prefix?: string; readonly timeoutMs?: number }
    : never
  : never;

/** Makes a store and opens it. */
export async function openStore(options: Options): Promise<StoreUnderTest> {
  const events: GatewayEvent[] = [];
  const emit = (event: GatewayEvent): void => void events.push(event);
  const store = new RedisStore({ prefix: "gw", timeoutMs: DEADLINE_MS, ...options, emit });
  const recoveries: Recovery[] = [];
  store.onRecover(async (recovery) => {
    recoveries.push(recovery);
  });
  onTestFinished(() => store.close());
  await store.open();
  const script = store.script(COUNT);
  const count = async (key = "gw:counter"): Promise<number | undefined> => {
    const answer = await script.run([key], []);
    return answer === undefined ? undefined : Number(answer[0]);
  };
  return { store, events, script, recoveries, count };
}
