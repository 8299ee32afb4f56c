// The shapes of scopes, roles, requirements and address rules in gateway.yaml.

import * as z from "zod";
import { isScopeToken } from "../core/scope.ts";
import { NAME, NAME_HINT } from "../core/wording.ts";

const SCOPE_HINT = "expected a scope: printable ASCII without spaces, double quotes and backslashes";

const scope = z.string().refine(isScopeToken, SCOPE_HINT);
const role = z.string().regex(/^[\x21-\x7e]{1,128}$/, "expected a role: printable ASCII without spaces");

/** A list of scopes that a key or a role holds. */
export const heldScopes = z.array(scope);

/** A list of roles that a key holds. */
export const heldRoles = z.array(role);

const SCOPES_HINT = "expected a list of scopes (all are needed), or {any: [...]} or {all: [...]}";
const ROLES_HINT = "expected a list of roles (all are needed), or {any: [...]} or {all: [...]}";

/** `scopes` of a route. */
export const scopesOption = z
  .union(
    [
      z.array(scope).min(1),
      z.strictObject({
        any: z
          .array(scope)
          .min(1)
          .describe("One of these scopes is enough")
          .meta({ examples: [["modules:write", "modules:admin"]] })
          .optional(),
        all: z
          .array(scope)
          .min(1)
          .describe("All of these scopes are needed")
          .meta({ examples: [["modules:read", "modules:write"]] })
          .optional(),
      }),
    ],
    SCOPES_HINT,
  )
  .describe("Scopes that the caller needs: a list means all of them")
  .meta({ examples: [["modules:read"], { any: ["modules:write", "modules:admin"] }] });

/** `roles` of a route. */
export const rolesOption = z
  .union(
    [
      z.array(role).min(1),
      z.strictObject({
        any: z
          .array(role)
          .min(1)
          .describe("One of these roles is enough")
          .meta({ examples: [["editor", "admin"]] })
          .optional(),
        all: z
          .array(role)
          .min(1)
          .describe("All of these roles are needed")
          .meta({ examples: [["editor", "auditor"]] })
          .optional(),
      }),
    ],
    ROLES_HINT,
  )
  .describe("Roles that the caller needs: a list means all of them")
  .meta({ examples: [["editor"], { any: ["editor", "admin"] }] });

const requiredValue = z.union([z.string(), z.number(), z.boolean()], "expected a value or `:parameter`");

/** `require` of a route. */
export const requireOption = z
  .record(
    z.string(),
    z.union(
      [requiredValue, z.array(requiredValue).min(1)],
      "expected a value, `:parameter`, or a list of values",
    ),
  )
  .describe("Facts of the caller that have to equal a path parameter or one of some values")
  .meta({ examples: [{ subject: ":userId" }, { "claims.plan": ["pro", "team"] }] });

const ranges = z.array(z.string()).min(1);

/** `ips` of a route. */
export const ipsOption = z
  .strictObject({
    allow: ranges
      .describe("Addresses and CIDR ranges that may call; all others are refused")
      .meta({ examples: [["10.0.0.0/8"]] })
      .optional(),
    deny: ranges
      .describe("Addresses and CIDR ranges that are refused, even when allowed")
      .meta({ examples: [["10.9.0.0/16"]] })
      .optional(),
  })
  .describe("Client addresses that may use the route")
  .meta({ examples: [{ allow: ["10.0.0.0/8"], deny: ["10.9.0.0/16"] }] });

/** One entry of the `roles` section. */
export const roleShape = {
  scopes: heldScopes
    .describe("Scopes that the role gives")
    .meta({ examples: [["modules:read"]] })
    .optional(),
  tier: z
    .string()
    .regex(NAME, NAME_HINT)
    .describe("Tier of principals with this role")
    .meta({ examples: ["partner"] })
    .optional(),
  inherits: z
    .array(z.string())
    .min(1)
    .describe("Roles whose scopes this one has too, and whose tier where it has none")
    .meta({ examples: [["viewer"]] })
    .optional(),
};
