// Identity headers: what the upstream learns of the principal. Rendered once per principal, since a verified token or a
// key is the same object on every request.

import { claimAt } from "../core/claims.ts";
import { encodeFieldValue } from "../core/fields.ts";
import type { Principal } from "../core/principal.ts";

/** Which fact of the principal a header carries. */
export type IdentityFact =
  | "subject"
  | "scopes"
  | "roles"
  | "email"
  | "org"
  | "method"
  | "client"
  | "tier"
  | { readonly claim: readonly string[] };

const NO_FIELDS: readonly string[] = [];

export class IdentityFields {
  readonly #mapping: readonly (readonly [header: string, fact: IdentityFact])[];
  readonly #rendered = new WeakMap<Principal, readonly string[]>();

  constructor(mapping: readonly (readonly [header: string, fact: IdentityFact])[]) {
    this.#mapping = mapping;
  }

  /** Flat name and value list. A fact that the principal lacks gives no field; an anonymous caller gives none at all. */
  of(principal: Principal): readonly string[] {
    if (principal.method === "anonymous") return NO_FIELDS;
    const known = this.#rendered.get(principal);
    if (known !== undefined) return known;
    const fields: string[] = [];
    for (const [header, fact] of this.#mapping) {
      const value = factValue(principal, fact);
      if (value !== undefined && value !== "") fields.push(header, encodeFieldValue(value));
    }
    this.#rendered.set(principal, fields);
    return fields;
  }
}

function factValue(principal: Principal, fact: IdentityFact): string | undefined {
  switch (fact) {
    case "subject":
      return principal.subject;
    case "scopes":
      return principal.scopes.values.join(" ");
    case "roles":
      return principal.roles.join(",");
    case "email":
      return principal.email;
    case "org":
      return principal.org;
    case "method":
      return principal.method;
    case "client":
      return principal.clientId;
    case "tier":
      return principal.tier;
    default:
      return claimText(claimAt(principal.claims, fact.claim));
  }
}

function claimText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const texts = Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
  return texts.length > 0 ? texts.join(",") : undefined;
}
