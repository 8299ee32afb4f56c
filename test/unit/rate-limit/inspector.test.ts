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
  limiter.register(limits, "GET /things");
  const fields = new Fields([]);
  for (let turn = 0; turn < 50; turn++) {
    await limiter.take(limits, { principal: alice, clientAddress: "192.0.2.1", fields });
  }
  const named = await limiter.show("user:https://login.example.com/|alice");
  const shown = await limiter.show(who(named?.[0]?.key ?? ""));
  expect(shown).toMatchObject([{ used: 50, remaining: 50, limitUnits: 100 }]);
});
