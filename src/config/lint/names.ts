// Warns of roles and tiers that nothing in the file gives to anybody, and of callers who are let in for nothing.

import type { GatewayConfig } from "../gateway-config.ts";
import { entryOf } from "../tree.ts";
import type { LintContext } from "./place.ts";

// Callers whose credential names no tier have these.
const GIVEN_TIERS = ["guest", "user"];

/** Warnings only. */
export function lintNames(context: LintContext, { apiKeys, issuers, roles, routes }: GatewayConfig): void {
  for (const [index, { access, authz }] of routes.entries()) {
    if (access !== "optional") continue;
    const key = authz.scopes !== undefined ? "scopes" : authz.roles !== undefined ? "roles" : "require";
    if (authz.scopes === undefined && authz.roles === undefined && authz.require.length === 0) continue;
    const message = `callers without a credential never pass: they have none of the \`${key}\` that the route asks for`;
    context.tell("warning", ["routes", index, "optional"], "optional_pointless", message);
  }
  // Tokens may name any role and any tier.
  if (issuers.length > 0) return;
  const table = context.find(["roles"]);
  const inherited = (table?.kind === "map" ? table.entries : []).flatMap(({ value }) => {
    const list = entryOf(value, "inherits")?.value;
    return list?.kind === "list" ? list.items.map((item) => (item.kind === "scalar" ? item.value : "")) : [];
  });
  const usedRoles = new Set<unknown>([...inherited, ...apiKeys.flatMap((key) => key.roles)]);
  for (const name of roles.keys())
    if (!usedRoles.has(name))
      context.tell("warning", ["roles", name], "unused", "no API key has this role, and there are no tokens");
  const usedTiers = new Set([
    ...GIVEN_TIERS,
    ...apiKeys.flatMap((key) => key.tier ?? []),
    ...[...roles.values()].flatMap((role) => role.tier ?? []),
  ]);
  const tiers = context.find(["tiers"]);
  for (const { key } of tiers?.kind === "map" ? tiers.entries : [])
    if (!usedTiers.has(key))
      context.tell(
        "warning",
        ["tiers", key],
        "unused",
        "no API key and no role names this tier, and there are no tokens",
      );
}
