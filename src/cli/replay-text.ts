// The report of `gatewarden replay` for people.

import { DENIALS, type DenialCode } from "../core/denial.ts";
import type { Fate } from "../review/replay/replayer.ts";
import type { ChangeGroup, Example, ReplaySummary, UnknownGroup } from "../review/replay/summary.ts";
import { clean } from "./load-file.ts";
import type { Paint } from "./paint.ts";

const MOST_SHOWN = 50;

/** @param names as given on the command line */
export function replayText(
  summary: ReplaySummary,
  names: { readonly log: string; readonly file: string; readonly old: string | undefined },
  style: Paint,
): string {
  const { decisions, changed, unknown, same, lines, malformed, from, to, opened, closed } = summary;
  if (decisions === 0) {
    return `${clean(names.log)} holds no decision lines (${lines} lines read). ${style.dim("hint:")} the gateway writes them with \`logs: { decisions: all }\`\n`;
  }
  const out: string[] = [];
  for (const group of summary.changes.slice(0, MOST_SHOWN)) out.push(changeText(group, style));
  if (summary.changes.length > MOST_SHOWN) {
    out.push(`… and ${summary.changes.length - MOST_SHOWN} more groups (--format json tells all)\n`);
  }
  if (summary.unknowns.length > 0) {
    out.push(
      style.bold("Can't tell:\n") +
        summary.unknowns
          .slice(0, MOST_SHOWN)
          .map((one) => unknownText(one, style))
          .join(""),
    );
  }
  const counts = [
    changed === 0 ? style.green("0 change") : style.yellow(`${changed} change`),
    ...(opened === 0 ? [] : [style.red(`${opened} of them let through that were refused`)]),
    ...(closed === 0 ? [] : [`${closed} of them refused that were let through`]),
    `${same} stay the same`,
    `${unknown} can't be told`,
  ].join(", ");
  const odd = malformed === 0 ? "" : `; ${malformed} malformed lines left out`;
  out.push(`${decisions} decisions from ${clean(from ?? "")} to ${clean(to ?? "")}: ${counts}${odd}.\n`);
  if (names.old === undefined) {
    out.push(
      style.dim(
        "Taken for granted without --old: roles grant what they granted, tokens are judged and read as they were, and whoever sent no credential that counted sent none.\n",
      ),
    );
  }
  return out.join("\n");
}

function changeText(
  { count, request, before, after, note, examples, what }: ChangeGroup,
  style: Paint,
): string {
  const opens = before.decision === "refuse" && after.decision !== "refuse";
  const fates =
    what === "limit"
      ? `limit ${before.quota ?? "none"} → ${after.quota ?? "none"}`
      : what === "route"
        ? `${routeText(before)} → ${routeText(after)}`
        : `${fateText(before)} → ${fateText(after)}`;
  const text = clean(`${count} × ${request}  ${fates}${note === undefined ? "" : ` (${note})`}`);
  return `${opens ? style.red(text) : style.bold(text)}\n${examples.map((one) => exampleText(one, style)).join("")}`;
}

function unknownText({ count, reason, examples }: UnknownGroup, style: Paint): string {
  return `  ${count} × ${clean(reason)}\n${examples
    .slice(0, 1)
    .map((one) => exampleText(one, style))
    .join("")}`;
}

function exampleText({ time, requestId, method, path, subject }: Example, style: Paint): string {
  return style.dim(
    clean(
      `      ${time} ${requestId} ${method} ${path}${subject === undefined || subject === "" ? "" : ` by ${subject}`}\n`,
    ),
  );
}

function fateText({ decision, code }: Fate): string {
  if (decision !== "refuse" || code === undefined) return decision;
  return `${Object.hasOwn(DENIALS, code) ? DENIALS[code as DenialCode].status : ""} ${code}`.trim();
}

function routeText(fate: Fate): string {
  if (fate.route === undefined) return fateText(fate);
  return `route ${fate.route}${fate.code === undefined ? "" : ` ${fateText(fate)}`}`;
}
