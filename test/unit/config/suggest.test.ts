import { expect, test } from "vitest";
import { nearest } from "../../../src/config/suggest.ts";

const KEYS = ["match", "to", "name", "auth", "public", "scopes", "limits", "requestTimeout", "stripPrefix"];

test.for([
  ["auht", "auth"],
  ["scope", "scopes"],
  ["scopess", "scopes"],
  ["Public", "public"],
  ["mach", "match"],
  ["ratelimits", "limits"],
  ["timeout", "requestTimeout"],
  ["strip", "stripPrefix"],
  ["ot", "to"],
  ["zzzz", undefined],
  ["", undefined],
] as const)("%s: did you mean %s?", ([typed, meant]) => {
  expect(nearest(typed, KEYS)).toBe(meant);
});

test("a very long word is not compared at all", () => {
  expect(nearest("a".repeat(100_000), KEYS)).toBeUndefined();
});
