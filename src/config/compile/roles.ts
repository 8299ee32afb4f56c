// Compiles `roles`: inheritance is resolved here, so that a request only looks a role up.

import { roleShape } from "../../authz/options.ts";
import type { RoleGrant, RoleTable } from "../../authz/policy.ts";
import { type Field, type FieldsOf, readFields } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { namedEntries, partOf } from "./entries.ts";
import { checkTierName, type TierTable } from "./tiers.ts";

type Declared = ReadonlyMap<string, FieldsOf<typeof roleShape>>;

/** `roles`. */
export function compileRoles(
  report: Report,
  place: Place | undefined,
  tiers: TierTable | undefined,
): RoleTable {
  const declared = new Map<string, FieldsOf<typeof roleShape>>();
  for (const entry of place === undefined ? [] : namedEntries(report, place)) {
    const fields = readFields(report, entry, roleShape);
    if (fields !== undefined) declared.set(entry.name, fields);
  }
  for (const [name, { inherits, tier }] of declared) {
    checkInheritance(report, declared, name, inherits);
    checkTierName(report, tier, tier.value, tiers);
  }
  return new Map([...declared.keys()].map((name) => [name, grantOf(declared, name)]));
}

function checkInheritance(report: Report, declared: Declared, name: string, inherits: Field<string[]>): void {
  for (const [index, parent] of (inherits.value ?? []).entries()) {
    const { node, path } = partOf(inherits, index);
    if (!declared.has(parent)) {
      report.addUnknown(
        node.at,
        path,
        "unknown_reference",
        "no role of this name is declared",
        parent,
        declared.keys(),
      );
    } else if (ancestors(declared, parent).has(name)) {
      report.add(node.at, path, "inheritance_cycle", `the role "${name}" inherits from itself`);
    }
  }
}

/** `name` and every role that it inherits from, nearest first. */
function ancestors(declared: Declared, name: string): ReadonlySet<string> {
  const seen = new Set<string>([name]);
  // A set can grow while it is walked, and visits each member once: cycles end by themselves.
  for (const one of seen) for (const parent of declared.get(one)?.inherits.value ?? []) seen.add(parent);
  return seen;
}

function grantOf(declared: Declared, name: string): RoleGrant {
  const line = [...ancestors(declared, name)].map((one) => declared.get(one));
  return {
    scopes: [...new Set(line.flatMap((fields) => fields?.scopes.value ?? []))],
    tier: line.find((fields) => fields?.tier.value !== undefined)?.tier.value,
  };
}

/** Reports role names that are not declared. Where no role is declared at all, roles are free names out of tokens. */
export function checkRoles(
  report: Report,
  field: Field<unknown>,
  names: readonly string[],
  roles: RoleTable,
  ...steps: string[]
): void {
  if (roles.size === 0) return;
  for (const [index, name] of names.entries()) {
    if (roles.has(name)) continue;
    const { node, path } = partOf(field, ...steps, index);
    report.addUnknown(
      node.at,
      path,
      "unknown_reference",
      "no role of this name is declared",
      name,
      roles.keys(),
    );
  }
}
