// Which callers of unknown permissions pass one guard and not another. What a guard asks for only ever grows with what a
// caller holds, so it is enough to look at those who hold the least that passes.

import { isDeepStrictEqual } from "node:util";
import type { ClaimNames } from "../../authn/jwt/policy.ts";
import { holdsRoles } from "../../authz/authorize.ts";
import type { RoleTable } from "../../authz/policy.ts";
import { grantsOf } from "../../authz/roles.ts";
import { ScopeSet } from "../../core/scope.ts";
import type { Guard, Needed } from "./guard.ts";
import { possibly, type Reason, surely } from "./reasons.ts";

/** What a caller holds beside what is unknown about him: the permissions of his API key. */
export interface Held {
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
}

const NOTHING: Held = { scopes: [], roles: [] };

/** A caller with a token, as each file sees him. */
export interface TokenCaller {
  /** How the issuer's claims are read, in the old and in the new way. */
  readonly fromClaims: ClaimNames;
  readonly toClaims: ClaimNames;
  readonly fromHeld?: Held;
  readonly toHeld?: Held;
  /** Id of the key that comes with the token, where one does: it is the client then. */
  readonly fromClient?: string | undefined;
  readonly toClient?: string | undefined;
}

// Ways to come by the scopes that a route asks for, by roles and without, that are looked at.
const MOST_COMBINATIONS = 4_096;

/** Why somebody with a token may pass `to` who doesn't pass `from`; empty when nobody does. */
export function permissionGains(
  from: Guard,
  to: Guard,
  segments: readonly (string | undefined)[],
  caller: TokenCaller,
): readonly Reason[] {
  return [
    ...heldGains(from, to, caller),
    ...from.needs.flatMap((need) => needGains(need, to.needs, segments, caller)),
    ...tierGains(from, to, caller),
  ];
}

function heldGains(from: Guard, to: Guard, caller: TokenCaller): readonly Reason[] {
  if (from.scopes === undefined && from.roles === undefined) return [];
  const { fromClaims, toClaims } = caller;
  const tables = { from: from.side.roles, to: to.side.roles };
  if (from.scopes !== undefined && !isDeepStrictEqual(fromClaims.scopes, toClaims.scopes))
    return [possibly("scopes are read from another claim")];
  const rolesCount = from.roles !== undefined || tables.from.size > 0 || tables.to.size > 0;
  if (rolesCount && !isDeepStrictEqual(fromClaims.roles, toClaims.roles))
    return [possibly("roles are read from another claim")];
  for (const roles of alternatives(to.roles?.mode, to.roles?.roles)) {
    for (const scopes of alternatives(to.scopes?.mode, to.scopes?.scopes)) {
      const reason = leastGains(from, tables, { roles, scopes }, caller);
      if (reason !== undefined) return [reason];
    }
  }
  return [];
}

/** The smallest lists that meet a requirement. */
function alternatives(
  mode: "all" | "any" | undefined,
  names: readonly string[] | undefined,
): readonly (readonly string[])[] {
  if (names === undefined) return [[]];
  return mode === "any" ? names.map((name) => [name]) : [names];
}

function leastGains(
  from: Guard,
  tables: { readonly from: RoleTable; readonly to: RoleTable },
  least: Held,
  { fromHeld = NOTHING, toHeld = NOTHING }: TokenCaller,
): Reason | undefined {
  // What the key holds by now needn't be in the token, and wasn't in the key's hands before.
  const ownRoles = least.roles.filter((role) => !toHeld.roles.includes(role));
  const given = new ScopeSet([
    ...toHeld.scopes,
    ...grantsOf(tables.to, [...ownRoles, ...toHeld.roles]).scopes,
  ]);
  const missing = least.scopes.filter((scope) => !given.covers(scope));
  let combinations: readonly Held[] = [{ scopes: [], roles: ownRoles }];
  for (const scope of missing) {
    // A role that gave the scope before as well is no better than the scope itself.
    const roles = [...tables.to.keys()].filter(
      (role) => covers(tables.to, role, scope) && !covers(tables.from, role, scope),
    );
    combinations = combinations.flatMap((held) => [
      { ...held, scopes: [...held.scopes, scope] },
      ...roles.map((role) => ({ ...held, roles: [...held.roles, role] })),
    ]);
    if (combinations.length > MOST_COMBINATIONS) return possibly("too many roles give the scopes to compare");
  }
  for (const held of combinations) {
    const roles = [...held.roles, ...fromHeld.roles];
    const scopes = new ScopeSet([...held.scopes, ...fromHeld.scopes, ...grantsOf(tables.from, roles).scopes]);
    const passes =
      (from.scopes === undefined || scopes.meets(from.scopes)) &&
      (from.roles === undefined || holdsRoles({ roles }, from.roles));
    if (passes) continue;
    const by = held.roles.filter((role) => !ownRoles.includes(role));
    if (by.length > 0) return surely(`${by.length === 1 ? "role" : "roles"} ${by.join(", ")} give more`);
    return surely(withText(held));
  }
  return undefined;
}

function withText({ scopes, roles }: Held): string {
  const parts = [
    scopes.length === 0 ? "" : `${scopes.length === 1 ? "scope" : "scopes"} ${scopes.join(", ")}`,
    roles.length === 0 ? "" : `${roles.length === 1 ? "role" : "roles"} ${roles.join(", ")}`,
  ].filter((text) => text !== "");
  return parts.length === 0 ? "without further permissions" : `${parts.join(" and ")} is enough`;
}

function covers(table: RoleTable, role: string, scope: string): boolean {
  return new ScopeSet(table.get(role)?.scopes ?? []).covers(scope);
}

function needGains(
  need: Needed,
  others: readonly Needed[],
  segments: readonly (string | undefined)[],
  caller: TokenCaller,
): readonly Reason[] {
  const { fact, text } = need.requirement;
  const { fromClaims, toClaims, fromClient, toClient } = caller;
  if (fact.kind === "clientId" && (fromClient !== undefined || toClient !== undefined)) {
    // The key that came along decides, and by itself it meets the requirement or not.
    return meets(need, fromClient, segments) ? [] : [surely(`\`${clip(text)}\` no longer has to hold`)];
  }
  const claim = fact.kind === "claim" || fact.kind === "clientId" ? undefined : fact.kind;
  if (claim !== undefined && !isDeepStrictEqual(fromClaims[claim], toClaims[claim]))
    return [possibly(`${claim} is read from another claim`)];
  const implied = others.some(
    (other) => isDeepStrictEqual(other.requirement.fact, fact) && implies(other, need, segments),
  );
  return implied ? [] : [surely(`\`${clip(text)}\` no longer has to hold`)];
}

function meets(
  { requirement: { expected }, segment }: Needed,
  value: string | undefined,
  segments: readonly (string | undefined)[],
): boolean {
  if (value === undefined) return false;
  if (segment !== undefined) return segments[segment] === value;
  return expected.kind === "values" && expected.values.includes(value);
}

/** Whether whoever meets `strong` meets `weak`, both about one fact. */
function implies(strong: Needed, weak: Needed, segments: readonly (string | undefined)[]): boolean {
  const [one, other] = [strong.requirement.expected, weak.requirement.expected];
  if (one.kind === "values" && other.kind === "values")
    return one.values.every((value) => other.values.includes(value));
  if (strong.segment === undefined || weak.segment === undefined) return false;
  const value = segments[weak.segment];
  return strong.segment === weak.segment || (value !== undefined && value === segments[strong.segment]);
}

function tierGains(from: Guard, to: Guard, caller: TokenCaller): readonly Reason[] {
  if (!from.doors.any) return [];
  const tiersOfRoles = (table: RoleTable) => [...table].map(([role, { tier }]) => [role, tier]).toSorted();
  const alike =
    isDeepStrictEqual(caller.fromClaims.tier, caller.toClaims.tier) &&
    isDeepStrictEqual(caller.fromClaims.roles, caller.toClaims.roles) &&
    isDeepStrictEqual(tiersOfRoles(from.side.roles), tiersOfRoles(to.side.roles));
  if (!alike) return [possibly("tiers are given in another way")];
  const tiers = [undefined, ...from.doors.names, ...to.doors.names];
  const opened = tiers.filter((tier) => from.doors.shutsOut(tier) && !to.doors.shutsOut(tier));
  if (opened.length === 0) return [];
  const names = [...new Set(opened.map((tier) => tier ?? "user"))];
  return [surely(`${names.length === 1 ? "tier" : "tiers"} ${names.join(", ")} had a limit of 0`)];
}

function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
