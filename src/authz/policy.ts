// What a route asks of its caller beyond being authenticated.

import type { AddressRange } from "../core/address.ts";
import type { ScopeRequirement } from "../core/scope.ts";

/** One line of `require`: a fact about the principal that must equal a path parameter or one of some values. */
export interface Requirement {
  readonly fact:
    | { readonly kind: "subject" | "org" | "email" | "clientId" }
    | { readonly kind: "claim"; readonly path: readonly string[] };
  readonly expected:
    | { readonly kind: "parameter"; readonly name: string }
    | { readonly kind: "values"; readonly values: readonly (string | number | boolean)[] };
  /** As written, for messages and logs. */
  readonly text: string;
}

export interface AddressRules {
  /** Empty: every address that isn't denied. */
  readonly allow: readonly AddressRange[];
  readonly deny: readonly AddressRange[];
}

export interface AuthzPolicy {
  readonly scopes: ScopeRequirement | undefined;
  /** The principal must hold every one (`all`) or one (`any`) of these roles. */
  readonly roles: { readonly mode: "all" | "any"; readonly roles: readonly string[] } | undefined;
  readonly require: readonly Requirement[];
}

/** A role as configured, with inheritance already resolved. */
export interface RoleGrant {
  readonly scopes: readonly string[];
  readonly tier: string | undefined;
}

export type RoleTable = ReadonlyMap<string, RoleGrant>;
