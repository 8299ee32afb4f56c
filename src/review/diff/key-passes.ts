// Whether the holder of an API key passes a guard, and on which paths where the guard compares him with the path.

import { factOf, holdsRoles, requirementHolds } from "../../authz/authorize.ts";
import type { Principal } from "../../core/principal.ts";
import type { Guard, Needed } from "./guard.ts";

/** Values that one segment of the path may have, by its index. */
export type PathCondition = ReadonlyMap<number, ReadonlySet<string>>;

/** The paths on which `principal` passes; undefined when there are none. @param segments those that are known */
export function passesOn(
  guard: Guard,
  principal: Principal,
  segments: readonly (string | undefined)[],
): PathCondition | undefined {
  const { scopes, roles, needs, doors } = guard;
  if (scopes !== undefined && !principal.scopes.meets(scopes)) return undefined;
  if (roles !== undefined && !holdsRoles(principal, roles)) return undefined;
  if (doors.any && doors.shutsOut(principal.tier)) return undefined;
  const condition = new Map<number, ReadonlySet<string>>();
  for (const need of needs) {
    if (need.segment === undefined) {
      if (!requirementHolds(need.requirement, principal, {})) return undefined;
      continue;
    }
    const values = textsOf(need, principal);
    const known = segments[need.segment];
    const left = both(values, condition.get(need.segment));
    if (known === undefined ? left.size === 0 : !left.has(known)) return undefined;
    if (known === undefined) condition.set(need.segment, left);
  }
  return condition;
}

/** Whether `outer` holds on every path on which `inner` does. */
export function holdsWherever(outer: PathCondition, inner: PathCondition): boolean {
  return [...outer].every(([segment, values]) => {
    const narrower = inner.get(segment);
    return narrower !== undefined && [...narrower].every((value) => values.has(value));
  });
}

/** What a path parameter may be to equal the fact. */
function textsOf({ requirement }: Needed, principal: Principal): ReadonlySet<string> {
  const held = factOf(requirement, principal);
  const values: readonly unknown[] = Array.isArray(held) ? held : [held];
  return new Set(
    values
      .filter((value) => typeof value === "string" || typeof value === "number")
      .map(String)
      .filter((value) => value !== ""),
  );
}

function both(values: ReadonlySet<string>, others = values): ReadonlySet<string> {
  return new Set([...values].filter((value) => others.has(value)));
}
