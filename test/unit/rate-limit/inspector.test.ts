// Looking counters up must not get in the way of the requests that are counted.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Limiter } from "../../../src/rate-limit/limiter.ts";

test("a caller with very many limits is looked up call by call, so that the store has time for requests", async () => {
  let underway = 0;
  let most = 0;
  let calls = 0;
  const script = {
    available: true,
    run: async (keys: readonly string[]): Promise<readonly unknown[]> => {
      calls++;
      most = Math.max(most, ++underway);
      await sleep(1);
      underway--;
      // Per question: admitted, then used, reset and retry of its one limit.
      return [0, ...keys.flatMap(() => [1, 2, 1_000_000, 0])];
    },
  };
  const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 }, script });
  const limit = {
    limit: 10,
    windowMs: 60_000,
    subject: { by: "ip" },
    cost: 1,
    onStoreFailure: "local",
  } as const;
  for (let index = 0; index < 1_000; index++)
    limiter.register([{ ...limit, name: `route-${index}` }], `route-${index}`);

  const shown = await limiter.show("ip:192.0.2.1");
  expect(shown).toHaveLength(1_000);
  expect(shown?.[999]).toMatchObject({ limit: "route-999", used: 2, remaining: 8 });
  expect([calls, most]).toEqual([10, 1]);
});
