// Looking counters up: what is there, under the right numbers, and not in the way of the requests that are counted.

import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Fields } from "../../../src/core/fields.ts";
import type { Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";
import { Limiter } from "../../../src/rate-limit/limiter.ts";
import type { FileLimit } from "../../../src/rate-limit/policy.ts";

const alice: Principal = {
  method: "jwt",
  subject: "alice",
  issuer: "https://login.example.com/",
  scopes: ScopeSet.EMPTY,
  roles: [],
  claims: {},
  tier: "admin",
};

test.each([
  ["the name of the caller", (_key: string) => "user:https://login.example.com/|alice"],
  ["the key of the counter", (key: string) => key],
])("what a caller used is shown by %s as it is, whatever narrower tiers there are", async (_what, who) => {
  const rate = (limit: number) => ({ limit, windowMs: 60_000 });
  const tiers = [
    ["guest", rate(10)],
    ["admin", rate(100)],
    ["user", rate(20)],
  ] as const;
  const limit: FileLimit = {
    name: "tiers",
    subject: { by: "user" },
    cost: 1,
    onStoreFailure: "local",
    tiers: new Map(tiers),
  };
  const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 1_000 } });
  const limits = [limit];
  limiter.adopt([{ name: "GET /things", limits, refusalLimits: [] }], []);
  const fields = new Fields([]);
  for (let turn = 0; turn < 50; turn++) {
    await limiter.take(limits, { principal: alice, clientAddress: "192.0.2.1", fields });
  }
  const named = await limiter.show("user:https://login.example.com/|alice");
  const shown = await limiter.show(who(named?.[0]?.key ?? ""));
  expect(shown).toMatchObject([{ used: 50, remaining: 50, limitUnits: 100 }]);
});

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
  const routes = Array.from({ length: 1_000 }, (_, index) => ({
    name: `route-${index}`,
    limits: [{ ...limit, name: `route-${index}` }],
    refusalLimits: [],
  }));
  limiter.adopt(routes, []);

  const shown = await limiter.show("ip:192.0.2.1");
  expect(shown).toHaveLength(1_000);
  expect(shown?.[999]).toMatchObject({ limit: "route-999", used: 2, remaining: 8 });
  expect([calls, most]).toEqual([10, 1]);
});
