// Which of two routes is more specific, and whether two are equally specific for one request. Order in the file never
// matters: the path decides first (literal over parameter over rest), then the host, the methods, the other conditions.

import type { RouteMatch, ValueCondition } from "./policy.ts";

/** How much an entry's host narrows it: exact over `*.suffix` (longer suffix first) over none. */
export function hostRank(host: string | undefined): number {
  if (host === undefined) return 0;
  return host.startsWith("*.") ? host.length : 1_000;
}

/** How many conditions beyond path, host and method narrow the match; a value narrows more than mere presence. */
export function conditionRank(match: RouteMatch): number {
  let rank = 0;
  for (const condition of match.headers) rank += condition.value === undefined ? 1 : 1.5;
  for (const condition of match.query) rank += condition.value === undefined ? 1 : 1.5;
  return rank;
}

/** Whether some request matches both and neither is more specific: an error at load, since order must not decide. */
export function findOverlap(a: RouteMatch, b: RouteMatch, caseSensitive = true): boolean {
  return (
    pathShape(a, caseSensitive) === pathShape(b, caseSensitive) &&
    hostsCollide(a.hosts, b.hosts) &&
    methodsCollide(a.methods, b.methods) &&
    conditionRank(a) === conditionRank(b) &&
    !disjoint(a.headers, b.headers) &&
    !disjoint(a.query, b.query)
  );
}

/**
 * Patterns of one shape match the same paths with the same rank, whatever their parameters are called. Only patterns of
 * one shape can overlap at equal rank, so callers may bucket by it instead of comparing every pair.
 */
export function pathShape(match: RouteMatch, caseSensitive = true): string {
  const parts = match.segments.map((segment) =>
    segment.kind === "parameter"
      ? ":"
      : `=${encodeURIComponent(caseSensitive ? segment.value : segment.value.toLowerCase())}`,
  );
  return `${parts.join("/")}${match.wildcard ? "/*" : ""}${match.trailingSlash ? "/" : ""}`;
}

function hostsCollide(a: readonly string[], b: readonly string[]): boolean {
  if (a.length === 0 || b.length === 0) return a.length === b.length;
  // Two different wildcard suffixes of one length can't match one host; nested ones differ in length, hence in rank.
  return a.some((host) => b.includes(host));
}

function methodsCollide(a: readonly string[], b: readonly string[]): boolean {
  if (a.length === 0 || b.length === 0) return a.length === b.length;
  return a.some((method) => b.includes(method));
}

function disjoint(a: readonly ValueCondition[], b: readonly ValueCondition[]): boolean {
  return a.some((one) =>
    b.some(
      (other) =>
        one.name === other.name &&
        one.value !== undefined &&
        other.value !== undefined &&
        one.value !== other.value,
    ),
  );
}
