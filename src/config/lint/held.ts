// Who holds the scopes that something asks for: among thousands of keys without asking each.

import { type ScopeRequirement, ScopeSet } from "../../core/scope.ts";

/** What a caller may hold. */
export interface Holding {
  readonly scopes: ScopeSet;
  readonly roles: ReadonlySet<string>;
}

/** Holdings by their scopes, wildcards included. */
export class HoldingIndex<T extends Holding> {
  readonly all: readonly T[];
  readonly #byScope = new Map<string, T[]>();

  constructor(holdings: readonly T[]) {
    this.all = holdings;
    for (const one of holdings) {
      for (const scope of one.scopes.values) {
        const known = this.#byScope.get(scope);
        if (known === undefined) this.#byScope.set(scope, [one]);
        else known.push(one);
      }
    }
  }

  /** Those who hold enough; all where nothing is asked for. */
  meeting(requirement: ScopeRequirement | undefined): readonly T[] {
    if (requirement === undefined) return this.all;
    const [first] = requirement.scopes;
    const enough = requirement.mode === "any" ? requirement.scopes : first === undefined ? [] : [first];
    const found = new Set(enough.flatMap((scope) => this.holding(scope)));
    return [...found].filter(({ scopes }) => scopes.meets(requirement));
  }

  /** Those who hold one scope. */
  holding(scope: string): readonly T[] {
    const forms = [scope, "*"];
    for (let at = scope.indexOf(":"); at !== -1; at = scope.indexOf(":", at + 1))
      forms.push(`${scope.slice(0, at + 1)}*`);
    return forms.flatMap((form) => this.#byScope.get(form) ?? []);
  }
}

/** What a list of scopes and a list of roles amount to. */
export function holdingOf(scopes: readonly string[], roles: readonly string[]): Holding {
  return { scopes: new ScopeSet(scopes), roles: new Set(roles) };
}

/** Whether a holding has the roles that are asked for. */
export function hasRoles(
  { roles }: Holding,
  needed: { readonly mode: "all" | "any"; readonly roles: readonly string[] } | undefined,
): boolean {
  if (needed === undefined) return true;
  const has = (role: string): boolean => roles.has(role);
  return needed.mode === "all" ? needed.roles.every(has) : needed.roles.some(has);
}
