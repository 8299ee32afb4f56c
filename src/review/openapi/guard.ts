// What a document's `security` means for a route. Where gateway.yaml can't say exactly the same, the reading lets fewer
// callers pass, never more, and says so.

import { isScopeToken } from "../../core/scope.ts";
import type { Alternative, Scheme, Security } from "./model.ts";

/** One alternative that the gateway can check. */
export interface Way {
  /** Credentials that have to come together: `apiKey`, `jwt:SCHEME`. Sorted. */
  readonly auth: readonly string[];
  /** `scope:NAME` and `role:NAME`, all needed. Sorted. */
  readonly needs: readonly string[];
}

/** `security` as far as the gateway can check it. */
export interface Ways {
  /** `undeclared`: the document says nothing; `public`: everybody; `open`: everybody, and credentials are looked at. */
  readonly access: "undeclared" | "public" | "open" | "guarded";
  readonly ways: readonly Way[];
  /** Why each alternative that is missing in `ways` can't be checked. */
  readonly dropped: readonly string[];
}

/** The names of the issuers that the token schemes of a document belong to, by scheme. */
export type IssuerNames = ReadonlyMap<string, string>;

export function waysOf(security: Security, schemes: ReadonlyMap<string, Scheme>, issuers: IssuerNames): Ways {
  if (security === undefined) return { access: "undeclared", ways: [], dropped: [] };
  const ways: Way[] = [];
  const dropped: string[] = [];
  for (const alternative of security.filter((one) => one.length > 0)) {
    const way = wayOf(alternative, schemes, issuers);
    if (typeof way === "string") dropped.push(way);
    else ways.push(way);
  }
  const anonymous = security.length === 0 || security.some((one) => one.length === 0);
  const access = anonymous ? (ways.length > 0 ? "open" : "public") : "guarded";
  return { access, ways: withoutRedundant(ways), dropped: [...new Set(dropped)] };
}

/** The way, or why there is none. */
function wayOf(
  alternative: Alternative,
  schemes: ReadonlyMap<string, Scheme>,
  issuers: IssuerNames,
): Way | string {
  const auth = new Set<string>();
  const needs = new Set<string>();
  const headers = new Set<string>();
  for (const { scheme: name, needs: listed } of alternative) {
    const scheme = schemes.get(name);
    if (scheme === undefined || scheme.kind === "other") return `${name}: ${scheme?.why ?? "not declared"}`;
    if (scheme.kind === "apiKey") headers.add(scheme.header.toLowerCase());
    auth.add(scheme.kind === "apiKey" ? "apiKey" : `jwt:${issuers.get(name) ?? name}`);
    for (const need of listed) {
      if (!isScopeToken(need)) return `${name}: ${JSON.stringify(need.slice(0, 80))} is no scope (RFC 6749)`;
      needs.add(`${scheme.scoped ? "scope" : "role"}:${need}`);
    }
  }
  const together = alternative.map(({ scheme }) => scheme).join(" and ");
  if (headers.size > 1) return `${together}: two API keys can't be asked for together`;
  if ([...auth].filter((one) => one !== "apiKey").length > 1)
    return `${together}: two tokens can't come in one Authorization field`;
  return { auth: [...auth].sort(), needs: [...needs].sort() };
}

/** Without the ways that another one, with the same credentials and fewer needs, makes superfluous. */
function withoutRedundant(ways: readonly Way[]): readonly Way[] {
  return ways.filter(
    (way, index) => !ways.some((other, at) => at !== index && covers(other, way, at < index)),
  );
}

function covers(other: Way, way: Way, isEarlier: boolean): boolean {
  if (!sameList(other.auth, way.auth) || !isSubset(other.needs, way.needs)) return false;
  return other.needs.length < way.needs.length || isEarlier;
}

export function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}

export function isSubset(some: readonly string[], all: readonly string[]): boolean {
  return some.every((one) => all.includes(one));
}

/** Needs of a route: every one, or any one of them. */
export interface Needs {
  readonly mode: "all" | "any";
  readonly names: readonly string[];
}

/** The guard of a route. */
export interface Guard {
  readonly access: "public" | "optional" | "guarded";
  /** Alternatives of credentials; empty when public. */
  readonly auth: readonly (readonly string[])[];
  readonly scopes: Needs | undefined;
  readonly roles: Needs | undefined;
  /** Where the guard is not exactly what the document says. */
  readonly notes: readonly string[];
}

const NOTHING = { scopes: undefined, roles: undefined };

/**
 * The guard for these ways; undefined when none of them can be checked, so that the operation can't be let through.
 * `fallback` is for operations of which the document says nothing: their credentials, or `public`.
 */
export function guardOf(ways: Ways, fallback: readonly (readonly string[])[] | "public"): Guard | undefined {
  const dropped = ways.dropped.map((why) => `not taken here, ${why}`);
  if (ways.access === "undeclared") {
    const notes = ["the document says nothing of security here"];
    if (fallback === "public") return { access: "public", auth: [], ...NOTHING, notes };
    return { access: "guarded", auth: fallback, ...NOTHING, notes };
  }
  if (ways.access === "public") return { access: "public", auth: [], ...NOTHING, notes: dropped };
  if (ways.ways.length === 0) return undefined;
  const auth = distinct(ways.ways.map((way) => way.auth));
  if (ways.access === "open") {
    // Whoever lacks a scope may come without a credential as well, so scopes would refuse those that the document lets in.
    const idle = ways.ways.some((way) => way.needs.length > 0);
    const note = "scopes are not asked for: the document lets callers pass without any credential";
    return { access: "optional", auth, ...NOTHING, notes: [...dropped, ...(idle ? [note] : [])] };
  }
  const needs = needsOf(ways.ways, auth.length);
  return { access: "guarded", auth, ...needs, notes: [...dropped, ...needs.notes] };
}

function distinct(lists: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return lists.filter((list, index) => lists.findIndex((other) => sameList(other, list)) === index);
}

function needsOf(ways: readonly Way[], kinds: number): Pick<Guard, "scopes" | "roles" | "notes"> {
  const [first] = ways;
  const every = [...new Set(ways.flatMap((way) => way.needs))];
  const all = (names: readonly string[]): Needs | undefined =>
    names.length === 0 ? undefined : { mode: "all", names };
  const named = (kind: string): string[] =>
    every.flatMap((one) => (one.startsWith(`${kind}:`) ? [one.slice(kind.length + 1)] : []));
  const [scopes, roles] = [named("scope"), named("role")];
  if (first === undefined || ways.every((way) => sameList(way.needs, first.needs)))
    return { scopes: all(scopes), roles: all(roles), notes: [] };
  const oneEach = kinds === 1 && ways.every((way) => way.needs.length === 1);
  if (oneEach && (scopes.length === 0 || roles.length === 0)) {
    const any = (names: readonly string[]): Needs | undefined =>
      names.length === 0 ? undefined : { mode: "any", names };
    return { scopes: any(scopes), roles: any(roles), notes: [] };
  }
  const free = ways.filter((way) => way.needs.length === 0).map((way) => way.auth.join(" with "));
  const note =
    free.length > 0
      ? `the document asks nothing more of callers with ${[...new Set(free)].join(" or ")}; here they need the same as all`
      : "the document asks for these by alternatives; here every caller needs all of them";
  return { scopes: all(scopes), roles: all(roles), notes: [note] };
}
