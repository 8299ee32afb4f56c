// How verified tokens are remembered and forgotten.

import { describe, expect, test } from "vitest";
import { TokenCache } from "../../../../src/authn/jwt/token-cache.ts";

const token = (number: number, length = 100) => String(number).padStart(length, "a");

describe("the token cache", () => {
  test("gives back what was set for exactly this text", () => {
    const cache = new TokenCache<number>();
    cache.set(token(1), 1);
    expect(cache.get(token(1))).toBe(1);
    expect(cache.get(token(2))).toBeUndefined();
    expect(cache.get(`b${token(1).slice(1)}`)).toBeUndefined();
    expect(cache.get(token(1).slice(1))).toBeUndefined();
    expect(cache.get("")).toBeUndefined();
  });

  test("holds no more than its entries and keeps the most recently used half", () => {
    const cache = new TokenCache<number>({ entries: 100, bytes: 1e9 });
    for (let number = 0; number < 1_000; number++) {
      cache.set(token(number), number);
      expect(cache.size).toBeLessThanOrEqual(100);
    }
    for (let number = 950; number < 1_000; number++) expect(cache.get(token(number))).toBe(number);
    expect(cache.get(token(0))).toBeUndefined();
  });

  test("keeps what is used, whatever comes", () => {
    const cache = new TokenCache<number>({ entries: 100, bytes: 1e9 });
    cache.set(token(0), 0);
    for (let number = 1; number < 1_000; number++) {
      cache.set(token(number), number);
      if (number % 20 === 0) expect(cache.get(token(0))).toBe(0);
    }
  });

  test("is bounded in bytes as well", () => {
    const cache = new TokenCache<number>({ entries: 1e6, bytes: 1_000_000 });
    for (let number = 0; number < 1_000; number++) cache.set(token(number, 16_000), number);
    expect(cache.size).toBeLessThanOrEqual(1_000_000 / 64_000);
    expect(cache.size).toBeGreaterThan(4);
  });

  test("replaces what was set before", () => {
    const cache = new TokenCache<number>();
    cache.set(token(1), 1);
    cache.set(token(1), 2);
    expect(cache.get(token(1))).toBe(2);
    expect(cache.size).toBe(1);
  });
});
