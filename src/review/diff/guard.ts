// What a pattern of a route really asks of its callers: checks that are only observed let everybody through, and a path
// parameter is the place in the path where it stands.

import { authorize } from "../../authz/authorize.ts";
import type { AuthzPolicy, Requirement } from "../../authz/policy.ts";
import type { ObservePart } from "../../core/observe.ts";
import { ANONYMOUS } from "../../core/principal.ts";
import { type AddressSet, allowedBy, EVERYWHERE } from "./address-set.ts";
import type { Served, Side } from "./side.ts";
import { TierDoors } from "./tier-doors.ts";

/** A set of credentials that is enough to be known: a token of one of the issuers, an API key, or both. */
export interface Way {
  /** Names of issuers; undefined: no token is needed. */
  readonly issuers: readonly string[] | undefined;
  readonly key: boolean;
}

/** One line of `require`, with the place of its parameter in the path. */
export interface Needed {
  readonly requirement: Requirement;
  /** Index of the segment that the fact has to equal; undefined where it has to be one of some values. */
  readonly segment: number | undefined;
}

export interface Guard {
  readonly side: Side;
  readonly served: Served;
  readonly addresses: AddressSet;
  /** Whether callers pass without any credential. */
  readonly anybody: boolean;
  readonly ways: readonly Way[];
  readonly scopes: AuthzPolicy["scopes"];
  readonly roles: AuthzPolicy["roles"];
  readonly needs: readonly Needed[];
  readonly doors: TierDoors;
  /** Equal for guards that ask the same. */
  readonly signature: string;
}

export function guardOf(side: Side, served: Served): Guard {
  const { route, match } = served;
  const isObserved = (part: ObservePart): boolean => route.observe.includes(part);
  const authz: AuthzPolicy = {
    scopes: isObserved("scopes") ? undefined : route.authz.scopes,
    roles: isObserved("roles") ? undefined : route.authz.roles,
    require: isObserved("require") ? [] : route.authz.require,
  };
  const doors = new TierDoors(isObserved("limit") ? [] : route.limits);
  const open = route.access !== "guarded" || isObserved("auth");
  const needs = authz.require.map((requirement) => ({
    requirement,
    segment: segmentOf(requirement, served),
  }));
  const ways = waysOf(side, served);
  const ips = isObserved("ips") ? undefined : route.ips;
  return {
    side,
    served,
    addresses: ips === undefined ? EVERYWHERE : allowedBy(ips),
    anybody: open && authorize(authz, ANONYMOUS, {}) === undefined && !doors.shutsOutGuests,
    ways,
    scopes: authz.scopes,
    roles: authz.roles,
    needs,
    doors,
    signature: JSON.stringify([
      open,
      ways,
      authz.scopes,
      authz.roles,
      needs.map(({ requirement, segment }) => [
        requirement.fact,
        segment ?? ("values" in requirement.expected ? requirement.expected.values : []),
      ]),
      ips,
      doors.any
        ? route.limits.map((limit) => ["tiers" in limit ? [...limit.tiers] : limit.limit, limit])
        : [],
      match.segments.length,
    ]),
  };
}

function segmentOf({ expected }: Requirement, { match }: Served): number | undefined {
  if (expected.kind === "values") return undefined;
  return match.segments.findIndex((one) => one.kind === "parameter" && one.name === expected.name);
}

/** Alternatives that callers can get to: the one that decides is the first that fits what was sent. */
function waysOf({ config }: Side, { route }: Served): readonly Way[] {
  const lone = route.auth.filter(([name = "", ...others]) => others.length === 0 && isToken(name));
  const kinds = route.auth.map((names) => new Set(names.map((name) => (isToken(name) ? "jwt" : name))));
  const firstMatch = route.credentials === "firstMatch";
  const all = config.issuers.map(({ name }) => name);
  const issuersOf = (name: string): readonly string[] => (name === "jwt" ? all : [name.slice("jwt:".length)]);
  return route.auth.flatMap((names, index): Way[] => {
    const sent = kinds[index] ?? new Set();
    const decides = kinds.findIndex(
      (one) => (firstMatch || one.size === sent.size) && [...one].every((kind) => sent.has(kind)),
    );
    const joined = lone.includes(names);
    if (decides !== index && !(joined && lone.includes(route.auth[decides] ?? []))) return [];
    const tokens = names.filter(isToken).map(issuersOf);
    const [first, ...others] = tokens;
    const issuers = first?.filter((name) => others.every((list) => list.includes(name)));
    return issuers?.length === 0 ? [] : [{ issuers, key: sent.has("apiKey") }];
  });
}

function isToken(name: string): boolean {
  return name === "jwt" || name.startsWith("jwt:");
}
