// URLs and addresses of Redis: what is read out of them, and that a refusal repeats nothing.

import { describe, expect, test } from "vitest";
import { parseRedisAddress, parseRedisUrl } from "../../../src/store/redis-address.ts";

const PLAIN = {
  tls: false,
  username: undefined,
  password: undefined,
  database: undefined,
  family: undefined,
};

describe("a URL", () => {
  test.each([
    ["redis://cache", { host: "cache", port: 6379 }],
    ["redis://127.0.0.1:7000/", { host: "127.0.0.1", port: 7000 }],
    ["redis://[2001:db8::1]:7000/2", { host: "2001:db8::1", port: 7000, database: 2 }],
    ["rediss://cache:6380", { host: "cache", port: 6380, tls: true }],
    ["redis://:p%40ss@cache", { host: "cache", port: 6379, password: "p@ss" }],
    [
      "redis://user:p%25@cache/0",
      { host: "cache", port: 6379, username: "user", password: "p%", database: 0 },
    ],
    ["redis://cache?family=6", { host: "cache", port: 6379, family: 6 }],
    ["redis://cache?family=0", { host: "cache", port: 6379, family: 0 }],
  ])("%s is read", (text, expected) => {
    expect(parseRedisUrl(text)).toEqual({ ok: true, value: { ...PLAIN, ...expected } });
  });

  test.each([
    "cache:6379",
    "http://canary",
    "redis://",
    "redis://canary#1",
    "redis://canary:p#ss@cache",
    "redis://canary:p%@cache",
    "redis://cache/canary",
    "redis://cache/123456",
    "redis://cache?family=5",
    "redis://cache?password=canary",
    "redis://cache?family=4&db=1",
  ])("%s is refused without being repeated", (text) => {
    const parsed = parseRedisUrl(text);
    expect(parsed.ok).toBe(false);
    expect(JSON.stringify(parsed)).not.toContain("canary");
  });
});

describe("an address", () => {
  test.each([
    ["redis-1:7000", { host: "redis-1", port: 7000 }],
    ["redis-1", { host: "redis-1", port: 6379 }],
    ["[::1]:7000", { host: "::1", port: 7000 }],
    ["[::1]", { host: "::1", port: 6379 }],
  ])("%s is read", (text, expected) => {
    expect(parseRedisAddress(text, 6379)).toEqual(expected);
  });

  test.each([
    "",
    ":7000",
    "a:0",
    "a:65536",
    "a:b",
    "::1",
    "a b:1",
    "user@a:1",
    "redis://a",
    "a/1",
    "a?b",
  ])("%s is refused", (text) => {
    expect(parseRedisAddress(text, 6379)).toBeUndefined();
  });
});
