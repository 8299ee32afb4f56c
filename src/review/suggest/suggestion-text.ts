// A suggestion as YAML to read, edit and merge.

import { MOST_CALLERS } from "./observations.ts";
import type { ObservedPart, SuggestedRoute, Suggestion } from "./suggestion.ts";

/** Name of the upstream where none is known. */
const UPSTREAM = "app";

export function suggestionText({ decisions, from, to, routes, observed }: Suggestion): string {
  const lines = [
    `# From ${decisions} decisions, ${oneLine(from ?? "none")} to ${oneLine(to ?? "none")}. What was seen is not what is right: read every line.`,
  ];
  if (observed.length > 0) {
    lines.push("#", "# What enforcing the observed checks would do:");
    for (const part of observed) lines.push(`#   ${observedText(part)}`);
  }
  const guarded = routes.filter(({ auth }) => auth.length > 0);
  const open = routes.filter(({ auth }) => auth.length === 0);
  if (guarded.length > 0) lines.push("routes:", ...guarded.flatMap(routeLines));
  else lines.push("# No new route with a credential was seen.");
  if (open.length > 0) {
    lines.push("  # Seen without any credential only. Whether that is meant to be is for you to say:");
    for (const route of open)
      lines.push(`  # ${evidenceText(route)}`, ...bodyLines(route).map((line) => `  # ${line.slice(2)}`));
  }
  return `${lines.join("\n")}\n`;
}

function routeLines(route: SuggestedRoute): readonly string[] {
  return [`  # ${evidenceText(route)}`, ...bodyLines(route)];
}

function bodyLines({ match, to, auth, scopes, perMinute }: SuggestedRoute): readonly string[] {
  return [
    `  - match: ${quoted(match)}`,
    `    to: ${quoted(to ?? UPSTREAM)}`,
    auth.length === 0 ? "    public: true" : `    auth: [${auth.map(quoted).join(", ")}]`,
    ...(scopes.length === 0 ? [] : [`    scopes: [${scopes.map(quoted).join(", ")}]`]),
    ...(perMinute === undefined ? [] : [`    limit: ${perMinute}/min per user`]),
  ];
}

function evidenceText({ evidence, auth, scopes, to }: SuggestedRoute): string {
  const { requests, anonymous, callers, peakPerMinute } = evidence;
  const parts = [amount(requests, "request")];
  if (callers > 0)
    parts.push(
      `${amount(callers, "caller")}${callers < MOST_CALLERS ? "" : " and more"}, at most ${peakPerMinute} a minute each`,
    );
  if (auth.length > 0 && anonymous > 0)
    parts.push(`${anonymous} without a credential, which would be refused`);
  if (auth.length > 0 && scopes.length === 0) parts.push("no scope that only these callers held");
  if (to === undefined) parts.push("the upstream isn't known");
  return parts.join("; ");
}

function observedText({ route, part, requests, wouldRefuse, codes }: ObservedPart): string {
  if (wouldRefuse === 0)
    return `${oneLine(route)}: ${part} refused none of ${requests}; safe to enforce, as far as this log goes`;
  const list = Object.entries(codes).map(([code, count]) => `${oneLine(code)} ${count}`);
  return `${oneLine(route)}: ${part} would refuse ${wouldRefuse} of ${requests} (${list.join(", ")})`;
}

/** JSON strings are double-quoted YAML ones; a variable would be put in for `\${`. */
function quoted(text: string): string {
  return /^[A-Za-z][A-Za-z0-9._-]*$/.test(text)
    ? text
    : JSON.stringify(text.replaceAll(`\${`, `$\${`)).replace(/[\x7f-\x9f\u2028\u2029]/g, "?");
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, "?");
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
