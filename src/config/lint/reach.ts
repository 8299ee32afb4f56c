// Warns of routes, or patterns of them, that no request can reach because others always go first.

import type { RouteMatch } from "../../routing/policy.ts";
import { pathShape } from "../../routing/rank.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { isDenied } from "./api-keys.ts";
import type { LintContext } from "./place.ts";

interface Placed {
  readonly match: RouteMatch;
  readonly route: number;
  readonly line: number;
}

/** Warnings only. */
export function lintReach(context: LintContext, { routes, paths }: GatewayConfig): void {
  const cover = new Cover(paths.caseSensitive, paths.duplicateSlash === "keep");
  const all: readonly Placed[] = routes.flatMap(({ matches, line }, route) =>
    matches.map((match) => ({ match, route, line })),
  );
  for (const one of all) cover.add(one);
  for (const { match, route } of all) {
    const before = cover.of(match);
    if (before === undefined) continue;
    const path = matchPath(context, route, match);
    const where =
      before.lines.length === 1
        ? `the route in line ${before.lines[0]}`
        : `the routes in lines ${before.lines.join(", ")}`;
    const message =
      before.methods === undefined
        ? `no request reaches this pattern: ${where} always ${before.lines.length === 1 ? "goes" : "go"} first`
        : `requests with ${before.methods.join(", ")} never reach this pattern: a listed method counts more than conditions, so ${where} goes first`;
    context.tell("warning", path, "route_shadowed", message, {
      hint: "the most specific route wins: path, then host, then methods, then headers and query",
    });
  }
  for (const [index, { ips, matches }] of routes.entries()) {
    if (isDenied(ips.allow, ips.deny)) {
      const message = "nobody can use this route: every address that `allow` lists is in `deny` too";
      context.tell("warning", context.ofRoute(index, "ips"), "route_closed", message);
    }
    for (const match of matches) {
      const fault = contradiction(match);
      if (fault !== undefined)
        context.tell("warning", matchPath(context, index, match), "route_closed", fault);
    }
  }
}

/** The place of one pattern: the entry of the list that it stands in. */
function matchPath(context: LintContext, route: number, match: RouteMatch): readonly (string | number)[] {
  const path = ["routes", route, "match"];
  const node = context.find(path);
  if (node?.kind !== "list") return path;
  const index = node.items.findIndex((item) => item.kind === "scalar" && item.value === match.text);
  return index === -1 ? path : [...path, index];
}

function contradiction({ hosts, headers }: RouteMatch): string | undefined {
  const wanted = headers.find(({ name, value }) => name === "host" && value !== undefined)?.value;
  if (wanted === undefined || hosts.length === 0) return undefined;
  const name = wanted.toLowerCase().replace(/:\d*$/, "");
  const fits = hosts.some((host) => (host.startsWith("*.") ? name.endsWith(host.slice(1)) : host === name));
  return fits ? undefined : "no request can meet both `host` and the condition on the header Host";
}

/** What goes before a pattern: all of it, or some of its methods. */
interface Before {
  readonly lines: readonly number[];
  readonly methods: readonly string[] | undefined;
}

/** The patterns by their shapes. */
class Cover {
  readonly #caseSensitive: boolean;
  readonly #emptySegments: boolean;
  readonly #byShape = new Map<string, Placed[]>();

  constructor(caseSensitive: boolean, emptySegments: boolean) {
    this.#caseSensitive = caseSensitive;
    this.#emptySegments = emptySegments;
  }

  add(placed: Placed): void {
    const shape = pathShape(placed.match, this.#caseSensitive);
    const known = this.#byShape.get(shape);
    if (known === undefined) this.#byShape.set(shape, [placed]);
    else known.push(placed);
  }

  of(match: RouteMatch): Before | undefined {
    // A parameter would have to be covered by endlessly many literals; a rest may be by a few patterns.
    if (match.wildcard) {
      const lines = this.#rest(match, match, 0);
      if (lines !== undefined)
        return { lines: [...new Set(lines)].toSorted((a, b) => a - b), methods: undefined };
    }
    return this.#byMethods(match);
  }

  /** Lines of the patterns that leave nothing of a rest below `at` to `match`; undefined when something is left. */
  #rest(match: RouteMatch, at: RouteMatch, deeper: number): readonly number[] | undefined {
    // A rest covers empty segments, a parameter doesn't.
    if (this.#emptySegments || deeper > 20) return undefined;
    const end = this.#always({ ...at, wildcard: false }, match);
    if (end === undefined) return undefined;
    const below = { ...at, segments: [...at.segments, { kind: "parameter" as const, name: "" }] };
    const rest = this.#always(below, match);
    if (rest !== undefined) return [...end, ...rest];
    const further = this.#rest(match, below, deeper + 1);
    return further === undefined ? undefined : [...end, ...further];
  }

  /** Patterns of the shape of `at` that take every request that `match` would, of every method. */
  #always(at: RouteMatch, match: RouteMatch): readonly number[] | undefined {
    const found = (this.#byShape.get(pathShape(at, this.#caseSensitive)) ?? []).filter(
      ({ match: other }) => hostsCover(other, match) && isSubset(other, match),
    );
    const any = found.find(({ match: other }) => other.methods.length === 0);
    if (any !== undefined) return [any.line];
    if (match.methods.length === 0) return undefined;
    const lines = match.methods.map((method) => found.find((one) => takes(one.match, method))?.line);
    return lines.every((line) => line !== undefined) ? lines : undefined;
  }

  /** A pattern for any method with conditions, beside one of the same paths that lists methods and has none. */
  #byMethods(match: RouteMatch): Before | undefined {
    if (match.methods.length > 0 || match.headers.length + match.query.length === 0) return undefined;
    const others = (this.#byShape.get(pathShape(match, this.#caseSensitive)) ?? []).filter(
      ({ match: other }) =>
        other !== match && other.methods.length > 0 && sameHosts(other, match) && isSubset(other, match),
    );
    const [first] = others;
    return first === undefined ? undefined : { lines: [first.line], methods: first.match.methods };
  }
}

function takes({ methods }: RouteMatch, method: string): boolean {
  return methods.includes(method) || (method === "HEAD" && methods.includes("GET"));
}

function sameHosts(a: RouteMatch, b: RouteMatch): boolean {
  return a.hosts.toSorted().join(" ") === b.hosts.toSorted().join(" ");
}

function hostsCover(outer: RouteMatch, inner: RouteMatch): boolean {
  if (outer.hosts.length === 0) return true;
  return inner.hosts.length > 0 && inner.hosts.every((host) => outer.hosts.includes(host));
}

/** Whether whatever meets the conditions of `inner` meets those of `outer`. */
function isSubset(outer: RouteMatch, inner: RouteMatch): boolean {
  const implied = (wanted: RouteMatch["headers"], given: RouteMatch["headers"]): boolean =>
    wanted.every((one) =>
      given.some(
        (other) => other.name === one.name && (one.value === undefined || one.value === other.value),
      ),
    );
  return implied(outer.headers, inner.headers) && implied(outer.query, inner.query);
}
