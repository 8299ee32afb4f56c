// Roles grant scopes and a tier. Inheritance was resolved at load.

import type { RoleTable } from "./policy.ts";

export interface Grants {
  readonly scopes: readonly string[];
  readonly tier: string | undefined;
}

const NOTHING: Grants = { scopes: [], tier: undefined };

/** What `roles` give together; unknown roles give nothing. The first role with a tier decides the tier. */
export function grantsOf(table: RoleTable, roles: readonly string[]): Grants {
  if (roles.length === 0 || table.size === 0) return NOTHING;
  const scopes: string[] = [];
  let tier: string | undefined;
  for (const role of roles) {
    const grant = table.get(role);
    if (grant === undefined) continue;
    scopes.push(...grant.scopes);
    tier ??= grant.tier;
  }
  return { scopes, tier };
}
