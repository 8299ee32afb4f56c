// A master that Sentinels name: found, lost, and found again after a failover, without a restart.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisCommand } from "../support/redis.ts";
import { eventually, type SentinelDeployment, startSentinels } from "../support/redis-deployments.ts";
import { DEADLINE_MS, openStore } from "../support/redis-store.ts";

// Sentinels need about a second to agree; what comes after is the store's.
const AFTER_PROMOTION_MS = 5_000;

function at({ port }: { readonly port: number }): { host: string; port: number } {
  return { host: "127.0.0.1", port };
}

describe("with Sentinels", () => {
  let deployment: SentinelDeployment;

  beforeAll(async () => {
    deployment = await startSentinels();
  });

  afterAll(async () => {
    await deployment.stop();
  });

  const options = () => ({ sentinels: deployment.sentinels.map(at), name: deployment.name });

  test("scripts run on the master", async () => {
    const { store, count, events } = await openStore(options());
    expect(store.reachable).toBe(true);
    expect(await count("gw:a")).toBe(1);
    expect(await redisCommand(await deployment.master(), "GET gw:a")).toBe("$1\r\n1\r\n");
    expect(events).toEqual([]);
  });

  test("a Sentinel that is gone or silent costs nothing but time", async () => {
    const [gone, silent] = deployment.sentinels;
    await gone?.stop();
    silent?.pause();
    const { store, count } = await openStore(options());
    await eventually(() => store.reachable, AFTER_PROMOTION_MS);
    expect(await count("gw:b")).toBe(1);
    silent?.resume();
    await gone?.restart();
  });

  test("a master that nobody knows is a loss with its reason, and no crash", async () => {
    const { store, events, count } = await openStore({ ...options(), name: "other" });
    expect(store.reachable).toBe(false);
    expect(await count()).toBeUndefined();
    expect(events).toEqual([{ kind: "store_unreachable", store: "redis", reason: "no_such_master" }]);
  });

  test("Q13 a master that loses its office is left for the promoted one, although it still takes writes", async () => {
    const { store, count, recoveries } = await openStore(options());
    const before = await deployment.master();
    expect(await count("gw:c")).toBe(1);
    await eventually(async () => {
      const answer = await redisCommand(await sentinelUp(deployment), `SENTINEL failover ${deployment.name}`);
      return answer.startsWith("+OK");
    });
    await eventually(async () => (await deployment.master()).port !== before.port);
    // The old one goes on taking writes for a while, until the Sentinels demote it.
    await eventually(() => recoveries.length > 0, AFTER_PROMOTION_MS);
    await eventually(() => store.reachable, AFTER_PROMOTION_MS);
    expect(await count("gw:new")).toBe(1);
    expect(await redisCommand(await deployment.master(), "GET gw:new")).toBe("$1\r\n1\r\n");
    expect(recoveries.at(-1)?.sameServer).toBe(false);
  });

  test("Q09 a killed master is replaced: decisions come back within seconds of the promotion", async () => {
    const { store, count, events, recoveries } = await openStore(options());
    const before = await deployment.master();
    await eventually(async () => (await redisCommand(before, "INFO replication")).includes("state=online"));
    expect(await count("gw:d")).toBe(1);
    await before.stop();
    await eventually(() => !store.reachable, 1_000);
    const promoted = await eventually(async () => (await deployment.master()).port !== before.port);
    await eventually(() => store.reachable, AFTER_PROMOTION_MS);
    expect(await count("gw:d")).toBeGreaterThan(0);
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable", "store_recovered"]);
    expect(recoveries.map(({ sameServer }) => sameServer)).toEqual([false]);
    expect(recoveries[0]?.lostForMs).toBeGreaterThan(promoted / 2);
    await before.restart();
  });

  test("Q10 a frozen master is replaced, and no call waits past its deadline meanwhile", async () => {
    await eventually(async () =>
      (await redisCommand(await deployment.master(), "INFO replication")).includes("state=online"),
    );
    const { store, count } = await openStore(options());
    const before = await deployment.master();
    expect(await count("gw:e")).toBe(1);
    before.pause();
    const start = performance.now();
    expect(await count("gw:e")).toBeUndefined();
    // Generous, since the machine may be busy; without a deadline it were a second at least.
    expect(performance.now() - start).toBeLessThan(DEADLINE_MS * 5);
    await eventually(async () => (await deployment.master()).port !== before.port);
    await eventually(() => store.reachable, AFTER_PROMOTION_MS);
    expect(await count("gw:e")).toBeGreaterThan(0);
    before.resume();
  });
});

async function sentinelUp({ sentinels }: SentinelDeployment): Promise<{ readonly port: number }> {
  for (const one of sentinels) {
    if ((await redisCommand(one, "PING").catch(() => "")).startsWith("+PONG")) return one;
  }
  throw new Error("no Sentinel answers");
}
