// A Redis Cluster: scripts run where their keys live, redirects are followed, and the loss of a master is the store's loss.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { slotOf } from "../../src/store/key-slot.ts";
import { redisCommand } from "../support/redis.ts";
import {
  type ClusterDeployment,
  documentedRights,
  eventually,
  startCluster,
} from "../support/redis-deployments.ts";
import { openStore } from "../support/redis-store.ts";

const RECOVERY_MS = 2_000;
const FAILOVER_MS = 15_000;
// In slots of the first, second and third master.
const [FIRST, SECOND, THIRD] = ["gw:{b}", "gw:{c}", "gw:{a}"] as const;

describe("with a cluster", () => {
  let cluster: ClusterDeployment;

  beforeAll(async () => {
    cluster = await startCluster();
  });

  afterAll(async () => {
    await cluster.stop();
  });

  const options = (first = 0) => ({
    cluster: [...cluster.servers.slice(first), ...cluster.servers.slice(0, first)]
      .slice(0, 2)
      .map(({ port }) => ({ host: "127.0.0.1", port })),
  });
  const keys = (node: { readonly port: number }) => redisCommand(node, "KEYS gw:{?}*");

  test("the slot of a key is what the server says", async () => {
    const [node] = cluster.masters;
    for (const key of ["gw:x", "gw:{user1}:x", "{}a", "a{}b", "{{x}}", "a{b", "ü{é}", FIRST, SECOND, THIRD]) {
      expect(await redisCommand(node, `CLUSTER KEYSLOT ${JSON.stringify(key)}`)).toBe(`:${slotOf(key)}\r\n`);
    }
  });

  test("scripts run on the master of their key, found through any node, a replica too", async () => {
    for (const first of [0, 3]) {
      const { store, count, script, events } = await openStore({ ...options(first), prefix: `gw${first}` });
      expect(store.reachable).toBe(true);
      expect(script.slotOf?.("123456789")).toBe(0x31c3 % 16384);
      for (const key of [FIRST, SECOND, THIRD]) expect(await count(`${key}:${first}`)).toBe(1);
      expect(events).toEqual([]);
    }
    for (const [index, key] of [FIRST, SECOND, THIRD].entries()) {
      const node = cluster.masters[index];
      expect(node && (await keys(node))).toContain(key);
    }
  });

  test("instances are counted, and sign off, although the keys are spread", async () => {
    const one = await openStore({ ...options(), prefix: "pair" });
    const other = await openStore({ ...options(), prefix: "pair" });
    await one.store.open();
    expect(one.store.instances()).toBe(2);
    await other.store.close();
    await one.store.open();
    expect(one.store.instances()).toBe(1);
  });

  test("a user with the rights that the documents tell is enough", async () => {
    for (const node of cluster.servers)
      await redisCommand(node, `ACL SETUSER gateway on >pw ${documentedRights()} +cluster|slots`);
    const { count, events } = await openStore({ ...options(), username: "gateway", password: "pw" });
    for (const key of [FIRST, SECOND, THIRD]) expect(await count(`${key}:user`)).toBe(1);
    expect(events).toEqual([]);
  });

  test("keys of several slots are the caller's mistake, and no loss", async () => {
    const { store, script, events } = await openStore(options());
    expect(await script.run([FIRST, SECOND], [])).toBeUndefined();
    expect(store.reachable).toBe(true);
    expect([...store.failures]).toEqual([["crossslot", 1]]);
    expect(events).toEqual([]);
  });

  test("Q13 a slot that moves (ASK, then MOVED) is followed call by call", async () => {
    const { count, events } = await openStore(options());
    const [from, , to] = cluster.masters;
    const key = `${FIRST}:moving`;
    const slot = slotOf(key);
    expect(await count(key)).toBe(1);
    const [source, target] = [await cluster.idOf(from), await cluster.idOf(to)];
    await redisCommand(to, `CLUSTER SETSLOT ${slot} IMPORTING ${source}`);
    await redisCommand(from, `CLUSTER SETSLOT ${slot} MIGRATING ${target}`);
    onTestFinished(async () => {
      for (const node of cluster.masters) await redisCommand(node, `CLUSTER SETSLOT ${slot} NODE ${target}`);
    });
    // Not there yet, so the new master is asked; the others of the slot are still at the old one.
    expect(await count(`${key}:new`)).toBe(1);
    expect(await count(`${key}:new`)).toBe(2);
    expect(await count(key)).toBe(2);
    for (const name of [key, `${FIRST}:0`, `${FIRST}:3`])
      await redisCommand(from, `MIGRATE 127.0.0.1 ${to.port} ${name} 0 1000`);
    for (const node of [to, from, cluster.masters[1]])
      await redisCommand(node, `CLUSTER SETSLOT ${slot} NODE ${target}`);
    expect(await count(key)).toBe(3);
    expect(await redisCommand(to, `GET ${key}`)).toBe("$1\r\n3\r\n");
    expect(events).toEqual([]);
  });

  test("Q13 a slot that nobody has (CLUSTERDOWN) is a loss until somebody has it", async () => {
    // A cluster that serves its other slots on must not be found well either.
    const coverage = async (required: "yes" | "no"): Promise<void> => {
      for (const one of cluster.servers)
        await redisCommand(one, `CONFIG SET cluster-require-full-coverage ${required}`);
    };
    await coverage("no");
    const { store, count, events } = await openStore(options());
    const [, node] = cluster.masters;
    const slot = slotOf(SECOND);
    onTestFinished(async () => {
      await redisCommand(node, `CLUSTER ADDSLOTS ${slot}`);
      await coverage("yes");
    });
    await redisCommand(node, `CLUSTER DELSLOTS ${slot}`);
    await eventually(async () => (await count(SECOND)) === undefined);
    expect(store.reachable).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(store.reachable).toBe(false);
    expect(store.lastLoss).toBe("clusterdown");
    await redisCommand(node, `CLUSTER ADDSLOTS ${slot}`);
    await eventually(() => store.reachable, FAILOVER_MS);
    expect(await count(SECOND)).toBeGreaterThan(0);
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable", "store_recovered"]);
  });

  test("Q10 one frozen master is a loss for all keys, and none of them flaps", async () => {
    const { store, count, events, recoveries } = await openStore(options());
    const [, , frozen] = cluster.masters;
    frozen.pause();
    await eventually(async () => (await count(THIRD)) === undefined, RECOVERY_MS);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await count(FIRST)).toBeUndefined();
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable"]);
    frozen.resume();
    await eventually(() => store.reachable, FAILOVER_MS);
    for (const key of [FIRST, SECOND, THIRD]) expect(await count(key)).toBeGreaterThan(0);
    // With several servers it can't be known.
    expect(recoveries.every(({ sameServer }) => !sameServer)).toBe(true);
  });

  test("Q13 a killed master is replaced by its replica, without a restart", async () => {
    const { store, count, events } = await openStore(options());
    const [killed] = cluster.masters;
    await killed.stop();
    await eventually(() => !store.reachable, RECOVERY_MS);
    const promoted = async (): Promise<boolean> =>
      (await redisCommand(cluster.masters[1], "CLUSTER INFO")).includes("cluster_state:ok") &&
      (await redisCommand(cluster.replica, "ROLE")).includes("master");
    await eventually(promoted, FAILOVER_MS);
    await eventually(() => store.reachable, RECOVERY_MS);
    for (const key of [FIRST, SECOND, THIRD]) expect(await count(`${key}:after`)).toBe(1);
    expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable", "store_recovered"]);
  });
});
