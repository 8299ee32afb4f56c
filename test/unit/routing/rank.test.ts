import { describe, expect, test } from "vitest";
import type { RouteMatch } from "../../../src/routing/policy.ts";
import { findOverlap } from "../../../src/routing/rank.ts";
import { match } from "../../support/routes.ts";

const version = (value: string | undefined): Partial<RouteMatch> => ({ headers: [{ name: "v", value }] });

describe("two routes", () => {
  test.each<readonly [what: string, a: RouteMatch, b: RouteMatch, overlap: boolean]>([
    ["of one path", match("/a"), match("/a"), true],
    ["that name a parameter differently", match("/a/:x"), match("/a/:y"), true],
    ["of a literal and a parameter", match("/a/b"), match("/a/:y"), false],
    [
      "of a literal colon and a parameter",
      match("/a"),
      { ...match("/:x"), segments: [{ kind: "literal", value: ":x" }] },
      false,
    ],
    ["with and without a wildcard", match("/a/*"), match("/a"), false],
    ["with and without a slash of their own", match("/a/"), match("/a"), false],
    [
      "whose literals hold a slash",
      match("/a/b"),
      { ...match("/"), segments: [{ kind: "literal", value: "a/=b" }] },
      false,
    ],
    [
      "that share a method",
      match("/a", { methods: ["GET", "PUT"] }),
      match("/a", { methods: ["PUT"] }),
      true,
    ],
    ["of different methods", match("/a", { methods: ["GET"] }), match("/a", { methods: ["PUT"] }), false],
    ["of GET and of HEAD", match("/a", { methods: ["GET"] }), match("/a", { methods: ["HEAD"] }), false],
    ["of any method and of one", match("/a"), match("/a", { methods: ["GET"] }), false],
    ["that share a host", match("/a", { hosts: ["a", "b"] }), match("/a", { hosts: ["b"] }), true],
    ["of any host and of one", match("/a"), match("/a", { hosts: ["b"] }), false],
    ["of a host and its wildcard", match("/a", { hosts: ["x.b"] }), match("/a", { hosts: ["*.b"] }), false],
    ["of nested wildcards", match("/a", { hosts: ["*.x.b"] }), match("/a", { hosts: ["*.b"] }), false],
    ["with one more condition", { ...match("/a"), ...version("1") }, match("/a"), false],
    [
      "with different values of one field",
      { ...match("/a"), ...version("1") },
      { ...match("/a"), ...version("2") },
      false,
    ],
    [
      "with a value and its presence",
      { ...match("/a"), ...version("1") },
      { ...match("/a"), ...version(undefined) },
      false,
    ],
    [
      "with values of different fields",
      { ...match("/a"), ...version("1") },
      match("/a", { headers: [{ name: "w", value: "1" }] }),
      true,
    ],
    [
      "with different values of one query parameter",
      match("/a", { query: [{ name: "v", value: "1" }] }),
      match("/a", { query: [{ name: "v", value: "2" }] }),
      false,
    ],
    [
      "with a field and a query parameter",
      { ...match("/a"), ...version("1") },
      match("/a", { query: [{ name: "v", value: "2" }] }),
      true,
    ],
  ])("%s overlap, or are told apart", (_what, a, b, overlap) => {
    expect([findOverlap(a, b), findOverlap(b, a)]).toEqual([overlap, overlap]);
  });

  test("that differ in case alone overlap where case is ignored", () => {
    expect(findOverlap(match("/A"), match("/a"))).toBe(false);
    expect(findOverlap(match("/A"), match("/a"), false)).toBe(true);
  });
});
