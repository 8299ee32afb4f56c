// Looking without taking: what a peek says is what the next request is told, and the peek changes nothing.

import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, describe, expect, inject, test } from "vitest";
import { Fields } from "../../../src/core/fields.ts";
import type { Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";
import {
  LIMITER_SCRIPT,
  Limiter,
  type LimitInput,
  type ScriptPort,
} from "../../../src/rate-limit/limiter.ts";
import {
  type KeyedLimits,
  type LimitPolicy,
  type RouteLimit,
  refusalLimits,
  type TieredLimit,
} from "../../../src/rate-limit/policy.ts";

const redis = new Redis(inject("redisUrl"), { lazyConnect: true });
let fresh = 0;

afterAll(async () => {
  const keys = await redis.keys(`peek-${process.pid}-*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

const traits = { subject: { by: "user" }, onStoreFailure: "local" } as const;

function limit(name: string, over: Partial<LimitPolicy> = {}): LimitPolicy {
  return { ...traits, name, limit: 4, windowMs: 60_000, cost: 1, ...over };
}

const tiered: TieredLimit = {
  ...traits,
  name: "tiers",
  cost: 1,
  tiers: new Map([
    ["guest", { limit: 2, windowMs: 60_000 }],
    ["user", { limit: 5, windowMs: 60_000 }],
    ["free", undefined],
  ]),
};
const ofKeys: KeyedLimits = {
  byKey: new Map([["k1", [limit("of k1", { limit: 3, subject: { by: "key" } })]]]),
};

const KINDS: readonly (readonly RouteLimit[])[] = [
  [limit("one")],
  [limit("two a"), limit("two b", { limit: 2, subject: { by: "ip" } })],
  [limit("log", { algorithm: "slidingLog", cost: 2 })],
  [limit("bucket", { algorithm: "tokenBucket", burst: 3 }), limit("beside", { limit: 6 })],
  [limit("watched", { observe: true, limit: 2 }), limit("kept", { limit: 3 })],
  [limit("free of charge", { cost: 0 })],
  [limit("too dear", { limit: 2, cost: 2 }), limit("nothing", { limit: 0 })],
  [tiered, ofKeys],
  refusalLimits([limit("refused"), tiered]),
  refusalLimits([limit("by address", { subject: { by: "ip" }, limit: 2 })]),
];

function principal(name: string): Principal {
  const tier = name === "free" ? { tier: "free" } : {};
  const keyId = name === "k1" ? { keyId: "k1" } : {};
  return {
    method: "apiKey",
    subject: name,
    scopes: ScopeSet.EMPTY,
    roles: [],
    claims: {},
    ...tier,
    ...keyId,
  };
}

const CALLERS = ["a", "k1", "free"].map(principal);

const calls = fc.array(
  fc.record({
    kind: fc.nat(KINDS.length - 1),
    caller: fc.constantFrom(undefined, ...CALLERS),
    address: fc.constantFrom("192.0.2.1", "192.0.2.2"),
    later: fc.constantFrom(0, 1, 20_000, 70_000),
  }),
  { minLength: 1, maxLength: 25 },
);

type Calls = readonly {
  readonly kind: number;
  readonly caller: Principal | undefined;
  readonly address: string;
  readonly later: number;
}[];

/** Peeks twice before every request: all three say the same. */
async function agrees(limiter: Limiter, list: Calls, move: (ms: number) => void): Promise<void> {
  for (const { kind, caller, address, later } of list) {
    move(later);
    const limits = KINDS[kind] ?? [];
    const input: LimitInput = { principal: caller, clientAddress: address, fields: new Fields([]) };
    const [first, second] = [await limiter.peek(limits, input), await limiter.peek(limits, input)];
    const taken = await limiter.take(limits, input);
    expect(second.result).toEqual(first.result);
    expect(first.result).toEqual(taken);
    const states = [...limiter.stats()].map(({ admitted, refused }) => admitted + refused);
    expect(states.every((count) => count <= list.length)).toBe(true);
  }
}

class Time {
  now = 1_000;
  readonly clock = { steadyMs: (): number => this.now };
}

describe("a peek", () => {
  test("says what the next request is told, on this process's own counters", async () => {
    const property = fc.asyncProperty(calls, async (list) => {
      const time = new Time();
      const limiter = new Limiter({ prefix: "p", clock: time.clock });
      await agrees(limiter, list, (ms) => {
        time.now += ms;
      });
    });
    await fc.assert(property, { numRuns: 150 });
  });

  test("says what the next request is told, on shared counters", async () => {
    const property = fc.asyncProperty(calls, async (list) => {
      const limiter = sharedLimiter();
      await agrees(limiter, list, () => undefined);
      await limiter.close();
    });
    await fc.assert(property, { numRuns: 40 });
  });

  test.each([
    "local",
    "deny",
    "allow",
  ] as const)("says what `%s` answers while the store is away", async (choice) => {
    const limiter = sharedLimiter({ available: false, run: async () => undefined });
    const limits = [limit("away", { onStoreFailure: choice, limit: 2 })];
    for (let turn = 0; turn < 4; turn++) {
      const peek = await limiter.peek(limits, input());
      expect(await limiter.peek(limits, input())).toEqual(peek);
      expect(peek.result).toEqual(await limiter.take(limits, input()));
      expect(peek.limits[0]?.source).toBe("standIn");
    }
  });

  test("sees a lease without spending from it", async () => {
    const limiter = sharedLimiter();
    const limits = [limit("leased", { sync: "leased", limit: 1_000 })];
    for (let turn = 0; turn < 20; turn++) await limiter.take(limits, input());
    const peek = await limiter.peek(limits, input());
    expect((await limiter.peek(limits, input())).result).toEqual(peek.result);
    expect(peek.limits[0]?.source).toBe("lease");
    expect(await limiter.take(limits, input())).toEqual(peek.result);
    await limiter.close();
  });

  test("tells of every limit its key, its use before and what is left after", async () => {
    const limiter = new Limiter({ prefix: "p", clock: new Time().clock });
    const limits = [limit("kept"), limit("watched", { observe: true, limit: 1 })];
    await limiter.take(limits, input());
    const { limits: seen, result } = await limiter.peek(limits, input());
    expect(result).toMatchObject({ kind: "admitted", observed: ["watched"] });
    expect(seen).toMatchObject([
      {
        policy: { name: "kept" },
        cap: 4,
        enforced: true,
        source: "memory",
        state: { used: 1, room: true, remaining: 2 },
      },
      {
        policy: { name: "watched" },
        cap: 1,
        enforced: false,
        state: { used: 1, room: false, remaining: 0, retryAfterSeconds: 60 },
      },
    ]);
    expect(seen[0]?.key).toMatch(/^p:kept:60000:\{user:[\w-]{22}\}$/);
  });
});

function input(): LimitInput {
  return { principal: CALLERS[0], clientAddress: "192.0.2.1", fields: new Fields([]) };
}

function sharedLimiter(port?: ScriptPort): Limiter {
  const script: ScriptPort = port ?? {
    available: true,
    run: async (keys, args) => (await redis.eval(LIMITER_SCRIPT, keys.length, ...keys, ...args)) as unknown[],
  };
  return new Limiter({
    prefix: `peek-${process.pid}-${fresh++}`,
    clock: { steadyMs: () => performance.now() },
    script,
  });
}
