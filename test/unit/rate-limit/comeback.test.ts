// The last moment before a store is back: what an instance admitted by itself then, the others wouldn't know of.

import { expect, test } from "vitest";
import { Fields } from "../../../src/core/fields.ts";
import { Limiter, type LimitResult, type ScriptPort } from "../../../src/rate-limit/limiter.ts";
import type { LimitPolicy } from "../../../src/rate-limit/policy.ts";

const policy: LimitPolicy = {
  name: "shared",
  limit: 10,
  windowMs: 60_000,
  subject: { by: "route" },
  cost: 1,
  onStoreFailure: "local",
};
const input = { principal: undefined, clientAddress: "192.0.2.1", fields: new Fields([]) };

/** A limiter whose store comes back, and waits for others in its last phase until `arrive` is called. */
function returning() {
  const port: ScriptPort & { available: boolean } = {
    available: false,
    run: async () => [1_000_000, 1, 7, 60_000_000, 0],
  };
  const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 1_000 }, script: port });
  const { promise, resolve: arrive } = Promise.withResolvers<void>();
  const back = limiter
    .comeBack({
      sameServer: true,
      run: port.run,
      barrier: (phase) => (phase === 2 ? promise : Promise.resolve()),
    })
    .then(() => {
      port.available = true;
    });
  const take = (): Promise<LimitResult> | LimitResult => limiter.take([policy], input);
  return { take, arrive, back };
}

test("a request waits for the others, and is decided by the store", async () => {
  const { take, arrive, back } = returning();
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = take();
  arrive();
  await back;
  expect(await waiting).toMatchObject({ kind: "admitted", tightest: { degraded: false, remaining: 3 } });
});

test("a request doesn't wait long for one that never comes", async () => {
  const { take } = returning();
  await new Promise((resolve) => setImmediate(resolve));
  const began = performance.now();
  expect(await take()).toMatchObject({ kind: "admitted", tightest: { degraded: true } });
  expect(performance.now() - began).toBeLessThan(2_000);
});
