// A comparison in sentences, for every output: what a change is about, and who gains or loses by it.

import type { RouteMatch } from "../../routing/policy.ts";
import { guardText, patternText, some } from "../words.ts";
import type { Comparison, RouteChange } from "./compare.ts";
import { isWider } from "./compare.ts";
import type { Gain } from "./gains.ts";
import type { Served } from "./side.ts";

/** `GET,POST`, or `any` where methods are meant that no route lists. */
export function methodsText({ methods, otherMethods, old, new: next }: RouteChange): string {
  if (otherMethods) return "any";
  const listed = [old, next].flatMap((served) => served?.match.methods ?? []);
  // HEAD goes without saying where GET is.
  const told = methods.filter(
    (method) => method !== "HEAD" || listed.includes("HEAD") || methods.length === 1,
  );
  return told.join(",");
}

/** The pattern that says best which requests are meant: the more specific of the two. */
export function subjectText({ old, new: next, path }: RouteChange): string {
  if (path !== undefined) return path;
  const shown = next === undefined || (old && isMoreSpecific(old.match, next.match)) ? old : next;
  return shown === undefined ? "" : patternText(shown.match);
}

/** `old:12 → new:14`, with the pattern of a side whose own is another one. */
export function linesText(change: RouteChange): string {
  const subject = subjectText(change);
  const side = (name: string, served: Served | undefined): readonly string[] => {
    if (served === undefined) return [];
    const own = patternText(served.match);
    return [`${name}:${served.route.line}${own === subject ? "" : ` ${own}`}`];
  };
  return [...side("old", change.old), ...side("new", change.new)].join(" → ");
}

/** `was …, now …`; what guards the requests under each file. */
export function guardsOf({ old, new: next }: RouteChange): readonly [old: string, next: string] {
  const text = (served: Served | undefined): string =>
    served === undefined ? "no route" : guardText(served.route);
  return [text(old), text(next)];
}

/** Who may call and couldn't. */
export function gainText({ reason, ...gain }: Gain): string {
  const because = reason.text === "" ? "" : `: ${reason.text}`;
  return `${reason.certain ? "" : "possibly "}${whoText(gain)}${because}`;
}

/** Who could call and may no longer. The reasons are those of the way back, so the guards have to tell. */
export function lossText(gain: Gain): string {
  const part = gain.kind === "issuer" && gain.reason.text !== "" ? "some " : "";
  return `${gain.reason.certain ? "" : "possibly "}no longer ${part}${whoText(gain)}`;
}

function whoText({ kind, names }: Pick<Gain, "kind" | "names">): string {
  switch (kind) {
    case "anybody":
      return "anybody";
    case "addresses":
      return "callers from some addresses";
    case "issuer":
      return `${names.length === 1 ? "tokens of issuer" : "tokens of issuers"} ${some(names)}`;
    case "keys":
      return `${names.length === 1 ? "API key" : "API keys"} ${some(names)}`;
    case "keysWithToken":
      return `${names.length === 1 ? "API key" : "API keys"} ${some(names)} with a token`;
    case "origins":
      return `web pages of ${names.includes("*") ? "any origin" : some(names)}`;
  }
}

/** How many changes there are of each kind. */
export interface Counts {
  readonly wider: number;
  readonly possiblyWider: number;
  readonly narrower: number;
  /** Wider for some callers, narrower for others; also among `wider`. */
  readonly both: number;
  /** Limits and bounds that let more through. */
  readonly looser: number;
  /** Changes that are neither of access nor looser. */
  readonly other: number;
}

export function countsOf({ routes, file }: Comparison): Counts {
  const of = (...kinds: readonly string[]): number =>
    routes.filter(({ access }) => kinds.includes(access)).length;
  const changes = [...routes.flatMap((one) => one.changes), ...file];
  const looser = changes.filter((one) => one.looser).length;
  return {
    wider: of("wider", "both"),
    possiblyWider: of("possibly wider"),
    narrower: of("narrower"),
    both: of("both"),
    looser,
    other: changes.filter(({ what }) => what !== "guard").length - looser,
  };
}

/** The comparison in one line. */
export function headline(comparison: Comparison): string {
  const { routes, paths, incomplete, file } = comparison;
  const wider = routes.filter(({ access }) => access === "wider" || access === "both");
  const maybe = routes.filter(({ access }) => access === "possibly wider");
  const sure = paths.filter(({ certain }) => certain);
  const parts = [
    wider.length === 0 ? "" : `Access widens: ${amount(routesOf(wider), "route")}`,
    ...sure.map(({ text }) => `Access widens: ${text}`),
    maybe.length === 0 ? "" : `Access may widen: ${amount(routesOf(maybe), "route")}`,
    ...paths.filter(({ certain }) => !certain).map(({ text }) => `Access may widen: ${text}`),
    incomplete === undefined ? "" : "Access may widen: there are too many combinations to be sure",
  ].filter((text) => text !== "");
  if (parts.length > 0) return parts.join(". ");
  return routes.length === 0 && file.length === 0 ? "No change in meaning" : "No access widens";
}

/** Whether somebody may do more than before, or it can't be ruled out. */
export function widens({ access }: Comparison): boolean {
  return isWider(access);
}

/** Whether a limit or a bound lets more through. */
export function loosens(comparison: Comparison): boolean {
  return countsOf(comparison).looser > 0;
}

/** `1 route`, `2 routes`. */
export function amount(count: number, noun: string, several = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : several}`;
}

function routesOf(changes: readonly RouteChange[]): number {
  return new Set(changes.map(({ old, new: next }) => (next ?? old)?.route)).size;
}

/** Control characters and those that turn the direction of text must not reach a terminal or a comment. */
export function clean(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "?");
}

function isMoreSpecific(a: RouteMatch, b: RouteMatch): boolean {
  const [one, other] = [rankOf(a), rankOf(b)];
  const differs = one.findIndex((value, index) => value !== other[index]);
  return differs !== -1 && (one[differs] ?? 0) > (other[differs] ?? 0);
}

/** Literals over parameters over any rest, segment by segment, then hosts and conditions. */
function rankOf({ segments, wildcard, hosts, headers, query }: RouteMatch): readonly number[] {
  const path = Array.from({ length: 64 }, (_, index) => {
    const kind = segments[index]?.kind;
    return kind === "literal" ? 3 : kind === "parameter" ? 2 : wildcard ? 0 : 1;
  });
  return [...path, Math.min(1, hosts.length), headers.length + query.length];
}
