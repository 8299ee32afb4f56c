import { describe, expect, test } from "vitest";
import { ANONYMOUS, type Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";
import { type IdentityFact, IdentityFields } from "../../../src/upstream/identity.ts";

const full: Principal = {
  method: "apiKey",
  subject: "ci",
  issuer: "https://login.example.com/",
  clientId: "ci-bot",
  keyId: "ci-bot",
  scopes: new ScopeSet(["modules:read", "files:*"]),
  roles: ["user", "admin"],
  email: "ci@example.com",
  org: "acme",
  tier: "gold",
  claims: {
    plan: "pro",
    seats: 5,
    active: false,
    teams: ["red", 1, "blue"],
    numbers: [1, 2],
    nested: { deep: "x" },
    nothing: null,
  },
};

function value(fact: IdentityFact, principal: Principal = full): string | undefined {
  return new IdentityFields([["X-Fact", fact]]).of(principal)[1];
}

describe("a header of", () => {
  test.each<readonly [IdentityFact, string]>([
    ["subject", "ci"],
    ["scopes", "modules:read files:*"],
    ["roles", "user,admin"],
    ["email", "ci@example.com"],
    ["org", "acme"],
    ["method", "apiKey"],
    ["client", "ci-bot"],
    ["tier", "gold"],
  ])("%s carries %s", (fact, text) => {
    expect(value(fact)).toBe(text);
  });

  test.each<readonly [path: string, text: string | undefined]>([
    ["plan", "pro"],
    ["seats", "5"],
    ["active", "false"],
    ["teams", "red,blue"],
    ["nested.deep", "x"],
    ["numbers", undefined],
    ["nested", undefined],
    ["nothing", undefined],
    ["missing", undefined],
    ["plan.length", undefined],
    ["constructor.name", undefined],
  ])("the claim %s carries %s", (path, text) => {
    expect(value({ claim: path.split(".") })).toBe(text);
  });
});

test("a fact that the principal lacks gives no field", () => {
  const bare: Principal = { method: "jwt", subject: "a", scopes: ScopeSet.EMPTY, roles: [], claims: {} };
  for (const fact of ["scopes", "roles", "email", "org", "client", "tier"] as const)
    expect(value(fact, bare)).toBeUndefined();
});

test("an anonymous caller gives none at all", () => {
  const fields = new IdentityFields([
    ["X-Auth-Method", "method"],
    ["X-User-Id", "subject"],
  ]);
  expect(fields.of(ANONYMOUS)).toEqual([]);
});

test("a value that isn't header-safe is percent-encoded", () => {
  expect(value("subject", { ...full, subject: "Zoë\r\nX-User-Id: root 100%" })).toBe(
    "Zo%C3%AB%0D%0AX-User-Id: root 100%25",
  );
});

test("fields stand in the order of the mapping, and are the same list for the same principal", () => {
  const fields = new IdentityFields([
    ["X-User-Id", "subject"],
    ["X-Org-Id", "org"],
  ]);
  expect(fields.of(full)).toEqual(["X-User-Id", "ci", "X-Org-Id", "acme"]);
  expect(fields.of(full)).toBe(fields.of(full));
  expect(fields.of({ ...full, subject: "other" })[1]).toBe("other");
});
