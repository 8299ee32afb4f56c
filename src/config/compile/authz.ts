// Compiles what a route asks of its caller: scopes, roles, requirements and addresses.

import type * as z from "zod";
import type { ipsOption, requireOption, rolesOption, scopesOption } from "../../authz/options.ts";
import type { AddressRules, AuthzPolicy, Requirement, RoleTable } from "../../authz/policy.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import { CLAIM_HINT, parseClaimPath } from "./claim-path.ts";
import { keyAtOf, partOf, rangeList } from "./entries.ts";
import { checkRoles } from "./roles.ts";

const FACTS = ["subject", "org", "email", "clientId"] as const;

/** The fields of a route that `compileAuthz` reads. */
export interface AuthzFields {
  readonly scopes: Field<z.output<typeof scopesOption>>;
  readonly roles: Field<z.output<typeof rolesOption>>;
  readonly require: Field<z.output<typeof requireOption>>;
}

/** The policy of a guarded route; `parameters` are the names that every one of its patterns has. */
export function compileAuthz(
  report: Report,
  fields: AuthzFields,
  roles: RoleTable,
  parameters: ReadonlySet<string>,
): AuthzPolicy {
  const scopes = compileChoice(report, fields.scopes);
  const needed = compileChoice(report, fields.roles);
  if (needed !== undefined) {
    const steps = Array.isArray(fields.roles.value) ? [] : [needed.mode];
    checkRoles(report, fields.roles, needed.names, roles, ...steps);
  }
  return {
    scopes: scopes && { mode: scopes.mode, scopes: scopes.names },
    roles: needed && { mode: needed.mode, roles: needed.names },
    require: compileRequirements(report, fields.require, parameters),
  };
}

type Choice =
  | readonly string[]
  | { readonly any?: readonly string[] | undefined; readonly all?: readonly string[] | undefined };

function compileChoice(
  report: Report,
  { value, node, path }: Field<Choice>,
): { readonly mode: "all" | "any"; readonly names: readonly string[] } | undefined {
  if (value === undefined) return undefined;
  if (!("any" in value) && !("all" in value)) {
    // Without either key it is the list, or an empty map.
    if (Array.isArray(value)) return { mode: "all", names: value };
    report.add(node.at, path, "list_empty", "expected {any: [...]} or {all: [...]}");
    return undefined;
  }
  const { any, all } = value;
  if (any !== undefined && all !== undefined) {
    report.add(node.at, path, "conflict", "`any` and `all` can't stand together");
    return undefined;
  }
  return any === undefined ? { mode: "all", names: all ?? [] } : { mode: "any", names: any };
}

function compileRequirements(
  report: Report,
  field: AuthzFields["require"],
  parameters: ReadonlySet<string>,
): readonly Requirement[] {
  const { value } = field;
  if (value !== undefined && Object.keys(value).length === 0) {
    report.add(field.node.at, field.path, "list_empty", "an empty map is not allowed here");
  }
  return Object.entries(value ?? {}).flatMap(([key, wanted]) => {
    const fact = factOf(key);
    const path = [...field.path, key];
    if (fact === undefined) {
      const message = key.startsWith("claims.") ? CLAIM_HINT : `expected ${FACTS.join(", ")} or claims.NAME`;
      report.addUnknown(keyAtOf(field, key), path, "unknown_key", message, key, FACTS);
      return [];
    }
    const expected = expectedOf(wanted);
    if (expected.kind === "parameter" && !parameters.has(expected.name)) {
      const { node } = partOf(field, key);
      const message = "every pattern of the route needs a path parameter of this name";
      report.addUnknown(node.at, path, "unknown_reference", message, expected.name, parameters);
    }
    return [{ fact, expected, text: `${key}: ${JSON.stringify(wanted)}` }];
  });
}

function factOf(key: string): Requirement["fact"] | undefined {
  const plain = FACTS.find((one) => one === key);
  if (plain !== undefined) return { kind: plain };
  const path = key.startsWith("claims.") ? parseClaimPath(key.slice("claims.".length)) : undefined;
  return path && { kind: "claim", path };
}

function expectedOf(wanted: z.output<typeof requireOption>[string]): Requirement["expected"] {
  if (typeof wanted === "string" && /^:[A-Za-z_]\w*$/.test(wanted)) {
    return { kind: "parameter", name: wanted.slice(1) };
  }
  return { kind: "values", values: Array.isArray(wanted) ? wanted : [wanted] };
}

/** `ips` of a route. */
export function compileIps(report: Report, field: Field<z.output<typeof ipsOption>>): AddressRules {
  return {
    allow: rangeList(report, field, field.value?.allow ?? [], "allow"),
    deny: rangeList(report, field, field.value?.deny ?? [], "deny"),
  };
}
