import { describe, expect, test } from "vitest";
import { addressAllowed } from "../../../src/authz/addresses.ts";
import { grantsOf } from "../../../src/authz/roles.ts";
import { type AddressRange, parseRange } from "../../../src/core/address.ts";

const ranges = (...texts: readonly string[]): AddressRange[] =>
  texts.map(parseRange).filter((range) => range !== undefined);

describe("an address", () => {
  test.each([
    ["without rules", [], [], "192.0.2.1", true],
    ["without rules, though it can't be read", [], [], "unknown", true],
    ["that is allowed", ["192.0.2.0/24"], [], "192.0.2.1", true],
    ["that is not allowed", ["192.0.2.0/24"], [], "198.51.100.1", false],
    ["that is denied", [], ["192.0.2.0/24"], "192.0.2.1", false],
    ["that is not denied", [], ["192.0.2.0/24"], "198.51.100.1", true],
    ["of IPv6 that is not denied", [], ["192.0.2.0/24"], "2001:db8::1", true],
    ["that is denied and allowed", ["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.1", false],
    ["that is allowed beside a denied one", ["192.0.2.0/24"], ["192.0.2.1"], "192.0.2.2", true],
    ["in IPv4-mapped form", [], ["192.0.2.0/24"], "::ffff:192.0.2.1", false],
    ["that can't be read, against a deny rule", [], ["192.0.2.0/24"], "unknown", false],
    ["that can't be read, against an allow rule", ["0.0.0.0/0", "::/0"], [], "", false],
  ])("%s", (_what, allow, deny, address, allowed) => {
    expect(addressAllowed({ allow: ranges(...allow), deny: ranges(...deny) }, address)).toBe(allowed);
  });
});

describe("roles", () => {
  const table = new Map([
    ["user", { scopes: ["a"], tier: undefined }],
    ["developer", { scopes: ["a", "b"], tier: "developer" }],
    ["admin", { scopes: ["*"], tier: "admin" }],
  ]);

  test.each([
    [[], [], undefined],
    [["user"], ["a"], undefined],
    [["user", "developer", "admin"], ["a", "a", "b", "*"], "developer"],
    [["admin", "developer"], ["*", "a", "b"], "admin"],
    [["unknown", "user"], ["a"], undefined],
    [["constructor", "Admin"], [], undefined],
  ])("%j grant %j and the tier %s", (roles, scopes, tier) => {
    expect(grantsOf(table, roles)).toEqual({ scopes, tier });
  });

  test("grant nothing where none are configured", () => {
    expect(grantsOf(new Map(), ["admin"])).toEqual({ scopes: [], tier: undefined });
  });
});
