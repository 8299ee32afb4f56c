// Warns of scopes and roles that nobody can hold, and of those that look like a slip of the fingers.

import type { ApiKeyRecord } from "../../authn/api-key/policy.ts";
import { grantsOf } from "../../authz/roles.ts";
import { ScopeSet } from "../../core/scope.ts";
import type { GatewayConfig, RoutePolicy } from "../gateway-config.ts";
import type { Path } from "../tree.ts";
import { type Holding, HoldingIndex, hasRoles, holdingOf } from "./held.ts";
import { OneTypoIndex } from "./one-typo.ts";
import { type LintContext, takesOthers } from "./place.ts";

/** Warnings only. @param keys those that can be used */
export function lintHolders(
  context: LintContext,
  config: GatewayConfig,
  keys: readonly ApiKeyRecord[],
): void {
  const { routes, roles } = config;
  const holders = new HoldingIndex(distinct(config, keys));
  const held = [...keys.flatMap((key) => key.scopes), ...[...roles.values()].flatMap((role) => role.scopes)];
  const scopes = new Vocabulary(
    held,
    routes.flatMap(({ authz }) => authz.scopes?.scopes ?? []),
  );
  const heldRoles = [...roles.keys(), ...keys.flatMap((key) => key.roles)];
  const roleNames = new Vocabulary(
    heldRoles,
    routes.flatMap(({ authz }) => authz.roles?.roles ?? []),
  );
  for (const [index, route] of routes.entries()) {
    if (route.access === "public") continue;
    const { authz } = route;
    const keysOnly = !takesOthers(route);
    if (authz.scopes !== undefined) {
      const at = requirementAt(context, index, "scopes", authz.scopes.mode);
      if (keysOnly) judgeScopes(context, at, authz.scopes, holders, scopes);
      else suspect(context, at, authz.scopes.scopes, scopes, "scope");
    }
    if (authz.roles !== undefined) {
      const at = requirementAt(context, index, "roles", authz.roles.mode);
      if (keysOnly) judgeRoles(context, at, authz.roles, holders, roleNames);
      else suspect(context, at, authz.roles.roles, roleNames, "role");
    }
  }
}

function distinct({ roles }: GatewayConfig, keys: readonly ApiKeyRecord[]): readonly Holding[] {
  const seen = new Map<string, Holding>();
  for (const key of keys) {
    const kind = JSON.stringify([key.scopes, key.roles]);
    if (!seen.has(kind))
      seen.set(kind, holdingOf([...key.scopes, ...grantsOf(roles, key.roles).scopes], key.roles));
  }
  return [...seen.values()];
}

/** The list that a requirement stands in. */
function requirementAt(context: LintContext, index: number, key: string, mode: "all" | "any"): Path {
  const path = context.ofRoute(index, key);
  return context.find(path)?.kind === "map" && path.at(-1) === key ? [...path, mode] : path;
}

function judgeScopes(
  context: LintContext,
  at: Path,
  requirement: NonNullable<RoutePolicy["authz"]["scopes"]>,
  holders: HoldingIndex<Holding>,
  words: Vocabulary,
): void {
  if (holders.meeting(requirement).length > 0) return;
  const unheld = requirement.scopes.filter((scope) => holders.holding(scope).length === 0);
  tellUnheld(context, at, requirement.scopes, unheld, words, "scope");
}

function judgeRoles(
  context: LintContext,
  at: Path,
  needed: NonNullable<RoutePolicy["authz"]["roles"]>,
  holders: HoldingIndex<Holding>,
  words: Vocabulary,
): void {
  if (holders.all.some((one) => hasRoles(one, needed))) return;
  const unheld = needed.roles.filter((role) => !holders.all.some((one) => one.roles.has(role)));
  tellUnheld(context, at, needed.roles, unheld, words, "role");
}

function tellUnheld(
  context: LintContext,
  at: Path,
  wanted: readonly string[],
  unheld: readonly string[],
  words: Vocabulary,
  what: "scope" | "role",
): void {
  const code = what === "scope" ? "scope_unheld" : "role_unheld";
  if (unheld.length === 0) {
    context.tell(
      "warning",
      at,
      code,
      `no API key holds all of these ${what}s, and nothing else is taken here`,
    );
    return;
  }
  for (const word of unheld) {
    const path = [...at, wanted.indexOf(word)];
    const message = `no API key holds this ${what}, and nothing else is taken here`;
    context.tell("warning", path, code, message, { suggestion: words.nearHeld(word) });
  }
}

/** A word that nothing else in the file says, but for a letter. */
function suspect(
  context: LintContext,
  at: Path,
  wanted: readonly string[],
  words: Vocabulary,
  what: "scope" | "role",
): void {
  for (const [index, word] of wanted.entries()) {
    const meant = words.probably(word);
    if (meant === undefined) continue;
    const code = what === "scope" ? "scope_suspect" : "role_suspect";
    const message = `this ${what} stands nowhere else in the file, and another one is spelt nearly alike`;
    context.tell("warning", [...at, index], code, message, { suggestion: meant });
  }
}

// Where there are more words than these, nearly every one has a neighbour.
const MOST_WORDS = 5_000;

/** All scopes or roles of a file: those that somebody holds, and how often routes ask for each. */
class Vocabulary {
  readonly #held: ReadonlySet<string>;
  readonly #holder: ScopeSet;
  readonly #wanted = new Map<string, number>();
  readonly #words: ReadonlySet<string>;
  #index: OneTypoIndex | undefined;

  constructor(held: readonly string[], wanted: readonly string[]) {
    this.#held = new Set(held);
    this.#holder = new ScopeSet(held.filter((one) => one !== "*"));
    for (const word of wanted) this.#wanted.set(word, (this.#wanted.get(word) ?? 0) + 1);
    this.#words = new Set([...held, ...wanted]);
  }

  #near(word: string): readonly string[] {
    if (this.#words.size > MOST_WORDS) return [];
    if (this.#index === undefined) {
      this.#index = new OneTypoIndex();
      for (const one of this.#words) this.#index.add(one);
    }
    return this.#index.near(word);
  }

  /** A word that somebody holds, one slip away. */
  nearHeld(word: string): string | undefined {
    return this.#near(word).find((other) => this.#held.has(other));
  }

  /** What `word` was probably meant to be, when it stands only once and the other is held, or asked for more often. */
  probably(word: string): string | undefined {
    if ((this.#wanted.get(word) ?? 0) > 1 || this.#holder.covers(word)) return undefined;
    return this.#near(word).find(
      (other) => (this.#held.has(other) || (this.#wanted.get(other) ?? 0) > 1) && isSlip(word, other),
    );
  }
}

/** Whether two words differ within a part of some length, and not in a number: `v1:read` and `v2:read` are both meant. */
function isSlip(word: string, other: string): boolean {
  const [a, b] = [word.split(/[:./_-]/), other.split(/[:./_-]/)];
  if (a.length !== b.length) return true;
  const index = a.findIndex((part, at) => part !== b[at]);
  const [one = "", two = ""] = [a[index], b[index]];
  if (Math.max(one.length, two.length) < 4) return false;
  return one.replaceAll(/\d/g, "") !== two.replaceAll(/\d/g, "");
}
