// Warns of API keys that let nobody in: out of date, or shut out by every route.

import type { ApiKeyRecord } from "../../authn/api-key/policy.ts";
import { grantsOf } from "../../authz/roles.ts";
import { type AddressRange, rangeCovers } from "../../core/address.ts";
import type { GatewayConfig, RoutePolicy } from "../gateway-config.ts";
import { type Holding, HoldingIndex, hasRoles, holdingOf } from "./held.ts";
import { type LintContext, takesKeysAlone } from "./place.ts";

/** Tells of keys without a use, and gives those that can be used. @param nowMs wall-clock time */
export function lintApiKeys(
  context: LintContext,
  config: GatewayConfig,
  nowMs: number,
): readonly ApiKeyRecord[] {
  const { apiKeys, routes } = config;
  const usable = apiKeys.filter((key, index) => {
    if (!key.enabled) {
      context.tell("note", ["apiKeys", index, "enabled"], "key_disabled", "this key is refused");
      return false;
    }
    if (key.expiresAtMs === undefined || key.expiresAtMs > nowMs) return true;
    context.tell(
      "warning",
      ["apiKeys", index, "expires"],
      "key_expired",
      "this key has expired and is refused",
      {
        hint: "remove it, or give it a later date",
      },
    );
    return false;
  });
  if (!routes.some(({ auth }) => auth.flat().includes("apiKey"))) return usable;
  // With a token beside the key, what is held can't be known.
  if (routes.some((route) => route.auth.flat().includes("apiKey") && !takesKeysAlone(route))) return usable;
  const idle = idleKinds(config, usable, distinctDoors(routes.filter(takesKeysAlone)));
  for (const key of usable) {
    if (!idle.has(kindOf(key))) continue;
    const message = "no route lets this key pass: of none it has the scopes, the roles and the addresses";
    context.tell("warning", ["apiKeys", apiKeys.indexOf(key)], "unused", message);
  }
  return usable;
}

/** What a route asks of a key. */
type Door = Pick<RoutePolicy, "authz" | "ips">;

interface KeyHolding extends Holding {
  readonly kind: string;
  readonly allowIps: readonly AddressRange[];
}

function kindOf({ scopes, roles, allowIps }: ApiKeyRecord): string {
  return JSON.stringify([scopes, roles, allowIps]);
}

function distinctDoors(routes: readonly RoutePolicy[]): readonly Door[] {
  const doors = new Map<string, Door>();
  for (const { authz, ips } of routes)
    doors.set(JSON.stringify([authz.scopes, authz.roles, ips]), { authz, ips });
  return [...doors.values()];
}

/** The kinds of keys that none of the doors lets pass. */
function idleKinds(
  { roles }: GatewayConfig,
  keys: readonly ApiKeyRecord[],
  doors: readonly Door[],
): ReadonlySet<string> {
  const kinds = new Map<string, KeyHolding>();
  for (const key of keys) {
    const kind = kindOf(key);
    if (kinds.has(kind)) continue;
    const scopes = [...key.scopes, ...grantsOf(roles, key.roles).scopes];
    kinds.set(kind, { kind, allowIps: key.allowIps, ...holdingOf(scopes, key.roles) });
  }
  const index = new HoldingIndex([...kinds.values()]);
  const idle = new Set(kinds.keys());
  for (const { authz, ips } of doors) {
    for (const one of index.meeting(authz.scopes)) {
      if (!idle.has(one.kind) || !hasRoles(one, authz.roles)) continue;
      if (meet(one.allowIps, ips.allow) && !isDenied(one.allowIps, ips.deny)) idle.delete(one.kind);
    }
    if (idle.size === 0) break;
  }
  return idle;
}

/** Whether some address may lie in both lists; an empty one holds every address. */
function meet(a: readonly AddressRange[], b: readonly AddressRange[]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((one) => b.some((other) => rangeCovers(one, other) || rangeCovers(other, one)));
}

/** Whether every address of a list, that isn't empty, is denied. */
export function isDenied(allowed: readonly AddressRange[], denied: readonly AddressRange[]): boolean {
  return allowed.length > 0 && allowed.every((one) => denied.some((range) => rangeCovers(range, one)));
}
