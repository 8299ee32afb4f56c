// What a limiter leaves in Redis: no identity in clear, and all that one call touches in one slot of a cluster.

import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fields } from "../../src/core/fields.ts";
import type { Principal } from "../../src/core/principal.ts";
import { ScopeSet } from "../../src/core/scope.ts";
import { Limiter, type LimitInput } from "../../src/rate-limit/limiter.ts";
import type { LimitPolicy, LimitSubject } from "../../src/rate-limit/policy.ts";
import { keysOf, runScript } from "../support/limit-script.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const CANARIES = {
  subject: "canary-subject-5e0c",
  issuer: "https://canary-issuer-9b1d.example/",
  org: "canary-org-77aa",
  keyId: "canary-key-31f0",
  claim: "canary-claim-c4d2",
  field: "canary-field-08be",
  address: "203.0.113.209",
  address6: "2001:db8:ca4a:71::9",
  token: "canary-token-60aa",
} as const;

const user: Principal = {
  method: "jwt",
  subject: CANARIES.subject,
  issuer: CANARIES.issuer,
  org: CANARIES.org,
  scopes: ScopeSet.EMPTY,
  roles: [],
  claims: { plan: CANARIES.claim },
};

const SUBJECTS: readonly LimitSubject[] = [
  { by: "user" },
  { by: "key" },
  { by: "ip" },
  { by: "org" },
  { by: "route" },
  { by: "header", name: "x-tenant" },
  { by: "claim", path: ["plan"] },
];

const ALGORITHMS = ["slidingWindow", "slidingLog", "tokenBucket"] as const;

function policy(name: string, more: Partial<LimitPolicy> = {}): LimitPolicy {
  const subject = { by: "user" } as const;
  return { name, limit: 50, windowMs: 60_000, subject, cost: 1, onStoreFailure: "deny", ...more };
}

/** Slot of a key in a cluster, as the specification has it: CRC16 of the hash tag, or of the key without one. */
function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = key.indexOf("}", open + 1);
  return crc16(open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key) % 16_384;
}

function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff) >>> 0;
  }
  return crc;
}

interface Gate {
  readonly limiter: Limiter;
  /** Keys of each call so far. */
  readonly calls: (readonly string[])[];
}

function gate(prefix: string, places: boolean): Gate {
  const calls: (readonly string[])[] = [];
  const script = {
    available: true,
    run: (keys: readonly string[], args: readonly string[]) => {
      calls.push(keys);
      return runScript(redis, keys, args);
    },
    ...(places ? { slotOf } : {}),
  };
  return { limiter: new Limiter({ prefix, clock: { steadyMs: () => performance.now() }, script }), calls };
}

function input(principal: Principal | undefined, clientAddress: string): LimitInput {
  return {
    principal,
    clientAddress,
    fields: new Fields(["x-tenant", CANARIES.field, "authorization", `Bearer ${CANARIES.token}`]),
  };
}

async function contentOf(key: string): Promise<string> {
  const kind = await redis.type(key);
  const parts =
    kind === "list"
      ? await redis.lrangeBuffer(key, 0, -1)
      : kind === "hash"
        ? Object.entries(await redis.hgetallBuffer(key)).flatMap(([field, value]) => [
            Buffer.from(field),
            value,
          ])
        : [await redis.getBuffer(key)];
  return Buffer.concat(parts.map((part) => part ?? Buffer.alloc(0))).toString("latin1");
}

test("the slots of this test are those of the cluster specification", () => {
  expect(crc16("123456789")).toBe(0x31c3);
  expect(slotOf("{user1000}.following")).toBe(slotOf("{user1000}.followers"));
  expect(slotOf("foo{}{bar}")).toBe(crc16("foo{}{bar}") % 16_384);
});

describe("what lies in Redis after traffic of every kind of caller", () => {
  test("holds no name, address, key, claim, field value or token, in keys or in values", async () => {
    const { limiter } = gate("clear", false);
    const limits = ALGORITHMS.flatMap((algorithm) =>
      (["exact", "leased"] as const).flatMap((sync) =>
        SUBJECTS.map((subject) => policy(`${algorithm}-${sync}-${subject.by}`, { algorithm, sync, subject })),
      ),
    );
    const groups = (["exact", "leased"] as const).map((sync) =>
      limits.filter((limit) => limit.sync === sync),
    );
    const keyed: Principal = { ...user, method: "apiKey", keyId: CANARIES.keyId, subject: "" };
    for (let turn = 0; turn < 3; turn++) {
      await Promise.all(
        [user, keyed, undefined].flatMap((principal) =>
          [CANARIES.address, CANARIES.address6].flatMap((address) =>
            groups.map((list) => limiter.take(list, input(principal, address))),
          ),
        ),
      );
    }
    const keys = await keysOf(redis, "");
    expect(keys.length).toBeGreaterThan(60);
    expect(keys.some((key) => key.endsWith(":leases"))).toBe(true);
    const stored = (await Promise.all(keys.map(async (key) => `${key}\n${await contentOf(key)}`))).join("\n");
    for (const canary of Object.values(CANARIES)) {
      const bytes = Buffer.from(canary);
      for (const form of [
        canary,
        bytes.toString("hex"),
        bytes.toString("base64url"),
        encodeURIComponent(canary),
      ]) {
        expect(stored.includes(form), form).toBe(false);
      }
    }
    for (const key of keys) expect(await redis.pttl(key), key).toBeGreaterThan(0);
  });

  const ODD_NAMES = [
    "plain",
    "GET /items/{id}",
    "{",
    "}",
    "{}",
    "}{",
    "{{x}}",
    "a}b{c",
    "with space:and:colons",
  ];

  test("lies in one slot for one caller, whatever his limits are called, each with its leases beside it", async () => {
    const { limiter, calls } = gate("slots", true);
    const limits = ODD_NAMES.flatMap((name, index) => [
      policy(name, { windowMs: 60_000 + index, sync: "leased" }),
      policy(name, { windowMs: 70_000 + index, algorithm: "tokenBucket", sync: "leased" }),
    ]);
    for (let turn = 0; turn < 3; turn++) {
      const results = await Promise.all(
        Array.from({ length: 4 }, () => limiter.take(limits, input(user, CANARIES.address))),
      );
      expect(results.every(({ kind }) => kind === "admitted")).toBe(true);
    }
    const keys = await keysOf(redis, "slots:");
    expect(keys.length).toBeGreaterThan(limits.length);
    expect(new Set(keys.map(slotOf)).size).toBe(1);
    for (const call of calls) expect(new Set(call.map(slotOf)).size).toBe(1);
    const leases = keys.filter((key) => key.endsWith(":leases"));
    expect(leases.length).toBeGreaterThan(0);
    for (const key of leases) expect(slotOf(key.slice(0, -":leases".length))).toBe(slotOf(key));
    // Another caller lies elsewhere, and everybody on a route in a place of the route's own.
    await limiter.take(limits, input({ ...user, subject: "another" }, CANARIES.address));
    await limiter.take([policy("{", { subject: { by: "route" } })], input(user, CANARIES.address));
    await limiter.take([policy("x", { subject: { by: "route" } })], input(user, CANARIES.address));
    expect(new Set((await keysOf(redis, "slots:")).map(slotOf)).size).toBe(4);
  });

  test("is one counter for each odd name and caller, so that no name takes from another", async () => {
    const { limiter } = gate("names", true);
    const names = ODD_NAMES.filter((name) => !name.includes("{") || name.includes("id"));
    for (const name of names) {
      const limits = [policy(name, { limit: 2 })];
      const kinds = [];
      for (let turn = 0; turn < 3; turn++) {
        kinds.push((await limiter.take(limits, input(user, CANARIES.address))).kind);
      }
      expect(kinds).toEqual(["admitted", "admitted", "refused"]);
    }
    expect(await keysOf(redis, "names:")).toHaveLength(names.length);
  });
});
