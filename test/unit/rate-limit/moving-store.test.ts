// A store that is left although it still answers: others may go on taking there what this instance would share.

import { expect, test } from "vitest";
import { bindLimit } from "../../../src/rate-limit/bound-limit.ts";
import { KnownCounters } from "../../../src/rate-limit/known-counters.ts";
import type { LimitPolicy } from "../../../src/rate-limit/policy.ts";
import { LimitStats } from "../../../src/rate-limit/stats.ts";

const policy: LimitPolicy = {
  name: "shared",
  limit: 100,
  windowMs: 60_000,
  subject: { by: "route" },
  cost: 1,
  onStoreFailure: "local",
};
const limit = bindLimit("gw", policy, new LimitStats("", policy));
const SECOND = 1_000_000;

/** Whether a caller, of whose limit 10 of 100 were used by the last answer, passes so long after the loss. */
function passes(afterMicros: number, instances: number, moving: boolean): string {
  const known = new KnownCounters(undefined);
  known.get(limit, "gw:shared:60000:{route}", SECOND).saw(10, SECOND);
  return known.standIn([limit], ["gw:shared:60000:{route}"], SECOND + afterMicros, SECOND, instances, moving)
    .kind;
}

test("nothing is had of what others may still take, until all have heard of the move", () => {
  expect(passes(0, 4, true)).toBe("refused");
  expect(passes(SECOND - 1, 4, true)).toBe("refused");
  expect(passes(SECOND, 4, true)).toBe("admitted");
});

test("one that is lost to all, or has no other instances, leaves the share as it is", () => {
  expect(passes(0, 4, false)).toBe("admitted");
  expect(passes(0, 1, true)).toBe("admitted");
});
