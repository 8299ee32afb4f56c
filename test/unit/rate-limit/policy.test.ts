import { describe, expect, test } from "vitest";
import { Fields } from "../../../src/core/fields.ts";
import { Limiter } from "../../../src/rate-limit/limiter.ts";
import { type FileLimit, type LimitPolicy, refusalLimits } from "../../../src/rate-limit/policy.ts";

const perAddress: LimitPolicy = {
  name: "address",
  limit: 2,
  windowMs: 60_000,
  subject: { by: "ip" },
  cost: 1,
  onStoreFailure: "local",
};
const { limit: _limit, windowMs: _windowMs, ...traits } = perAddress;
const closed: FileLimit = {
  ...traits,
  name: "tiers",
  tiers: new Map([
    ["guest", { limit: 0, windowMs: 86_400_000 }],
    ["user", { limit: 100, windowMs: 3_600_000 }],
  ]),
};

async function refused(limits: readonly FileLimit[], count: number): Promise<string[]> {
  const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 1_000 } });
  const charged = refusalLimits(limits);
  const kinds: string[] = [];
  for (let turn = 0; turn < count; turn++) {
    const input = { principal: undefined, clientAddress: "192.0.2.1", fields: new Fields([]) };
    kinds.push((await limiter.take(charged, input)).kind);
  }
  return kinds;
}

describe("who is refused for his credentials", () => {
  test("is not told to wait by a tier that admits nothing: waiting would never help", async () => {
    expect(await refused([closed], 3)).toEqual(["admitted", "admitted", "admitted"]);
  });

  test("is charged on the other limits of his address, whatever his tier admits", async () => {
    expect(await refused([closed, perAddress], 3)).toEqual(["admitted", "admitted", "refused"]);
  });
});
