// What verified claims turn into.

import { describe, expect, test } from "vitest";
import { toPrincipal } from "../../../../src/authn/jwt/principal.ts";
import { parseObject } from "../../../../src/authn/jwt/strict-json.ts";
import type { Principal } from "../../../../src/core/principal.ts";
import { issuerPolicy } from "../../../support/verifier.ts";

const PEM = { kind: "pem", pem: "" } as const;
const noGrants = () => ({ scopes: [], tier: undefined });

function principal(
  json: string,
  claims = {},
  grants: Parameters<typeof toPrincipal>[2] = noGrants,
): Principal {
  const usual = issuerPolicy(PEM);
  const parsed = parseObject(Buffer.from(json));
  if (!parsed.ok) throw new Error(parsed.error);
  return toPrincipal(parsed.value, { ...usual, claims: { ...usual.claims, ...claims } }, grants);
}

const of = (claims: object) => principal(JSON.stringify({ sub: "u", exp: 1000, ...claims }));

describe("scopes", () => {
  test.each<[unknown, string[]]>([
    ["read admin", ["read", "admin"]],
    ["read  admin", ["read", "admin"]],
    [" read ", ["read"]],
    ["", []],
    ["admin2", ["admin2"]],
    ["ADMIN", ["ADMIN"]],
    ["read\tadmin", []],
    ["read\nadmin ok", ["ok"]],
    ["a,b", ["a,b"]],
    ['qu"ote back\\slash ok', ["ok"]],
    [
      ["read", "admin"],
      ["read", "admin"],
    ],
    [["read admin"], []],
    [["read", 1], []],
    [["read", ["admin"]], []],
    [{ admin: true }, []],
    [true, []],
    [null, []],
    [1, []],
  ])("J26 scope %j gives exactly %j", (scope, expected) => {
    expect(of({ scope }).scopes.values).toEqual(expected);
  });

  test("are the union of the usual claims and of what the roles grant", () => {
    const grants = (roles: readonly string[]) => ({
      scopes: roles.map((role) => `${role}:all`),
      tier: undefined,
    });
    const json = JSON.stringify({
      sub: "u",
      exp: 1,
      scope: "a b",
      scp: ["b", "c"],
      scopes: "d",
      permissions: ["e"],
      roles: ["dev"],
    });
    expect(principal(json, {}, grants).scopes.values).toEqual(["a", "b", "c", "d", "e", "dev:all"]);
  });

  test("come from the configured claim alone where one is configured", () => {
    const json = JSON.stringify({ sub: "u", exp: 1, scope: "a", realm: { scopes: ["b"] } });
    expect(principal(json, { scopes: ["realm", "scopes"] }).scopes.values).toEqual(["b"]);
  });
});

describe("roles", () => {
  test.each<[unknown, string[]]>([
    [
      ["admin", "dev"],
      ["admin", "dev"],
    ],
    ["admin", ["admin"]],
    ["admin dev", []],
    ["admin,dev", []],
    [["Domain Admins"], ["Domain Admins"]],
    [["user,admin", "dev"], ["dev"]],
    [["a\nb", "", "dev"], ["dev"]],
    [["dev", 1], []],
    [{ admin: true }, []],
  ])("%j are exactly %j", (roles, expected) => {
    expect(of({ roles }).roles).toEqual(expected);
  });

  test("may be nested", () => {
    const json = JSON.stringify({ sub: "u", exp: 1, realm_access: { roles: ["x"] } });
    expect(principal(json, { roles: ["realm_access", "roles"] }).roles).toEqual(["x"]);
  });
});

describe("the other facts", () => {
  test("are taken from their claims", () => {
    const found = of({ azp: "web", org_id: "acme", email: "a@b.test", tier: "gold" });
    expect(found).toMatchObject({
      method: "jwt",
      subject: "u",
      issuer: "https://login.example.com/",
      clientId: "web",
      org: "acme",
      email: "a@b.test",
      tier: "gold",
      expiresAtMs: 1_000_000,
    });
  });

  test.each([
    { client_id: "x", azp: "y" },
    { azp: "x", appid: "y" },
    { cid: "x" },
    { appid: "x" },
  ])("the client of %j is x", (claims) => {
    expect(of(claims).clientId).toBe("x");
  });

  test.each(["org_id", "email", "tier", "azp"])("a %s of another type gives none", (name) => {
    for (const value of [1, null, {}, ["a@b.test"], "", "a\r\nb", "x".repeat(1025)]) {
      const found = of({ [name]: value });
      expect([found.org, found.email, found.tier, found.clientId]).toEqual([
        undefined,
        undefined,
        undefined,
        undefined,
      ]);
    }
  });

  test.each([
    "a@b.test@evil.test",
    '"a b"@x',
    "a b@x",
    "no-at",
    "@x",
    "a@",
  ])("H23 the e-mail address %j, which two readers may read differently, gives none", (email) => {
    expect(of({ email }).email).toBeUndefined();
  });

  test("an e-mail address that the issuer calls unverified gives none", () => {
    expect(of({ email: "a@b.test", email_verified: false }).email).toBeUndefined();
    expect(of({ email: "a@b.test", email_verified: true }).email).toBe("a@b.test");
  });

  test("a tier of the token goes before that of its roles", () => {
    const grants = () => ({ scopes: [], tier: "silver" });
    expect(principal('{"sub":"u","exp":1}', {}, grants).tier).toBe("silver");
    expect(principal('{"sub":"u","exp":1,"tier":"gold"}', {}, grants).tier).toBe("gold");
  });
});

describe("J25 claims with the names of object machinery", () => {
  const hostile =
    '{"sub":"u","exp":1,"__proto__":{"scope":"admin"},"x":{"__proto__":{"y":1}},"constructor":"c"}';

  test("change no prototype and grant nothing", () => {
    const found = principal(hostile);
    expect(found.scopes.values).toEqual([]);
    expect(({} as Record<string, unknown>).scope).toBeUndefined();
    expect(Object.getPrototypeOf(found.claims)).toBeNull();
    expect(Object.keys(found.claims)).toEqual(["sub", "exp", "x", "constructor"]);
    expect(found.claims.constructor).toBe("c");
  });

  test.each([
    "toString",
    "hasOwnProperty",
    "constructor",
    "__proto__",
  ])("a missing %s stays missing", (name) => {
    expect(of({ x: {} }).claims[name]).toBeUndefined();
    expect(principal('{"sub":"u","exp":1,"x":{}}', { org: ["x", name, "name"] }).org).toBeUndefined();
  });

  test("can't be changed by whoever reads them", () => {
    const found = of({ x: { y: [1] } });
    expect(() => Object.assign(found.claims, { admin: true })).toThrow(TypeError);
    expect(() => (found.claims.x as { y: number[] }).y.push(2)).toThrow(TypeError);
    expect(() => Object.assign(found, { subject: "root" })).toThrow(TypeError);
  });
});
