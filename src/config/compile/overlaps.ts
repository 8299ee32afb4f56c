// Finds routes that claim the same request with equal rank, and routes that no request can reach.

import type { RouteMatch } from "../../routing/policy.ts";
import { findOverlap, pathShape } from "../../routing/rank.ts";
import type { Report } from "../report.ts";
import type { PlacedMatch } from "./matches.ts";

/** Reports every overlap at its later place, together with the earlier one. */
export function checkOverlaps(
  report: Report,
  routes: readonly (readonly PlacedMatch[])[],
  caseSensitive: boolean,
  ownPaths: readonly string[],
): void {
  // Only patterns of one shape, with a host and a method in common, can overlap: a file of thousands of routes, be it
  // for thousands of hosts, needs no comparison of all pairs.
  const buckets = new Map<string, Filed[]>();
  let order = 0;
  for (const [route, matches] of routes.entries()) {
    for (const placed of matches) {
      if (report.full) return;
      checkOwn(report, placed, ownPaths);
      const filed: Filed = { route, placed, order: order++ };
      const others = placesOf(placed.match, caseSensitive).flatMap((place) => {
        const bucket = buckets.get(place) ?? [];
        const other = bucket.find((one) => findOverlap(one.placed.match, placed.match, caseSensitive));
        if (other === undefined) bucket.push(filed);
        buckets.set(place, bucket);
        return other ?? [];
      });
      const first = others.toSorted((a, b) => a.order - b.order)[0];
      if (first !== undefined) addOverlap(report, first.placed, placed, first.route === route);
    }
  }
}

interface Filed {
  readonly route: number;
  readonly placed: PlacedMatch;
  readonly order: number;
}

function placesOf(match: RouteMatch, caseSensitive: boolean): readonly string[] {
  const shape = pathShape(match, caseSensitive);
  const hosts = match.hosts.length === 0 ? [""] : match.hosts;
  const methods = match.methods.length === 0 ? [""] : match.methods;
  return hosts.flatMap((host) => methods.map((method) => `${shape} ${host} ${method}`));
}

function addOverlap(report: Report, first: PlacedMatch, second: PlacedMatch, sameRoute: boolean): void {
  const { node, path } = second.place;
  const { line } = report.place(first.place.node.at);
  if (sameRoute) {
    report.add(node.at, path, "duplicate_value", "the route matches this already", {
      relatedAt: first.place.node.at,
    });
    return;
  }
  report.add(
    node.at,
    path,
    "route_overlap",
    `this route and the one in line ${line} match the same requests, and neither is more specific`,
    {
      relatedAt: first.place.node.at,
      hint: "make one of them more specific (path, host, methods, headers or query), or merge them",
    },
  );
}

/** Health paths are answered before any route. */
function checkOwn(report: Report, { match, place }: PlacedMatch, ownPaths: readonly string[]): void {
  if (match.wildcard || match.hosts.length > 0) return;
  const path = literalPath(match);
  if (path === undefined || !ownPaths.includes(path)) return;
  report.add(
    place.node.at,
    place.path,
    "route_shadowed",
    "the gateway answers this path itself, so the route is never reached",
    {
      hint: "give the health checks other paths with `health`, or turn them off with `health: false`",
    },
  );
}

function literalPath(match: RouteMatch): string | undefined {
  const values = match.segments.map((one) => (one.kind === "literal" ? one.value : undefined));
  return values.includes(undefined) ? undefined : `/${values.join("/")}`;
}
