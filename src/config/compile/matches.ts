// Compiles `match`, `methods` and `stripPrefix` of a route.

import { canonicalPath, decodeSegment, type PathRules } from "../../core/request-target.ts";
import { type PatternFault, parseMatchObject, parseMatchText } from "../../routing/pattern.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import type { routeShape } from "../options.ts";
import type { FieldsOf } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { partOf } from "./entries.ts";

type RouteFields = FieldsOf<typeof routeShape>;

/** A match and where it stands. */
export interface PlacedMatch {
  readonly match: RouteMatch;
  readonly place: Place;
}

/** Everything that the route matches; faulty patterns are reported and left out. */
export function compileMatches(
  report: Report,
  fields: RouteFields,
  rules: PathRules,
): readonly PlacedMatch[] {
  const { value } = fields.match;
  if (value === undefined) return [];
  const list = Array.isArray(value) ? value : [value];
  const matches = list.flatMap((one, index) => {
    const place = Array.isArray(value) ? partOf(fields.match, index) : fields.match;
    const parsed = typeof one === "string" ? parseMatchText(one, rules) : parseMatchObject(one, rules);
    if (parsed.ok) return [parsed.value].flat().map((match) => ({ match, place }));
    addFault(report, place, parsed.error);
    return [];
  });
  return withMethods(report, fields, matches);
}

function addFault(report: Report, { node, path }: Place, fault: PatternFault): void {
  const code = fault.kind === "invalid" ? "pattern_invalid" : "pattern_not_canonical";
  report.add(node.at, path, code, fault.message, fault.hint === undefined ? {} : { hint: fault.hint });
}

/** `methods` of the route stands for patterns that list none themselves. */
function withMethods(
  report: Report,
  fields: RouteFields,
  matches: readonly PlacedMatch[],
): readonly PlacedMatch[] {
  const { value, node, path } = fields.methods;
  if (value === undefined) return matches;
  const methods = typeof value === "string" ? [value] : value;
  return matches.map((one) => {
    if (one.match.methods.length === 0) return { ...one, match: { ...one.match, methods } };
    report.add(node.at, path, "conflict", "the pattern lists methods already", {
      relatedAt: one.place.node.at,
    });
    return one;
  });
}

/** The names of the parameters that every one of the matches has. */
export function commonParameters(matches: readonly PlacedMatch[]): ReadonlySet<string> {
  const [first, ...others] = matches.map(
    ({ match }) => new Set(match.segments.flatMap((one) => (one.kind === "parameter" ? [one.name] : []))),
  );
  return new Set([...(first ?? [])].filter((name) => others.every((one) => one.has(name))));
}

/** `stripPrefix`, without a last slash; empty when nothing is cut. */
export function compileStripPrefix(
  report: Report,
  field: RouteFields["stripPrefix"],
  matches: readonly PlacedMatch[],
  rules: PathRules,
): string {
  const { value, node, path } = field;
  if (value === undefined) return "";
  const prefix = value.replace(/\/$/, "");
  const canonical = canonicalPath(prefix === "" ? "/" : prefix, rules);
  if (!value.startsWith("/") || prefix === "" || !canonical.ok || canonical.value !== prefix) {
    report.add(node.at, path, "value_invalid", "expected a canonical path such as /api");
    return "";
  }
  const wanted = prefix.slice(1).split("/").map(decodeSegment);
  for (const { match, place } of matches) {
    const fits = wanted.every((value, index) => {
      const segment = match.segments[index];
      return segment?.kind === "literal" && segment.value === value;
    });
    if (!fits) {
      report.add(
        node.at,
        path,
        "value_invalid",
        "the prefix has to be the beginning of every pattern of the route",
        {
          relatedAt: place.node.at,
        },
      );
      break;
    }
  }
  return prefix;
}
