import { describe, expect, test } from "vitest";
import { costField, MOST_LIMITS, parseLimitText, parseSubject } from "../../../src/rate-limit/options.ts";
import { MODE } from "../../../src/rate-limit/script.ts";

test("the limits of route, key and globalLimit together never read as another mode of the script", () => {
  const modes = Object.values(MODE).toSorted((one, other) => one - other);
  for (const [index, mode] of modes.slice(1).entries()) {
    expect(mode - (modes[index] as number)).toBeGreaterThan(3 * MOST_LIMITS);
  }
});

describe("the short form of a limit", () => {
  test.for([
    ["100/min", 100, 60_000, "user", 1],
    ["100/min per user", 100, 60_000, "user", 1],
    ["10/s per header:X-Tenant cost 2", 10, 1_000, "header:X-Tenant", 2],
    ["10/s cost 2 per claim:org.id", 10, 1_000, "claim:org.id", 2],
    ["  5000/day   per   ip ", 5_000, 86_400_000, "ip", 1],
  ] as const)("%s", ([text, count, windowMs, per, cost]) => {
    expect(parseLimitText(text)).toEqual({ ok: true, value: { rate: { count, windowMs }, per, cost } });
  });

  test("`burst` may stand anywhere after the rate", () => {
    const rate = { count: 10, windowMs: 1_000 };
    const value = { rate, per: "ip", cost: 2, burst: 20 };
    expect(parseLimitText("10/s burst 20 per ip cost 2")).toEqual({ ok: true, value });
    expect(parseLimitText("10/s cost 2 per ip burst 20")).toEqual({ ok: true, value });
  });

  test("`tier` stands in place of the rate", () => {
    expect(parseLimitText("tier")).toEqual({ ok: true, value: { rate: "tier", per: "user", cost: 1 } });
    const value = { rate: "tier", per: "org", cost: 3 };
    expect(parseLimitText("tier cost 3 per org")).toEqual({ ok: true, value });
  });

  test("the subject that goes without saying is told by whoever asks", () => {
    expect(parseLimitText("10/s", "key")).toMatchObject({ value: { per: "key" } });
  });

  test.for([
    ["", "expected a rate"],
    ["per user", "expected a rate"],
    ["10/s per", "after `per`"],
    ["10/s per users", "after `per`"],
    ["10/s per header:", "after `per`"],
    ["10/s per user per ip", "expected RATE"],
    ["10/s cost 0", "after `cost`"],
    ["10/s cost x", "after `cost`"],
    ["10/s burst 0", "after `burst`"],
    ["10/s burst", "after `burst`"],
    ["10/s burst 5 burst 5", "expected RATE"],
    ["10/s tier", "expected RATE"],
    ["tier burst 5", "belongs to a rate"],
    ["tier 10/s", "expected RATE"],
    ["tiers", "expected a rate"],
    ["10/s for user", "expected RATE"],
  ] as const)("%j is refused: %s", ([text, words]) => {
    const parsed = parseLimitText(text);
    expect(!parsed.ok && parsed.error).toContain(words);
  });
});

test.for([
  ["responseHeader", "x-ratelimit-cost"],
  ["responseHeader:X-Query-Cost", "x-query-cost"],
] as const)("costFrom: %s is the field %s", ([text, name]) => {
  expect(costField(text)).toBe(name);
});

test("a subject is read with header names in lower case and claims by their path", () => {
  const claim = (text: string) => (text === "" ? undefined : text.split("."));
  expect(parseSubject("header:X-Tenant", claim)).toEqual({ by: "header", name: "x-tenant" });
  expect(parseSubject("claim:a.b", claim)).toEqual({ by: "claim", path: ["a", "b"] });
  expect(parseSubject("org", claim)).toEqual({ by: "org" });
  expect(parseSubject("claim:", claim)).toBeUndefined();
  expect(parseSubject("nobody", claim)).toBeUndefined();
});
