import { describe, expect, test } from "vitest";
import { parseLimitText, parseSubject } from "../../../src/rate-limit/options.ts";

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

  test.for([
    ["", "expected a rate"],
    ["per user", "expected a rate"],
    ["10/s per", "after `per`"],
    ["10/s per users", "after `per`"],
    ["10/s per header:", "after `per`"],
    ["10/s per user per ip", "expected RATE"],
    ["10/s cost 0", "after `cost`"],
    ["10/s cost x", "after `cost`"],
    ["10/s burst 5", "not supported yet"],
    ["tier", "not supported yet"],
    ["10/s for user", "expected RATE"],
  ] as const)("%j is refused: %s", ([text, words]) => {
    const parsed = parseLimitText(text);
    expect(!parsed.ok && parsed.error).toContain(words);
  });
});

test("a subject is read with header names in lower case and claims by their path", () => {
  const claim = (text: string) => (text === "" ? undefined : text.split("."));
  expect(parseSubject("header:X-Tenant", claim)).toEqual({ by: "header", name: "x-tenant" });
  expect(parseSubject("claim:a.b", claim)).toEqual({ by: "claim", path: ["a", "b"] });
  expect(parseSubject("org", claim)).toEqual({ by: "org" });
  expect(parseSubject("claim:", claim)).toBeUndefined();
  expect(parseSubject("nobody", claim)).toBeUndefined();
});
