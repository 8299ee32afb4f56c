// Why a route is not the one for a request: the same conditions as the table's, asked one by one. For people who ask;
// walks over all routes, which the table never does.

import { decodeSegment } from "../core/request-target.ts";
import type { RouteMatch, ValueCondition } from "./policy.ts";
import { hostRank, pathShape } from "./rank.ts";
import { hostMatches, methodRank, type RoutedRequest, segmentsOf, valuesMatch } from "./table.ts";

/** The first thing that keeps a match from being the one. */
export type Miss =
  /** It matches, and another route is more specific by this. */
  | { readonly kind: "less_specific"; readonly by: "path" | "host" | "method" | "conditions" }
  | { readonly kind: "method"; readonly methods: readonly string[] }
  | { readonly kind: "host"; readonly hosts: readonly string[] }
  | {
      readonly kind: "header" | "query";
      readonly name: string;
      /** Undefined: any value would do. */
      readonly expected: string | undefined;
      readonly got: "nothing" | "another value";
    }
  /** The path differs at this segment, counted from 1; `expected` and `got` are undefined where a path ends. */
  | {
      readonly kind: "path";
      readonly segment: number;
      readonly expected: string | undefined;
      readonly got: string | undefined;
    };

export interface NearMiss<T> {
  readonly route: T;
  readonly match: RouteMatch;
  readonly miss: Miss;
}

/** What is asked about a request. */
export interface MatchQuestion {
  readonly request: RoutedRequest;
  readonly caseSensitive: boolean;
}

/** Why `match` doesn't fit the request, the path first; undefined when it does. */
export function missOf(match: RouteMatch, { request, caseSensitive }: MatchQuestion): Miss | undefined {
  const path = pathMiss(match, segmentsOf(request.path), caseSensitive);
  return path?.miss ?? otherMiss(match, request);
}

/**
 * The matches that come nearest to being the one, the nearest first and at most `most`. `chosen` is the match that won;
 * its route's other patterns are left out.
 */
export function nearMisses<T>(
  matches: Iterable<readonly [match: RouteMatch, route: T]>,
  question: MatchQuestion,
  chosen: { readonly route: T; readonly match: RouteMatch | undefined } | undefined,
  most: number,
): readonly NearMiss<T>[] {
  const { request, caseSensitive } = question;
  const segments = segmentsOf(request.path);
  const found: (NearMiss<T> & { readonly distance: number })[] = [];
  for (const [match, route] of matches) {
    if (route === chosen?.route) continue;
    const path = pathMiss(match, segments, caseSensitive);
    const other = otherMiss(match, request);
    if (path !== undefined) {
      if (path.distance >= HOPELESS) continue;
      const distance = FAR + path.distance + (other === undefined ? 0 : 0.5);
      found.push({ route, match, miss: path.miss, distance });
    } else if (other !== undefined)
      found.push({ route, match, miss: other, distance: other.kind === "method" ? 1 : 2 });
    else if (chosen?.match !== undefined) {
      const by = lessSpecificBy(match, chosen.match, request, caseSensitive);
      found.push({ route, match, miss: { kind: "less_specific", by }, distance: 0 });
    }
  }
  found.sort((one, other) => one.distance - other.distance);
  return found.slice(0, most).map(({ route, match, miss }) => ({ route, match, miss }));
}

const FAR = 10;
const HOPELESS = 100;
// A literal that differs in more than half of its characters was hardly meant.
const ALIKE = 0.5;
const LONGEST_COMPARED = 64;

interface PathMiss {
  readonly miss: Miss;
  readonly distance: number;
}

function pathMiss(
  match: RouteMatch,
  segments: readonly string[],
  caseSensitive: boolean,
): PathMiss | undefined {
  const { wildcard, trailingSlash } = match;
  const wanted = match.segments;
  const fold = (text: string): string => (caseSensitive ? text : text.toLowerCase());
  let first: { readonly at: number; readonly unlike: number } | undefined;
  let differing = 0;
  let literals = 0;
  for (const [index, segment] of wanted.entries()) {
    const raw = segments[index];
    const got = raw === undefined ? undefined : decodeSegment(raw);
    const fits =
      got !== undefined && (segment.kind === "parameter" ? got !== "" : fold(got) === fold(segment.value));
    if (fits) {
      if (segment.kind === "literal") literals += 1;
      continue;
    }
    differing += 1;
    if (first !== undefined) continue;
    const unlike =
      got === undefined || segment.kind === "parameter" ? 1 : unlikeness(fold(got), fold(segment.value));
    first = { at: index, unlike };
  }
  const depth = wanted.length;
  const slash = depth === segments.length - 1 && segments[depth] === "" && depth > 0;
  const ends = trailingSlash ? slash : depth === segments.length || slash;
  if (!wildcard && !ends && segments.length !== depth) {
    differing += Math.abs(segments.length - depth);
    first ??= { at: Math.min(depth, segments.length), unlike: 1 };
  } else if (!wildcard && !ends) {
    differing += 1;
    first ??= { at: depth, unlike: 0.5 };
  }
  if (first === undefined) return undefined;
  const { at, unlike } = first;
  const hopeless = literals === 0 && unlike > ALIKE;
  const wantedHere = wanted[at];
  const expected =
    wantedHere === undefined
      ? trailingSlash
        ? "/"
        : undefined
      : wantedHere.kind === "literal"
        ? wantedHere.value
        : `:${wantedHere.name}`;
  const raw = segments[at];
  return {
    miss: {
      kind: "path",
      segment: at + 1,
      expected,
      got: raw === undefined ? undefined : decodeSegment(raw),
    },
    distance: hopeless ? HOPELESS : differing * 2 - 1 + unlike,
  };
}

function otherMiss(match: RouteMatch, request: RoutedRequest): Miss | undefined {
  const { hosts, methods, headers, query } = match;
  if (hosts.length > 0 && !hosts.some((host) => hostMatches(host, request.authority)))
    return { kind: "host", hosts };
  if (methodRank(match, request.method) === 0) return { kind: "method", methods };
  const header = conditionMiss("header", headers, (name) => request.fields.all(name));
  if (header !== undefined || query.length === 0) return header;
  const parameters = new URLSearchParams(request.search);
  return conditionMiss("query", query, (name) => parameters.getAll(name));
}

function conditionMiss(
  kind: "header" | "query",
  conditions: readonly ValueCondition[],
  valuesOf: (name: string) => readonly string[],
): Miss | undefined {
  for (const condition of conditions) {
    const values = valuesOf(condition.name);
    if (valuesMatch(values, condition)) continue;
    const { name, value: expected } = condition;
    return { kind, name, expected, got: values.length === 0 ? "nothing" : "another value" };
  }
  return undefined;
}

function lessSpecificBy(
  match: RouteMatch,
  chosen: RouteMatch,
  request: RoutedRequest,
  caseSensitive: boolean,
): "path" | "host" | "method" | "conditions" {
  if (pathShape(match, caseSensitive) !== pathShape(chosen, caseSensitive)) return "path";
  if (bestHost(match, request) !== bestHost(chosen, request)) return "host";
  return methodRank(match, request.method) === methodRank(chosen, request.method) ? "conditions" : "method";
}

function bestHost({ hosts }: RouteMatch, { authority }: RoutedRequest): number {
  return Math.max(0, ...hosts.filter((host) => hostMatches(host, authority)).map(hostRank));
}

// One row of the table of distances, used by one comparison at a time.
const ROW = new Uint8Array(LONGEST_COMPARED + 1);

/** 0 for equal texts to 1 for those that have nothing in common: the edit distance by the longer length. */
function unlikeness(one: string, other: string): number {
  const longest = Math.max(one.length, other.length);
  if (longest > LONGEST_COMPARED || Math.abs(one.length - other.length) > longest * ALIKE) return 1;
  for (let to = 0; to <= other.length; to++) ROW[to] = to;
  for (let at = 1; at <= one.length; at++) {
    let diagonal = ROW[0] as number;
    ROW[0] = at;
    for (let to = 1; to <= other.length; to++) {
      const above = ROW[to] as number;
      const change = diagonal + (one.charCodeAt(at - 1) === other.charCodeAt(to - 1) ? 0 : 1);
      ROW[to] = Math.min(change, above + 1, (ROW[to - 1] as number) + 1);
      diagonal = above;
    }
  }
  return (ROW[other.length] as number) / longest;
}
