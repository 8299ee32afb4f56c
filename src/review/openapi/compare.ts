// How the guard of a route differs from what a document says of an operation. `wider`: the gateway lets callers pass whom
// the document doesn't. `stricter`: it refuses callers whom the document lets in.

import type { RoutePolicy } from "../../config/gateway-config.ts";
import { guardOf, isSubset, type Needs, sameList, type Way, type Ways } from "./guard.ts";

export interface GuardDifference {
  readonly kind: "wider" | "stricter" | "note";
  /** What of the guard: `access`, `auth`, or `scopes` (and roles). */
  readonly part: "access" | "auth" | "scopes";
  readonly message: string;
}

/** @param ways what the document says; issuers are not told apart, since a document has other names for them */
export function compareGuard(ways: Ways, route: RoutePolicy): readonly GuardDifference[] {
  const { access } = route;
  const documented = { ...ways, ways: ways.ways.map(({ auth, needs }) => ({ auth: kindsOf(auth), needs })) };
  const taken = distinct(route.auth.map(kindsOf));
  if (ways.access === "undeclared") return undeclared(access);
  if (ways.access === "public")
    return access === "guarded"
      ? [strict("access", "the document says public, the gateway asks for a credential")]
      : [];
  if (ways.access === "open") {
    if (access === "guarded")
      return [strict("access", "the document lets callers pass without a credential, the gateway doesn't")];
    if (access === "public")
      return [note("access", "the document takes a credential or none, the gateway looks at none")];
    const asks = route.authz.scopes !== undefined || route.authz.roles !== undefined;
    const message = "the document lets callers pass without a credential, the route asks for scopes or roles";
    return [...compareAuth(documented, taken), ...(asks ? [strict("scopes", message)] : [])];
  }
  if (access !== "guarded") {
    const lets = access === "public" ? "public" : "open to callers without a credential (`optional`)";
    return [wide("access", `the document asks for a credential, the route is ${lets}`)];
  }
  if (documented.ways.length === 0)
    return [note("auth", `the document asks for what the gateway can't check: ${ways.dropped.join("; ")}`)];
  return [...compareAuth(documented, taken), ...compareNeeds(documented, taken, route, ways)];
}

function undeclared(access: RoutePolicy["access"]): readonly GuardDifference[] {
  if (access === "public") return [];
  return [note("access", "the document says nothing of security, the gateway asks for a credential")];
}

const wide = (part: GuardDifference["part"], message: string): GuardDifference => ({
  kind: "wider",
  part,
  message,
});
const strict = (part: GuardDifference["part"], message: string): GuardDifference => ({
  kind: "stricter",
  part,
  message,
});
const note = (part: GuardDifference["part"], message: string): GuardDifference => ({
  kind: "note",
  part,
  message,
});

/** `jwt:NAME` is `jwt`. */
function kindsOf(names: readonly string[]): readonly string[] {
  return [...new Set(names.map((name) => (name.startsWith("jwt:") ? "jwt" : name)))].sort();
}

function distinct(lists: readonly (readonly string[])[]): readonly (readonly string[])[] {
  return lists.filter((list, index) => lists.findIndex((other) => sameList(other, list)) === index);
}

function compareAuth(
  { ways, dropped }: Ways,
  taken: readonly (readonly string[])[],
): readonly GuardDifference[] {
  const known = distinct(ways.map(({ auth }) => auth));
  const unknown = taken.filter((kinds) => !known.some((other) => isSubset(other, kinds)));
  const missing = known.filter((kinds) => !taken.some((other) => isSubset(other, kinds)));
  return [
    ...unknown.map((kinds) =>
      wide("auth", `the route takes ${kinds.join(" with ")}, which the document doesn't name`),
    ),
    ...missing.map((kinds) =>
      strict("auth", `the document takes ${kinds.join(" with ")}, the route doesn't`),
    ),
    ...dropped.map((why) => note("auth", `the document also takes what the gateway can't check: ${why}`)),
  ];
}

/** What the route needs beyond a credential, as the sets any one of which is enough. */
function leastSets({ authz }: RoutePolicy): readonly (readonly string[])[] {
  const scopes = setsOf(authz.scopes && { mode: authz.scopes.mode, names: authz.scopes.scopes }, "scope");
  const roles = setsOf(authz.roles && { mode: authz.roles.mode, names: authz.roles.roles }, "role");
  return scopes.flatMap((some) => roles.map((others) => [...some, ...others].sort()));
}

function setsOf(needs: Needs | undefined, kind: string): readonly (readonly string[])[] {
  if (needs === undefined) return [[]];
  const names = needs.names.map((name) => `${kind}:${name}`);
  return needs.mode === "all" ? [names] : names.map((name) => [name]);
}

function compareNeeds(
  documented: Ways,
  taken: readonly (readonly string[])[],
  route: RoutePolicy,
  original: Ways,
): readonly GuardDifference[] {
  const enough = leastSets(route);
  const difference = (make: typeof wide, kinds: readonly string[]): GuardDifference => {
    const said = documented.ways.filter((way) => sameList(way.auth, kinds)).map(({ needs }) => needs);
    return make(
      "scopes",
      `with ${kinds.join(" and ")} the document asks for ${alternatives(said)}, the route for ${alternatives(enough)}`,
    );
  };
  // A route of this reading asks for more than each alternative does, on purpose.
  const asImported = isReading(documented, enough) || isReading(original, enough);
  return taken.flatMap((kinds) => {
    const ways = documented.ways.filter((way) => isSubset(way.auth, kinds));
    if (ways.length === 0) return [];
    if (enough.some((set) => !ways.some(({ needs }) => isSubset(needs, set))))
      return [difference(wide, kinds)];
    const same = ways.filter((way) => sameList(way.auth, kinds));
    const refused = same.some((way: Way) => !enough.some((set) => isSubset(set, way.needs)));
    return refused && !asImported ? [difference(strict, kinds)] : [];
  });
}

function isReading(documented: Ways, enough: readonly (readonly string[])[]): boolean {
  const guard = guardOf(documented, "public");
  if (guard === undefined) return false;
  const scopes = setsOf(guard.scopes, "scope");
  const roles = setsOf(guard.roles, "role");
  const read = scopes.flatMap((some) => roles.map((others) => [...some, ...others].sort().join(" ")));
  return sameList(read.sort(), enough.map((set) => set.join(" ")).sort());
}

function alternatives(sets: readonly (readonly string[])[]): string {
  const texts = sets.map((set) => (set.length === 0 ? "nothing more" : set.map(nameOf).join(" and ")));
  return [...new Set(texts)].join(", or ");
}

/** `scope:pets:read` is the scope pets:read. */
function nameOf(need: string): string {
  const colon = need.indexOf(":");
  return `${need.slice(0, colon)} ${need.slice(colon + 1)}`;
}
