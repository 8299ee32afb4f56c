// Which limits concern a caller: made ready when the first caller of a tier comes.

import { expect, test } from "vitest";
import { ScopeSet } from "../../../src/core/scope.ts";
import { bindLimit } from "../../../src/rate-limit/bound-limit.ts";
import { LimitPlan } from "../../../src/rate-limit/plan.ts";
import type { LimitPolicy, TieredLimit } from "../../../src/rate-limit/policy.ts";
import { LimitStats } from "../../../src/rate-limit/stats.ts";

test("a table of many tiers costs a route no more than the tiers that call it", () => {
  const tiers = new Map(
    Array.from({ length: 1_000 }, (_, index) => [`t${index}`, { limit: index + 1, windowMs: 1_000 }]),
  );
  const limit: TieredLimit = {
    name: "tiered",
    subject: { by: "user" },
    cost: 1,
    onStoreFailure: "local",
    tiers: new Map([["none", undefined], ...tiers]),
  };
  let bound = 0;
  const plan = new LimitPlan([limit], {
    bind: (policy: LimitPolicy) => {
      bound++;
      return bindLimit("gw", policy, new LimitStats("", policy));
    },
    bindKeys: () => new Map(),
  });
  // One of them, so that the limit is known to the statistics before anybody calls.
  expect(bound).toBe(1);

  const caller = { method: "jwt", subject: "a", scopes: ScopeSet.EMPTY, roles: [], claims: {} } as const;
  for (let turn = 0; turn < 3; turn++) {
    expect(plan.of({ ...caller, tier: "t41" }).list.map(({ policy }) => policy.limit)).toEqual([42]);
    expect(plan.of({ ...caller, tier: "none" }).list).toEqual([]);
  }
  expect(bound).toBe(2);
  expect(plan.all).toHaveLength(1_000);
});
