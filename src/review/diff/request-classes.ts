// Divides the requests of one path class by method, host and conditions, into classes that both files treat alike.

import { Fields } from "../../core/fields.ts";
import { ROUTABLE_METHODS } from "../../routing/options.ts";
import type { RouteMatch, ValueCondition } from "../../routing/policy.ts";
import type { RoutedRequest } from "../../routing/table.ts";
import { unusedWord } from "./path-classes.ts";

/** One request that stands for its class. */
export interface Witness {
  readonly request: RoutedRequest;
  /** It stands for every method that no route here lists. */
  readonly otherMethod: boolean;
}

// More combinations of conditions than this at one path are not tried.
const MOST_COMBINATIONS = 4_096;

/** A request for each class at `path` that `matches` can tell apart; undefined when there are too many. */
export function witnessesAt(path: string, matches: readonly RouteMatch[]): readonly Witness[] | undefined {
  const methods = methodsOf(matches);
  const hosts = hostsOf(matches);
  const headers = combinations(matches.flatMap((match) => match.headers));
  const queries = combinations(matches.flatMap((match) => match.query));
  if (headers === undefined || queries === undefined) return undefined;
  if (hosts.length * headers.length * queries.length > MOST_COMBINATIONS) return undefined;
  const out: Witness[] = [];
  for (const authority of hosts)
    for (const header of headers)
      for (const query of queries) {
        const search = query.length === 0 ? "" : `?${new URLSearchParams(query.map((pair) => [...pair]))}`;
        const fields = new Fields(header.flat());
        for (const [method, otherMethod] of methods)
          out.push({ request: { method, path, search, authority, fields }, otherMethod });
      }
  return out;
}

/** HEAD follows GET unless it is listed, so it is told apart wherever GET is. */
function methodsOf(matches: readonly RouteMatch[]): readonly (readonly [method: string, other: boolean])[] {
  const named = new Set(matches.flatMap(({ methods }) => methods));
  if (named.has("GET")) named.add("HEAD");
  const other =
    ["GET", ...ROUTABLE_METHODS].find((method) => !named.has(method)) ??
    unusedWord((word) => named.has(word), "OTHER");
  return [...[...named].map((method) => [method, false] as const), [other, true]];
}

/** Every host that is named, one below each suffix, and one that nobody names. */
function hostsOf(matches: readonly RouteMatch[]): readonly string[] {
  const named = new Set(matches.flatMap(({ hosts }) => hosts));
  const other = "any.invalid";
  if (named.size === 0) return [other];
  const suffixes = [...named].filter((host) => host.startsWith("*."));
  const taken = (host: string): boolean =>
    named.has(host) || suffixes.some((suffix) => host.endsWith(suffix.slice(1)));
  const below = suffixes.map((suffix) => suffix.slice("*.".length));
  return [
    ...[...named].filter((host) => !host.startsWith("*.")),
    ...below.map((domain) => `${unusedWord((word) => named.has(`${word}.${domain}`))}.${domain}`),
    unusedWord(taken, other),
  ];
}

type Pairs = readonly (readonly [name: string, value: string])[];

/** Each name absent, with each of the values that are asked for, and with another; undefined when these are too many. */
function combinations(conditions: readonly ValueCondition[]): readonly Pairs[] | undefined {
  const values = new Map<string, Set<string>>();
  for (const { name, value } of conditions) {
    const known = values.get(name) ?? new Set();
    values.set(name, known);
    if (value !== undefined) known.add(value);
  }
  let out: readonly Pairs[] = [[]];
  for (const [name, known] of values) {
    const choices = [...known, unusedWord((word) => known.has(word))];
    out = out.flatMap((pairs) => [pairs, ...choices.map((value): Pairs => [...pairs, [name, value]])]);
    if (out.length > MOST_COMBINATIONS) return undefined;
  }
  return out;
}
