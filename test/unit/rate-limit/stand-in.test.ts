// What the limiter knows of shared counters, and does without them, on answers that a test makes up.

import { describe, expect, test } from "vitest";
import { Fields } from "../../../src/core/fields.ts";
import { Limiter, type LimitResult } from "../../../src/rate-limit/limiter.ts";
import type { LimitAlgorithm, LimitPolicy, StoreFailurePolicy } from "../../../src/rate-limit/policy.ts";

const base: LimitPolicy = {
  name: "exports",
  limit: 100,
  windowMs: 60_000,
  subject: { by: "route" },
  cost: 1,
  onStoreFailure: "local",
};

/** A store with one counter that never forgets, and nothing else of the script than what these tests ask of it. */
function setup(instances = 1) {
  const store = { available: true, used: 0, asked: [] as (readonly string[])[] };
  const clock = { now: 1_000 };
  const run = async (_keys: readonly string[], args: readonly string[]): Promise<number[] | undefined> => {
    if (!store.available) return undefined;
    store.asked.push(args);
    const answer = [0];
    for (let at = 0; at < args.length; at += 6) {
      const mode = Math.floor(Number(args[at]) / 100);
      const cap = Number(args[at + 2]);
      const cost = Number(args[at + 5]);
      const fits = mode === 1 || store.used + cost <= cap;
      if (fits) store.used += cost;
      answer.push(fits ? 1 : 0, store.used, 60_000_000, fits ? 0 : 60_000_000);
    }
    return answer;
  };
  const script = {
    get available() {
      return store.available;
    },
    run,
  };
  const limiter = new Limiter({
    prefix: "gw",
    clock: { steadyMs: () => clock.now },
    script,
    instances: () => instances,
  });
  const fields = new Fields([]);
  const take = async (policies: readonly LimitPolicy[]): Promise<LimitResult> =>
    limiter.take(policies, { principal: undefined, clientAddress: "192.0.2.1", fields });
  /** How many of `count` requests pass. */
  const passes = async (policies: readonly LimitPolicy[], count: number): Promise<number> => {
    let admitted = 0;
    for (let turn = 0; turn < count; turn++) if ((await take(policies)).kind === "admitted") admitted++;
    return admitted;
  };
  const flap = async (): Promise<void> => {
    await limiter.comeBack({
      sameServer: true,
      run: async (keys, args) => {
        store.available = true;
        const reply = await run(keys, args);
        store.available = false;
        return reply;
      },
      barrier: async () => undefined,
    });
  };
  return { store, clock, take, passes, flap };
}

describe("a limit of nothing, while the store is away", () => {
  const kinds = (["slidingWindow", "slidingLog", "tokenBucket"] as const).flatMap((algorithm) =>
    (["local", "allow"] as const).map((mode): [LimitAlgorithm, StoreFailurePolicy] => [algorithm, mode]),
  );
  test.each(kinds)("by %s admits nothing in mode %s", async (algorithm, onStoreFailure) => {
    const { store, passes, take } = setup(3);
    store.available = false;
    const policies = [{ ...base, limit: 0, algorithm, onStoreFailure }];
    expect(await passes(policies, 3)).toBe(0);
    expect(await take(policies)).toMatchObject({ kind: "refused", tightest: { retryAfterSeconds: 60 } });
  });
});

test("a tier of nothing has no burst either", async () => {
  const nothing: LimitPolicy = { ...base, limit: 0, algorithm: "tokenBucket", burst: 20 };
  const { store, passes } = setup();
  expect(await passes([nothing], 3)).toBe(0);
  store.available = false;
  expect(await passes([nothing], 3)).toBe(0);
});

describe("after a loss", () => {
  test("what the upstream told of the cost counts on", async () => {
    const { store, take, passes } = setup();
    const policies = [{ ...base, costFrom: "x-cost" }];
    const result = await take(policies);
    if (result.kind === "unavailable") throw new Error("the store is there");
    for (const later of result.later ?? []) later.charge(90);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(store.used).toBe(90);
    store.available = false;
    expect(await passes(policies, 100)).toBe(10);
  });

  test.each([
    ["slidingWindow", 60],
    ["tokenBucket", 246],
  ] as const)("by %s what the upstream tells of a cost is taken from the share, too", async (algorithm, closed) => {
    const { store, clock, take, passes } = setup(10);
    store.available = false;
    const policies = [{ ...base, algorithm, costFrom: "x-cost" }];
    const result = await take(policies);
    if (result.kind === "unavailable") throw new Error("the limit is counted here");
    for (const later of result.later ?? []) later.charge(50);
    // It is 50 of the 10 units that are had in a minute; a bucket has room again when what it holds has drained below its burst.
    clock.now += (closed - 1) * 1_000;
    expect(await passes(policies, 10)).toBe(0);
    clock.now += 1_000;
    expect(await passes(policies, 10)).toBeGreaterThan(0);
  });

  test("what was told at the comeback counts in the next loss, though nobody has asked since", async () => {
    const { store, passes, flap } = setup(2);
    store.used = 39;
    expect(await passes([base], 1)).toBe(1);
    store.available = false;
    // A half of what is left, and of the quarter that others may have admitted since.
    expect(await passes([base], 100)).toBe(17);
    await flap();
    expect(store.used).toBe(57);
    expect(await passes([base], 100)).toBe(Math.floor((100 - 57 - 25) / 2));
  });

  test("what was admitted for one tier leaves no more for a narrower one", async () => {
    const { store, passes } = setup(2);
    const wide = { ...base, limit: 10_000 };
    const narrow = { ...base, limit: 10 };
    store.used = 9;
    expect(await passes([wide], 1)).toBe(1);
    store.available = false;
    expect(await passes([narrow], 10)).toBe(0);
  });

  test("what was admitted for a wider tier is told as a whole", async () => {
    const { store, passes, flap } = setup();
    expect(await passes([{ ...base, limit: 10 }], 1)).toBe(1);
    store.available = false;
    expect(await passes([{ ...base, limit: 10_000 }], 50)).toBe(50);
    await flap();
    expect(store.used).toBe(51);
  });
});

test("a comeback tells many places at a time, and no more at a time than one call may hold", async () => {
  const answers = (args: readonly string[], length: number): number[] => [
    0,
    ...Array.from({ length: args.length / length }, () => [1, 1, 60_000_000, 0]).flat(),
  ];
  const script = { available: true, run: async (_: unknown, args: readonly string[]) => answers(args, 6) };
  const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 1_000 }, script });
  const policies = [{ ...base, subject: { by: "ip" } as const }];
  const fields = new Fields([]);
  for (let turn = 0; turn < 1_000; turn++) {
    await limiter.take(policies, {
      principal: undefined,
      clientAddress: `192.0.${turn >> 8}.${turn & 255}`,
      fields,
    });
  }
  const running = { now: 0, most: 0, calls: 0, rounds: 0 };
  const places: string[] = [];
  await limiter.comeBack({
    sameServer: false,
    // Every key lies in a place of its own.
    slotOf: (key) => places.push(key),
    run: async (keys, args) => {
      running.calls++;
      if (running.now === 0) running.rounds++;
      running.now += keys.length;
      running.most = Math.max(running.most, running.now);
      await new Promise((resolve) => setImmediate(resolve));
      running.now -= keys.length;
      return answers(args, 8);
    },
    barrier: async () => undefined,
  });
  expect(running.calls).toBe(1_000);
  expect(running.most).toBeLessThanOrEqual(100);
  expect(running.rounds).toBeLessThanOrEqual(256);
});
