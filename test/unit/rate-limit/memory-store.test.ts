import { describe, expect, test } from "vitest";
import { AdmissionLog } from "../../../src/rate-limit/algorithms/admission-log.ts";
import { MemoryStore } from "../../../src/rate-limit/memory-store.ts";

const WINDOW = 1_000;

/** Counts one unit for `key`, as a decision does. */
function count(store: MemoryStore<AdmissionLog>, key: string, now: number, units = 1): void {
  store.tidy(now);
  const log = store.find(key) ?? store.add(key, new AdmissionLog(WINDOW), now);
  log.used(now);
  log.add(now, units, 1);
}

function keyOf(index: number): string {
  return `gw:limit:1000:ip:${String(index).padStart(22, "x")}`;
}

describe("the memory store", () => {
  test("finds the log that was made for a key, and no other", () => {
    const store = new MemoryStore<AdmissionLog>();
    count(store, "a-key-of-some-length", 0);
    expect(store.find("a-key-of-some-length")?.used(0)).toBe(1);
    expect(store.find("another-key-of-some-length")).toBeUndefined();
  });

  test("Q04 holds no more keys than it may, whatever comes", () => {
    const store = new MemoryStore<AdmissionLog>(1_000);
    for (let index = 0; index < 20_000; index++) count(store, keyOf(index), 0);
    expect(store.size).toBe(1_000);
  });

  test("Q04 a flood of fresh keys does not reset a counter that is used up", () => {
    const store = new MemoryStore<AdmissionLog>(2_000);
    count(store, "gw:limit:1000:user:victim-of-the-flood", 0, 100);
    for (let index = 0; index < 50_000; index++) count(store, keyOf(index), 1);
    expect(store.find("gw:limit:1000:user:victim-of-the-flood")?.used(1)).toBe(100);
  });

  test("makes room with one key only, even when there is room for a single one", () => {
    const store = new MemoryStore<AdmissionLog>(1);
    count(store, keyOf(1), 0);
    count(store, keyOf(2), 0);
    expect(store.size).toBe(1);
    expect(store.find(keyOf(2))?.used(0)).toBe(1);
  });

  test("drops idle keys while it is used, and keeps those that are not idle", () => {
    const store = new MemoryStore<AdmissionLog>();
    for (let index = 0; index < 5_000; index++) count(store, keyOf(index), 0);
    for (let turn = 0; turn < 20_000; turn++)
      count(store, "gw:limit:1000:ip:the-one-that-goes-on", WINDOW + 1);
    expect(store.size).toBe(1);
    expect(store.find("gw:limit:1000:ip:the-one-that-goes-on")?.used(WINDOW + 1)).toBe(20_000);
  });

  test("never stalls: no single call drops more than a handful of the keys that went idle together", () => {
    const store = new MemoryStore<AdmissionLog>();
    for (let index = 0; index < 100_000; index++) count(store, keyOf(index), 0);
    let before = store.size;
    let most = 0;
    for (let turn = 0; store.size > 0; turn++) {
      expect(turn).toBeLessThan(100_000);
      store.tidy(WINDOW);
      most = Math.max(most, before - store.size);
      before = store.size;
    }
    expect(most).toBeLessThanOrEqual(32);
  });
});
