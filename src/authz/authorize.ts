// May this principal use this route? Scopes, roles and requirements, checked in that order.

import { claimAt } from "../core/claims.ts";
import { type Denial, deny } from "../core/denial.ts";
import type { Principal } from "../core/principal.ts";
import type { AuthzPolicy, Requirement } from "./policy.ts";

/** The refusal, or undefined when the principal may pass. */
export function authorize(
  policy: AuthzPolicy,
  principal: Principal,
  parameters: Readonly<Record<string, string>>,
): Denial | undefined {
  const { scopes, roles } = policy;
  if (scopes !== undefined && !principal.scopes.meets(scopes)) {
    return deny("scope_insufficient", "scope_missing", { requiredScopes: scopes.scopes });
  }
  if (roles !== undefined) {
    const holds = (role: string): boolean => principal.roles.includes(role);
    if (!(roles.mode === "all" ? roles.roles.every(holds) : roles.roles.some(holds))) {
      return deny("role_insufficient", "role_missing");
    }
  }
  for (const requirement of policy.require) {
    if (!requirementHolds(requirement, principal, parameters))
      return deny("requirement_failed", "requirement_not_met");
  }
  return undefined;
}

function requirementHolds(
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

function factOf({ fact }: Requirement, principal: Principal): unknown {
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
