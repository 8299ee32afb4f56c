// A second reading of the routing rules, written for comparison: filter all routes by definition, take the best rank.

import { Fields } from "../../src/core/fields.ts";
import type { PathSegment, RouteMatch, ValueCondition } from "../../src/routing/policy.ts";
import type { RoutedRequest } from "../../src/routing/table.ts";

/** Parts of a match that a test cares about. */
export interface MatchParts {
  readonly methods?: readonly string[];
  readonly hosts?: readonly string[];
  readonly headers?: readonly ValueCondition[];
  readonly query?: readonly ValueCondition[];
}

/** A match from a pattern in which every piece stands for itself. */
export function match(pattern: string, parts: MatchParts = {}): RouteMatch {
  const pieces = pattern === "/" ? [] : pattern.slice(1).split("/");
  const trailingSlash = pieces.length > 0 && pieces.at(-1) === "";
  if (trailingSlash) pieces.pop();
  const wildcard = pieces.at(-1) === "*";
  if (wildcard) pieces.pop();
  const segments = pieces.map(
    (piece): PathSegment =>
      piece.startsWith(":") ? { kind: "parameter", name: piece.slice(1) } : { kind: "literal", value: piece },
  );
  const text = [parts.methods?.join(","), parts.hosts?.join(","), pattern].filter(Boolean).join(" ");
  return {
    text,
    segments,
    wildcard,
    trailingSlash,
    methods: [],
    hosts: [],
    headers: [],
    query: [],
    ...parts,
  };
}

/** A request from what differs from a plain GET of `/`. */
export function routed(
  request: Partial<Omit<RoutedRequest, "fields">> & { fields?: readonly string[] },
): RoutedRequest {
  const { fields = [], ...rest } = request;
  return {
    method: "GET",
    path: "/",
    search: "",
    authority: "api.example.com",
    ...rest,
    fields: new Fields(fields),
  };
}

function pathRank(route: RouteMatch, path: string): number[] | undefined {
  const pieces = path === "/" ? [] : path.slice(1).split("/").map(decodeURIComponent);
  const slashed = pieces.length > 1 && pieces.at(-1) === "";
  const named = slashed ? pieces.slice(0, -1) : pieces;
  const { segments } = route;
  const rank: number[] = [];
  for (const [depth, segment] of segments.entries()) {
    const piece = named[depth];
    if (piece === undefined || piece === "") return undefined;
    if (segment.kind === "literal" && segment.value !== piece) return undefined;
    rank.push(segment.kind === "literal" ? 5 : 4);
  }
  if (route.wildcard) return [...rank, 1];
  if (named.length !== segments.length) return undefined;
  if (route.trailingSlash) return slashed ? [...rank, 3] : undefined;
  return [...rank, 2];
}

function hostRank(route: RouteMatch, authority: string): number | undefined {
  if (route.hosts.length === 0) return 0;
  const name = authority.split(":")[0]?.replace(/\.$/, "") ?? "";
  if (route.hosts.includes(name)) return 10_000;
  const suffixes = route.hosts.filter((host) => host.startsWith("*.") && name.endsWith(host.slice(1)));
  const longest = Math.max(
    0,
    ...suffixes.filter((host) => name.length >= host.length).map((host) => host.length),
  );
  return longest === 0 ? undefined : longest;
}

function methodRank(route: RouteMatch, method: string): number | undefined {
  if (route.methods.includes(method)) return 3;
  if (method === "HEAD" && route.methods.includes("GET")) return 2;
  return route.methods.length === 0 ? 1 : undefined;
}

function conditionRank(route: RouteMatch, request: RoutedRequest): number | undefined {
  const query = new URLSearchParams(request.search);
  let rank = 0;
  const fits = (
    conditions: readonly ValueCondition[],
    valuesOf: (name: string) => readonly string[],
  ): boolean =>
    conditions.every(({ name, value }) => {
      const values = valuesOf(name);
      rank += value === undefined ? 2 : 3;
      return values.length > 0 && (value === undefined || values.every((one) => one === value));
    });
  const all =
    fits(route.headers, (name) => request.fields.all(name)) &&
    fits(route.query, (name) => query.getAll(name));
  return all ? rank : undefined;
}

/** Rank of `route` for `request`, to be compared from its first member on; undefined when it doesn't match. */
export function rankOf(
  route: RouteMatch,
  request: RoutedRequest,
): readonly (readonly number[])[] | undefined {
  const path = pathRank(route, request.path);
  const host = hostRank(route, request.authority);
  const method = methodRank(route, request.method);
  const conditions = conditionRank(route, request);
  if (path === undefined || host === undefined || method === undefined || conditions === undefined)
    return undefined;
  return [path, [host], [method], [conditions]];
}

/** Above 0 when `a` is the more specific, 0 when neither is. */
export function compareRanks(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? [];
    for (let at = 0; at < Math.max(part.length, other.length); at++) {
      const difference = (part[at] ?? 0) - (other[at] ?? 0);
      if (difference !== 0) return difference;
    }
  }
  return 0;
}

/** The most specific routes for a request; more than one only when they overlap at equal rank. */
export function bestRoutes(routes: readonly RouteMatch[], request: RoutedRequest): readonly RouteMatch[] {
  let best: RouteMatch[] = [];
  let bestRank: readonly (readonly number[])[] | undefined;
  for (const route of routes) {
    const rank = rankOf(route, request);
    if (rank === undefined) continue;
    const order = bestRank === undefined ? 1 : compareRanks(rank, bestRank);
    if (order > 0) best = [route];
    else if (order === 0) best.push(route);
    if (order > 0) bestRank = rank;
  }
  return best;
}
