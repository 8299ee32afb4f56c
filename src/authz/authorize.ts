// May this principal use this route? Scopes, roles and requirements, checked in that order.

import { claimAt } from "../core/claims.ts";
import { type Denial, deny } from "../core/denial.ts";
import type { ObservePart } from "../core/observe.ts";
import type { Principal } from "../core/principal.ts";
import type { AuthzPolicy, Requirement } from "./policy.ts";

/** Takes a refusal by a part that is only observed, and tells whether it did. */
export type Observe = (part: ObservePart, denial: Denial) => boolean;

/** The refusal, or undefined when the principal may pass. What `observe` takes doesn't refuse. */
export function authorize(
  policy: AuthzPolicy,
  principal: Principal,
  parameters: Readonly<Record<string, string>>,
  observe?: Observe,
): Denial | undefined {
  const { scopes, roles } = policy;
  if (scopes !== undefined && !principal.scopes.meets(scopes)) {
    const denial = deny("scope_insufficient", "scope_missing", { requiredScopes: scopes.scopes });
    if (observe?.("scopes", denial) !== true) return denial;
  }
  if (roles !== undefined && !holdsRoles(principal, roles)) {
    const denial = deny("role_insufficient", "role_missing");
    if (observe?.("roles", denial) !== true) return denial;
  }
  for (const requirement of policy.require) {
    if (requirementHolds(requirement, principal, parameters)) continue;
    const denial = deny("requirement_failed", "requirement_not_met");
    return observe?.("require", denial) === true ? undefined : denial;
  }
  return undefined;
}

/** Whether the principal holds every role (`all`) or one of them (`any`). */
export function holdsRoles(
  principal: Pick<Principal, "roles">,
  { mode, roles }: NonNullable<AuthzPolicy["roles"]>,
): boolean {
  const holds = (role: string): boolean => principal.roles.includes(role);
  return mode === "all" ? roles.every(holds) : roles.some(holds);
}

/** Whether the principal meets one requirement; a fact that it doesn't have meets none. */
export function requirementHolds(
  requirement: Requirement,
  principal: Principal,
  parameters: Readonly<Record<string, string>>,
): boolean {
  const held = factOf(requirement, principal);
  if (held === undefined || held === null || held === "") return false;
  const values: readonly unknown[] = Array.isArray(held) ? held : [held];
  const { expected } = requirement;
  if (expected.kind === "values") return values.some((value) => expected.values.includes(value as never));
  const parameter = Object.hasOwn(parameters, expected.name) ? parameters[expected.name] : undefined;
  // Path parameters are text; a numeric claim may still name the same thing.
  return (
    parameter !== undefined &&
    values.some(
      (value) => (typeof value === "string" || typeof value === "number") && String(value) === parameter,
    )
  );
}

/** The fact of the principal that a requirement is about; undefined when he has none. */
export function factOf({ fact }: Requirement, principal: Principal): unknown {
  switch (fact.kind) {
    case "subject":
      return principal.subject;
    case "org":
      return principal.org;
    case "email":
      return principal.email;
    case "clientId":
      return principal.clientId;
    case "claim":
      return claimAt(principal.claims, fact.path);
  }
}
