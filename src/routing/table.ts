// The route table: compiled once from all matches, then asked once per request. The most specific match wins.

import type { Fields } from "../core/fields.ts";
import { decodeSegment } from "../core/request-target.ts";
import type { RouteMatch, ValueCondition } from "./policy.ts";
import { conditionRank, hostRank } from "./rank.ts";

/** What the table needs to know of a request. */
export interface RoutedRequest {
  readonly method: string;
  /** Canonical path. */
  readonly path: string;
  /** Query with its leading `?`, or empty. */
  readonly search: string;
  /** Host and port, lower case. */
  readonly authority: string;
  readonly fields: Fields;
}

export type RouteResult<T> =
  | { readonly kind: "match"; readonly route: T; readonly parameters: Readonly<Record<string, string>> }
  /** The path is known, the method is not; `allow` lists those that are. */
  | { readonly kind: "method_not_allowed"; readonly allow: readonly string[] }
  /** Every route names its hosts, and this is none of them (RFC 9110 15.5.20). */
  | { readonly kind: "host_unknown" }
  | { readonly kind: "none" };

interface Entry<T> {
  readonly match: RouteMatch;
  readonly host: string | undefined;
  readonly parameterNames: readonly string[];
  readonly result: {
    readonly kind: "match";
    readonly route: T;
    readonly parameters: Readonly<Record<string, string>>;
  };
}

/** All entries of one pattern; candidates per method are put in order at load. */
interface Leaf<T> {
  entries: Entry<T>[];
  byMethod: Map<string, readonly Entry<T>[]>;
  otherMethods: readonly Entry<T>[];
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  parameter: Node<T> | undefined;
  /** Patterns that end here. */
  end: Leaf<T> | undefined;
  /** Patterns that end here with a slash of their own. */
  slash: Leaf<T> | undefined;
  /** Patterns that go on with any rest. */
  rest: Leaf<T> | undefined;
}

const NO_PARAMETERS: Readonly<Record<string, string>> = Object.freeze({});

export class RouteTable<T> {
  readonly #root: Node<T> = node();
  readonly #literalPaths = new Map<string, Leaf<T>>();
  readonly #caseSensitive: boolean;
  readonly #leaves = new Set<Leaf<T>>();
  readonly #everyRouteHasHost: boolean;

  constructor(routes: Iterable<readonly [match: RouteMatch, route: T]>, caseSensitive = true) {
    this.#caseSensitive = caseSensitive;
    let everyRouteHasHost = true;
    for (const [match, route] of routes) {
      this.#insert(match, route);
      if (match.hosts.length === 0) everyRouteHasHost = false;
    }
    this.#everyRouteHasHost = everyRouteHasHost && this.#leaves.size > 0;
    for (const leaf of this.#leaves) arrange(leaf);
  }

  /** The most specific route for the request. Cost depends on the path's depth, not on the number of routes. */
  match(request: RoutedRequest): RouteResult<T> {
    const path = this.#caseSensitive ? request.path : request.path.toLowerCase();
    const literal = this.#literalPaths.get(path);
    const direct = literal === undefined ? undefined : select(literal, request);
    if (direct !== undefined) return direct.result;
    const walk: Walk = { request, segments: segmentsOf(request.path), values: [] };
    const entry = this.#find(this.#root, walk, 0, (leaf) => select(leaf, request));
    if (entry === undefined) return this.#miss(walk);
    if (entry.parameterNames.length === 0) return entry.result;
    return { kind: "match", route: entry.result.route, parameters: parametersOf(entry, walk) };
  }

  #insert(match: RouteMatch, route: T): void {
    let at = this.#root;
    const parameterNames: string[] = [];
    for (const segment of match.segments) {
      if (segment.kind === "parameter") {
        parameterNames.push(segment.name);
        at.parameter ??= node();
        at = at.parameter;
        continue;
      }
      const value = this.#caseSensitive ? segment.value : segment.value.toLowerCase();
      let next = at.literals.get(value);
      if (next === undefined) {
        next = node();
        at.literals.set(value, next);
      }
      at = next;
    }
    const place = match.wildcard ? "rest" : match.trailingSlash ? "slash" : "end";
    at[place] ??= { entries: [], byMethod: new Map(), otherMethods: [] };
    const leaf = at[place];
    this.#leaves.add(leaf);
    const result = { kind: "match", route, parameters: NO_PARAMETERS } as const;
    const hosts: readonly (string | undefined)[] = match.hosts.length === 0 ? [undefined] : match.hosts;
    for (const host of hosts) leaf.entries.push({ match, host, parameterNames, result });
    if (place === "end" && parameterNames.length === 0) this.#rememberLiteral(match, leaf);
  }

  #rememberLiteral(match: RouteMatch, leaf: Leaf<T>): void {
    const values = match.segments.map((segment) => (segment.kind === "literal" ? segment.value : ""));
    // Only spellings that need no decoding can be compared as they are.
    if (!values.every((value) => /^[\w.~-]+$/.test(value))) return;
    const path = `/${values.join("/")}`;
    this.#literalPaths.set(this.#caseSensitive ? path : path.toLowerCase(), leaf);
  }

  /** Depth first in order of rank, so the first hit is the most specific. Each node is visited once at most. */
  #find<R>(at: Node<T>, walk: Walk, depth: number, visit: (leaf: Leaf<T>) => R | undefined): R | undefined {
    const { segments } = walk;
    const slash = depth === segments.length - 1 && segments[depth] === "" && depth > 0;
    if (depth === segments.length || slash) {
      const own = slash && at.slash !== undefined ? visit(at.slash) : undefined;
      if (own !== undefined) return own;
      const end = at.end === undefined ? undefined : visit(at.end);
      if (end !== undefined) return end;
      return at.rest === undefined ? undefined : visit(at.rest);
    }
    const segment = segments[depth] as string;
    const value = decodeSegment(segment);
    const literal = at.literals.get(this.#caseSensitive ? value : value.toLowerCase());
    const byLiteral = literal === undefined ? undefined : this.#find(literal, walk, depth + 1, visit);
    if (byLiteral !== undefined) return byLiteral;
    if (at.parameter !== undefined && segment !== "") {
      walk.values.push(depth);
      const byParameter = this.#find(at.parameter, walk, depth + 1, visit);
      if (byParameter !== undefined) return byParameter;
      walk.values.pop();
    }
    return at.rest === undefined ? undefined : visit(at.rest);
  }

  #miss(walk: Walk): RouteResult<T> {
    const methods = new Set<string>();
    let hostKnown = false;
    this.#find(this.#root, walk, 0, (leaf): undefined => {
      for (const entry of leaf.entries) {
        if (!hostMatches(entry.host, walk.request.authority)) continue;
        hostKnown = true;
        if (conditionsMatch(entry.match, walk.request))
          for (const method of entry.match.methods) methods.add(method);
      }
    });
    if (methods.size > 0) {
      if (methods.has("GET")) methods.add("HEAD");
      return { kind: "method_not_allowed", allow: [...methods].sort() };
    }
    if (!hostKnown && this.#everyRouteHasHost && !this.#servesHost(walk.request.authority))
      return { kind: "host_unknown" };
    return { kind: "none" };
  }

  #servesHost(authority: string): boolean {
    for (const leaf of this.#leaves) {
      if (leaf.entries.some((entry) => hostMatches(entry.host, authority))) return true;
    }
    return false;
  }
}

interface Walk {
  readonly request: RoutedRequest;
  /** Segments of the path; a last empty one stands for a trailing slash. */
  readonly segments: readonly string[];
  /** Depths of the segments that parameters took. */
  readonly values: number[];
}

function node<T>(): Node<T> {
  return { literals: new Map(), parameter: undefined, end: undefined, slash: undefined, rest: undefined };
}

/** Segments of a canonical path; a last empty one stands for a trailing slash. */
export function segmentsOf(path: string): string[] {
  return path === "/" ? [] : path.slice(1).split("/");
}

function parametersOf<T>(entry: Entry<T>, walk: Walk): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [index, name] of entry.parameterNames.entries()) {
    parameters[name] = decodeSegment(walk.segments[walk.values[index] ?? 0] ?? "");
  }
  return parameters;
}

function arrange<T>(leaf: Leaf<T>): void {
  const methods = new Set(leaf.entries.flatMap((entry) => entry.match.methods));
  if (methods.has("GET")) methods.add("HEAD");
  for (const method of methods) leaf.byMethod.set(method, candidates(leaf.entries, method));
  leaf.otherMethods = candidates(leaf.entries, undefined);
}

function candidates<T>(entries: readonly Entry<T>[], method: string | undefined): readonly Entry<T>[] {
  return entries
    .filter((entry) => methodRank(entry.match, method) > 0)
    .sort(
      (a, b) =>
        hostRank(b.host) - hostRank(a.host) ||
        methodRank(b.match, method) - methodRank(a.match, method) ||
        conditionRank(b.match) - conditionRank(a.match),
    );
}

/** 3: listed, 2: HEAD where GET is listed, 1: any method, 0: no match. */
export function methodRank(match: RouteMatch, method: string | undefined): number {
  if (match.methods.length === 0) return 1;
  if (method === undefined) return 0;
  if (match.methods.includes(method)) return 3;
  return method === "HEAD" && match.methods.includes("GET") ? 2 : 0;
}

function select<T>(leaf: Leaf<T>, request: RoutedRequest): Entry<T> | undefined {
  const entries = leaf.byMethod.get(request.method) ?? leaf.otherMethods;
  for (const entry of entries) {
    if (hostMatches(entry.host, request.authority) && conditionsMatch(entry.match, request)) return entry;
  }
  return undefined;
}

/** Whether a host of a match fits; undefined fits every one. */
export function hostMatches(host: string | undefined, authority: string): boolean {
  if (host === undefined) return true;
  const name = hostName(authority);
  return host.startsWith("*.")
    ? name.length > host.length - 1 && name.endsWith(host.slice(1))
    : name === host;
}

/** Host without its port and without the root's trailing dot. */
function hostName(authority: string): string {
  const name = authority.replace(/:\d*$/, "");
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

function conditionsMatch(match: RouteMatch, request: RoutedRequest): boolean {
  if (match.headers.length === 0 && match.query.length === 0) return true;
  for (const condition of match.headers) {
    if (!valuesMatch(request.fields.all(condition.name), condition)) return false;
  }
  if (match.query.length === 0) return true;
  const query = new URLSearchParams(request.search);
  return match.query.every((condition) => valuesMatch(query.getAll(condition.name), condition));
}

/** Every occurrence has to fit: the upstream may read the first one or the last. */
export function valuesMatch(values: readonly string[], condition: ValueCondition): boolean {
  if (values.length === 0) return false;
  return condition.value === undefined || values.every((value) => value === condition.value);
}
