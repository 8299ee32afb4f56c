import { describe, expect, test } from "vitest";
import { authorize } from "../../../src/authz/authorize.ts";
import type { AuthzPolicy, Requirement } from "../../../src/authz/policy.ts";
import { ANONYMOUS, type Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";

const NOTHING: AuthzPolicy = { scopes: undefined, roles: undefined, require: [] };
const alice: Principal = {
  method: "jwt",
  subject: "alice",
  issuer: "https://login.example.com/",
  clientId: "web",
  email: "alice@example.com",
  org: "acme",
  scopes: new ScopeSet(["modules:read", "files:*"]),
  roles: ["user", "auditor"],
  claims: {
    plan: "pro",
    seats: 5,
    active: true,
    inactive: false,
    empty: "",
    nothing: null,
    teams: ["red", "blue"],
    none: [],
    nested: { level: 2, deep: { name: "x" } },
    mixed: [{ plan: "pro" }, null, "pro"],
  },
};

function verdict(
  policy: Partial<AuthzPolicy>,
  parameters: Readonly<Record<string, string>> = {},
  principal = alice,
): string {
  const denial = authorize({ ...NOTHING, ...policy }, principal, parameters);
  return denial === undefined ? "pass" : `${denial.code} ${denial.reason}`;
}

function requires(
  fact: Requirement["fact"] | string,
  expected: string | readonly (string | number | boolean)[],
): Partial<AuthzPolicy> {
  return {
    require: [
      {
        fact: typeof fact === "string" ? { kind: "claim", path: fact.split(".") } : fact,
        expected:
          typeof expected === "string"
            ? { kind: "parameter", name: expected }
            : { kind: "values", values: expected },
        text: "as written",
      },
    ],
  };
}

test("a route that asks for nothing lets everyone pass", () => {
  expect(verdict({})).toBe("pass");
  expect(verdict({}, {}, ANONYMOUS)).toBe("pass");
});

describe("scopes", () => {
  test.each([
    ["all", ["modules:read"], "pass"],
    ["all", ["modules:read", "files:write"], "pass"],
    ["all", ["modules:read", "modules:write"], "scope_insufficient scope_missing"],
    ["any", ["modules:write", "files:write"], "pass"],
    ["any", ["modules:write", "other"], "scope_insufficient scope_missing"],
  ] as const)("%s of %j: %s", (mode, scopes, answer) => {
    expect(verdict({ scopes: { mode, scopes } })).toBe(answer);
  });

  test("that are missing are told to the caller", () => {
    const scopes = { mode: "all", scopes: ["modules:read", "modules:write"] } as const;
    expect(authorize({ ...NOTHING, scopes }, alice, {})?.requiredScopes).toEqual(scopes.scopes);
  });
});

describe("roles", () => {
  test.each([
    ["all", ["user", "auditor"], "pass"],
    ["all", ["user", "admin"], "role_insufficient role_missing"],
    ["any", ["admin", "auditor"], "pass"],
    ["any", ["admin", "User"], "role_insufficient role_missing"],
  ] as const)("%s of %j: %s", (mode, roles, answer) => {
    expect(verdict({ roles: { mode, roles } })).toBe(answer);
  });
});

describe("a requirement", () => {
  const MET = "pass";
  const NOT = "requirement_failed requirement_not_met";

  test.each([
    ["subject", { userId: "alice" }, MET],
    ["subject", { userId: "bob" }, NOT],
    ["subject", { userId: "Alice" }, NOT],
    ["subject", {}, NOT],
    ["org", { userId: "acme" }, MET],
    ["email", { userId: "alice@example.com" }, MET],
    ["clientId", { userId: "web" }, MET],
    ["clientId", { userId: "alice" }, NOT],
  ] as const)("that %s is a path parameter among %j: %s", (kind, parameters, answer) => {
    expect(verdict(requires({ kind }, "userId"), parameters)).toBe(answer);
  });

  test.each([
    ["plan", { p: "pro" }, MET],
    ["seats", { p: "5" }, MET],
    ["seats", { p: "05" }, NOT],
    ["teams", { p: "blue" }, MET],
    ["teams", { p: "red,blue" }, NOT],
    ["active", { p: "true" }, NOT],
    ["nothing", { p: "null" }, NOT],
    ["empty", { p: "" }, NOT],
    ["nested", { p: "[object Object]" }, NOT],
    ["nested.level", { p: "2" }, MET],
    ["nested.deep.name", { p: "x" }, MET],
    ["plan.length", { p: "3" }, NOT],
    ["teams.0", { p: "red" }, MET],
    ["missing", { p: "undefined" }, NOT],
    ["constructor.name", { p: "Object" }, NOT],
    ["__proto__", { p: "x" }, NOT],
  ])("that the claim %s is a path parameter among %j: %s", (claim, parameters, answer) => {
    expect(verdict(requires(claim, "p"), parameters)).toBe(answer);
  });

  test("is not met by a parameter that the path doesn't have", () => {
    expect(verdict(requires({ kind: "subject" }, "toString"))).toBe(NOT);
    expect(verdict(requires({ kind: "subject" }, "__proto__"), { id: "alice" })).toBe(NOT);
  });

  test.each([
    ["plan", ["pro", "team"], MET],
    ["plan", ["team"], NOT],
    ["plan", ["Pro"], NOT],
    ["seats", [5], MET],
    ["seats", ["5"], NOT],
    ["active", [true], MET],
    ["active", ["true"], NOT],
    ["inactive", [false], MET],
    ["teams", ["blue", "green"], MET],
    ["teams", ["green"], NOT],
    ["none", ["green"], NOT],
    ["mixed", ["pro"], MET],
    ["nothing", ["null"], NOT],
    ["missing", ["pro"], NOT],
  ])("that the claim %s is one of %j: %s", (claim, values, answer) => {
    expect(verdict(requires(claim, values))).toBe(answer);
  });

  test("is met by no anonymous caller", () => {
    expect(verdict(requires({ kind: "subject" }, "userId"), { userId: "" }, ANONYMOUS)).toBe(NOT);
    expect(verdict(requires({ kind: "org" }, ["x"]), {}, ANONYMOUS)).toBe(NOT);
  });

  test("has to be met together with every other", () => {
    const both = [...(requires("plan", ["pro"]).require ?? []), ...(requires("seats", [6]).require ?? [])];
    expect(verdict({ require: both })).toBe(NOT);
    expect(verdict({ require: both.slice(0, 1) })).toBe(MET);
  });
});

test("scopes are judged before roles, and roles before requirements", () => {
  const scopes = { mode: "all", scopes: ["none"] } as const;
  const roles = { mode: "all", roles: ["none"] } as const;
  const { require = [] } = requires("plan", ["none"]);
  expect(verdict({ scopes, roles, require })).toBe("scope_insufficient scope_missing");
  expect(verdict({ roles, require })).toBe("role_insufficient role_missing");
});
