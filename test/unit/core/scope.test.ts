import { describe, expect, test } from "vitest";
import { isScopeToken, ScopeSet } from "../../../src/core/scope.ts";

describe("a scope", () => {
  test.each([
    "modules:read",
    "*",
    "modules:*",
    "https://a.example/scope",
    "!#[]^~",
    "x".repeat(256),
  ])("may be %s", (scope) => {
    expect(isScopeToken(scope)).toBe(true);
  });
  test.each(["", "a b", 'a"b', "a\\b", "é", "a\n", "a\tb", "x".repeat(257)])("is not %j", (scope) => {
    expect(isScopeToken(scope)).toBe(false);
  });
});

describe("held scopes", () => {
  test.each<readonly [held: string, needed: string, covered: boolean]>([
    ["modules:read", "modules:read", true],
    ["modules:read", "modules:write", false],
    ["modules:read", "modules:rea", false],
    ["modules:read", "modules:reader", false],
    ["modules:read", "Modules:Read", false],
    ["*", "modules:read", true],
    ["*", "*", true],
    ["modules:*", "modules:read", true],
    ["modules:*", "modules:read:all", true],
    ["modules:*", "modules:*", true],
    ["modules:*", "modules", false],
    ["modules:*", "modulesx:read", false],
    ["modules:*", "modules:", true],
    ["modules*", "modules:read", false],
    ["*:read", "modules:read", false],
    ["modules:read", "modules:*", false],
    ["modules:read", "*", false],
    ["a:b:*", "a:b:c", true],
    ["a:b:*", "a:c", false],
  ])("%s covers %s: %s", (held, needed, covered) => {
    expect(new ScopeSet([held]).covers(needed)).toBe(covered);
  });

  test("are listed once each, in order", () => {
    expect(new ScopeSet(["b", "a", "b"]).values).toEqual(["b", "a"]);
    expect(ScopeSet.EMPTY.values).toEqual([]);
    expect(ScopeSet.EMPTY.covers("a")).toBe(false);
  });
});

describe("a requirement", () => {
  const held = new ScopeSet(["a", "b:*"]);

  test.each<readonly [mode: "all" | "any", scopes: readonly string[], met: boolean]>([
    ["all", ["a"], true],
    ["all", ["a", "b:x"], true],
    ["all", ["a", "c"], false],
    ["all", [], true],
    ["any", ["c", "b:x"], true],
    ["any", ["c", "d"], false],
    ["any", [], false],
  ])("of %s of %j is met: %s", (mode, scopes, met) => {
    expect(held.meets({ mode, scopes })).toBe(met);
  });
});
