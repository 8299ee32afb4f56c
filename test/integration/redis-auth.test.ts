// How the gateway enters Redis: users, passwords, password files that change, databases. No password is ever told.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { redisCommand, startRedis, type TestRedis } from "../support/redis.ts";
import { documentedRights, eventually } from "../support/redis-deployments.ts";
import { openStore, type StoreUnderTest } from "../support/redis-store.ts";

const RECOVERY_MS = 2_000;
const RIGHTS = documentedRights();

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gatewarden-auth-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function server(): Promise<TestRedis> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  return redis;
}

function fileWith(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** What could end up in a log. */
function told({ store, events }: StoreUnderTest): string {
  return JSON.stringify([events, store.lastLoss, [...store.failures], String(store)]);
}

describe("a user of the access control list", () => {
  test("needs no more rights than the documents say, and INFO only to recognise the server", async () => {
    const redis = await server();
    await redisCommand(redis, `ACL SETUSER gateway on >canary-1 ${RIGHTS}`);
    const one = await openStore({ url: redis.url, username: "gateway", password: "canary-1" });
    expect(await one.count("gw:x")).toBe(1);
    redis.pause();
    await eventually(async () => (await one.count("gw:x")) === undefined);
    redis.resume();
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(one.recoveries.map(({ sameServer }) => sameServer)).toEqual([false]);
    // The keys of others are closed to it.
    expect(await one.count("other:x")).toBeUndefined();
    expect([...one.store.failures.keys()]).toContain("noperm");
    expect(told(one)).not.toContain("canary");
  });

  test("may stand in the URL, with percent-encoding", async () => {
    const redis = await server();
    await redisCommand(redis, `ACL SETUSER gate@way on >c@n:a/r%y ~gw:* ${RIGHTS}`);
    const url = redis.url.replace("//", "//gate%40way:c%40n%3Aa%2Fr%25y@");
    expect(await (await openStore({ url })).count()).toBe(1);
    // A user in the URL, its password in a file.
    const passwordFile = fileWith("in-url", "c@n:a/r%y\n");
    const mixed = await openStore({ url: redis.url.replace("//", "//gate%40way@"), passwordFile });
    expect(await mixed.count()).toBe(2);
  });

  test("without rights is a loss with its reason", async () => {
    const redis = await server();
    await redisCommand(redis, "ACL SETUSER gateway on >canary-1 ~gw:* -@all");
    const one = await openStore({ url: redis.url, username: "gateway", password: "canary-1" });
    expect(one.events).toEqual([{ kind: "store_unreachable", store: "redis", reason: "noperm" }]);
    await redisCommand(redis, `ACL SETUSER gateway ${RIGHTS}`);
    await eventually(() => one.store.reachable, RECOVERY_MS);
  });
});

describe("a password file", () => {
  test("is read again for every connection: file first, then the server, without a loss in between", async () => {
    const redis = await server();
    await redisCommand(redis, `ACL SETUSER gateway on >canary-old ${RIGHTS}`);
    const passwordFile = fileWith("rotated", "canary-old\n");
    const one = await openStore({ url: redis.url, username: "gateway", passwordFile });
    expect(await one.count()).toBe(1);
    await redisCommand(redis, "ACL SETUSER gateway >canary-new");
    fileWith("rotated", "canary-new\n");
    await redisCommand(redis, "ACL SETUSER gateway <canary-old");
    expect(await one.count()).toBe(2);
    await redisCommand(redis, "CLIENT KILL USER gateway");
    await eventually(async () => (await one.count()) !== undefined, RECOVERY_MS);
    expect(one.store.lastLoss).toBeUndefined();
    expect(told(one)).not.toContain("canary");
  });

  test("that is late is waited for: WRONGPASS ends when it holds the new password", async () => {
    const redis = await server();
    await redisCommand(redis, `ACL SETUSER gateway on >canary-old ${RIGHTS}`);
    const passwordFile = fileWith("late", "canary-old");
    const one = await openStore({ url: redis.url, username: "gateway", passwordFile });
    await redisCommand(redis, "ACL SETUSER gateway resetpass >canary-new");
    await redisCommand(redis, "CLIENT KILL USER gateway");
    await eventually(() => one.store.lastLoss === "wrongpass", RECOVERY_MS);
    fileWith("late", "canary-new");
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(await one.count()).toBe(1);
    expect(told(one)).not.toContain("canary");
  });

  test("that can't be read is a loss until it can", async () => {
    const redis = await server();
    await redisCommand(redis, "CONFIG SET requirepass canary-1");
    const passwordFile = join(folder, "missing");
    const one = await openStore({ url: redis.url, passwordFile });
    expect(one.events).toEqual([
      { kind: "store_unreachable", store: "redis", reason: "password_file_unreadable" },
    ]);
    fileWith("missing", "canary-1\r\n");
    await eventually(() => one.store.reachable, RECOVERY_MS);
    expect(await one.count()).toBe(1);
  });

  test("a password that the server begins to ask for (NOAUTH) is found there", async () => {
    const redis = await server();
    const passwordFile = fileWith("begins", "");
    const one = await openStore({ url: redis.url, passwordFile });
    expect(await one.count()).toBe(1);
    await redisCommand(redis, "CONFIG SET requirepass canary-1");
    const restarted = await openStore({ url: redis.url, passwordFile });
    expect(restarted.events).toEqual([{ kind: "store_unreachable", store: "redis", reason: "noauth" }]);
    fileWith("begins", "canary-1");
    await eventually(() => restarted.store.reachable, RECOVERY_MS);
    expect(await restarted.count()).toBe(2);
  });
});

describe("a database", () => {
  test("is chosen by its number, in the URL or beside it", async () => {
    const redis = await server();
    expect(await (await openStore({ url: redis.url, database: 3 })).count()).toBe(1);
    expect(await (await openStore({ url: `${redis.url}/3` })).count()).toBe(2);
    expect(await (await openStore({ url: redis.url })).count()).toBe(1);
  });

  test("that doesn't exist is a loss, never another one", async () => {
    const redis = await server();
    const one = await openStore({ url: redis.url, database: 99 });
    expect(await one.count()).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(one.events).toEqual([{ kind: "store_unreachable", store: "redis", reason: "err" }]);
    expect(await redisCommand(redis, "DBSIZE")).toBe(":0\r\n");
  });
});

test("a URL that is none is told without being repeated", async () => {
  for (const url of ["redis://user:canary@", "http://canary", "redis://:canary%@h", "redis://h/canary"])
    await expect(openStore({ url })).rejects.toThrow(/^redis: expected (?!.*canary)/);
});
