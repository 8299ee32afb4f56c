// Limits on a real cluster: the counters of one request lie in several slots, and still all of them count it or none.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Fields } from "../../src/core/fields.ts";
import { LIMITER_SCRIPT, Limiter, type LimitResult } from "../../src/rate-limit/limiter.ts";
import type { LimitPolicy } from "../../src/rate-limit/policy.ts";
import { RedisStore } from "../../src/store/redis.ts";
import { type ClusterDeployment, eventually, startCluster } from "../support/redis-deployments.ts";

let cluster: ClusterDeployment;

beforeAll(async () => {
  cluster = await startCluster();
}, 60_000);
afterAll(() => cluster.stop());

const base: LimitPolicy = {
  name: "",
  limit: 50,
  windowMs: 60_000,
  subject: { by: "route" },
  cost: 1,
  onStoreFailure: "deny",
};

interface Instance {
  readonly store: RedisStore;
  readonly limiter: Limiter;
  take(policies: readonly LimitPolicy[], address?: string): Promise<LimitResult>;
}

async function instance(prefix: string): Promise<Instance> {
  const addresses = [...cluster.masters, cluster.replica].map(({ port }) => ({ host: "127.0.0.1", port }));
  const store = new RedisStore({ cluster: addresses, prefix, timeoutMs: 2_000, emit: () => undefined });
  onTestFinished(() => store.close());
  await store.open();
  const limiter = new Limiter({
    prefix,
    clock: { steadyMs: () => performance.now() },
    script: store.script(LIMITER_SCRIPT),
    instances: () => store.instances(),
  });
  store.onRecover(({ sameServer, script, barrier }) => {
    const { run, slotOf } = script(LIMITER_SCRIPT);
    return limiter.comeBack({ sameServer, run, barrier, ...(slotOf === undefined ? {} : { slotOf }) });
  });
  const fields = new Fields([]);
  return {
    store,
    limiter,
    take: async (policies, clientAddress = "192.0.2.1") =>
      limiter.take(policies, { principal: undefined, clientAddress, fields }),
  };
}

/** Answers of `count` requests at once, each from an address of its own, by kind. */
async function volley(
  instances: readonly Instance[],
  policies: readonly LimitPolicy[],
  count: number,
): Promise<Record<string, number>> {
  const kinds: Record<string, number> = {};
  const answers = Array.from({ length: count }, (_, index) =>
    instances[index % instances.length]!.take(policies, `10.0.${index >> 8}.${index & 255}`),
  );
  for (const { kind } of await Promise.all(answers)) kinds[kind] = (kinds[kind] ?? 0) + 1;
  return kinds;
}

/** Time enough for what was refused to be taken back. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

describe.each(["exact", "leased"] as const)("%s limits in several slots", (sync) => {
  test("Q06 never admit more than the tightest of them, and count nothing of what it refuses", async () => {
    const prefix = `slots-${sync}`;
    const instances = [await instance(prefix), await instance(prefix)];
    const everybody = { ...base, name: "everybody", sync };
    const each = { ...base, name: "each", limit: 3, subject: { by: "ip" } as const, sync };
    // 100 callers; each may, all together may not.
    const kinds = await volley(instances, [everybody, each], 100);
    expect(kinds.unavailable).toBeUndefined();
    expect(kinds.admitted).toBeLessThanOrEqual(50);
    // While refused requests are taken back, others may be refused that would have fitted.
    expect(kinds.admitted).toBeGreaterThan(20);
    await settled();
    // What was refused took nothing: the rest of the 50 is there, and each caller has all but what was admitted.
    let more = 0;
    for (let index = 0; index < 100; index++) {
      const { kind } = await instances[0]!.take([everybody], "192.0.2.200");
      if (kind === "admitted") more++;
    }
    if (sync === "exact") expect(kinds.admitted! + more).toBe(50);
    else expect(kinds.admitted! + more).toBeLessThanOrEqual(50);
    let left = 0;
    for (let caller = 0; caller < 100; caller++) {
      for (let turn = 0; turn < 3; turn++) {
        const { kind } = await instances[0]!.take([each], `10.0.0.${caller}`);
        if (kind === "admitted") left++;
      }
    }
    if (sync === "exact") expect(left).toBe(300 - kinds.admitted!);
    else expect(left).toBeLessThanOrEqual(300 - kinds.admitted!);
  });
});

test("Q13 the counters of a master that failed over count on, as far as any instance saw them", async () => {
  const instances = [await instance("failover"), await instance("failover")];
  // So many that some lie with the master that is lost.
  const limits = Array.from({ length: 12 }, (_, index) => [{ ...base, name: `long ${index}`, limit: 40 }]);
  for (const policies of limits) expect(await volley(instances, policies, 25)).toEqual({ admitted: 25 });
  const [lost] = cluster.masters;
  await lost.stop();
  await eventually(() => instances.every(({ store }) => !store.reachable), 5_000);
  expect((await instances[0]!.take(limits[0]!)).kind).toBe("unavailable");
  await eventually(() => instances.every(({ store }) => store.reachable), 15_000);
  for (const policies of limits) {
    expect(await volley(instances, policies, 60)).toEqual({ admitted: 15, refused: 45 });
  }
});
