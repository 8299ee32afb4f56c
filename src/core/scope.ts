// Scope grammar and the coverage rule. Scopes are compared byte by byte; nothing is folded or trimmed.

// RFC 6749 section 3.3: printable ASCII without space, double quote and backslash.
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;

export function isScopeToken(value: string): boolean {
  return SCOPE_TOKEN.test(value);
}

/** The scopes that a principal holds. `*` holds everything, `modules:*` holds all that starts with `modules:`. */
export class ScopeSet {
  readonly values: readonly string[];
  readonly #exact: ReadonlySet<string>;
  readonly #prefixes: readonly string[];
  readonly #all: boolean;
  // One caller mostly asks for one route again and again, and requirements are compiled once.
  #lastRequirement: ScopeRequirement | undefined;
  #lastAnswer = false;

  constructor(values: Iterable<string>) {
    const unique = new Set(values);
    this.values = [...unique];
    this.#exact = unique;
    this.#all = unique.has("*");
    this.#prefixes = this.values.filter((scope) => scope.endsWith(":*")).map((scope) => scope.slice(0, -1));
  }

  static readonly EMPTY: ScopeSet = new ScopeSet([]);

  /** Whether a held scope covers `needed`. */
  covers(needed: string): boolean {
    return this.#exact.has(needed) || this.#all || this.#prefixes.some((prefix) => needed.startsWith(prefix));
  }

  /** The held scope that covers `needed`: itself, or the narrowest wildcard; undefined when none does. */
  coverOf(needed: string): string | undefined {
    if (this.#exact.has(needed)) return needed;
    const prefixes = this.#prefixes.filter((prefix) => needed.startsWith(prefix));
    const [narrowest] = prefixes.sort((one, other) => other.length - one.length);
    return narrowest === undefined ? (this.#all ? "*" : undefined) : `${narrowest}*`;
  }

  /** Whether the held scopes are enough. */
  meets(requirement: ScopeRequirement): boolean {
    if (requirement !== this.#lastRequirement) {
      const covered = (scope: string): boolean => this.covers(scope);
      const { mode, scopes } = requirement;
      this.#lastAnswer = mode === "all" ? scopes.every(covered) : scopes.some(covered);
      this.#lastRequirement = requirement;
    }
    return this.#lastAnswer;
  }
}

/** What a route asks for. */
export interface ScopeRequirement {
  readonly mode: "all" | "any";
  readonly scopes: readonly string[];
}
