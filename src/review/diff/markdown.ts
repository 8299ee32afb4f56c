// A comparison for the comment of a pull request: what matters in a table, the rest folded away. Nothing that the files hold
// can become markup.

import type { Access, Comparison, RouteChange } from "./compare.ts";
import {
  amount,
  clean,
  gainText,
  guardsOf,
  headline,
  linesText,
  lossText,
  methodsText,
  subjectText,
} from "./sentences.ts";
import { blocksOf } from "./text.ts";

const SIGNS: Readonly<Record<Access, string>> = {
  wider: "🔴 wider",
  both: "🔴 wider and narrower",
  "possibly wider": "🟠 maybe wider",
  narrower: "🟢 narrower",
  same: "⚪ same access",
};

// A comment has 65,536 characters at most; longer ones would be refused as a whole.
const MOST_ROWS = 60;
const MOST_CELL = 400;

/** The comparison as GitHub-flavoured Markdown. The first line says whether access widens. */
export function comparisonMarkdown(comparison: Comparison): string {
  const { paths, file, incomplete } = comparison;
  const changes = blocksOf(comparison).flatMap((block) => block.changes);
  const widens = changes.filter(({ access }) => access !== "narrower" && access !== "same");
  const others = changes.filter(({ access }) => access === "narrower" || access === "same");
  const notes = [
    ...paths.map(({ text }) => `- ${cell(text)}`),
    ...(incomplete === undefined ? [] : [`- too many combinations to compare, from ${code(incomplete)} on`]),
  ];
  const lines = [`**${cell(headline(comparison))}**`, ""];
  if (notes.length > 0) lines.push(...notes, "");
  if (widens.length > 0) lines.push(...table(widens), "");
  if (others.length > 0)
    lines.push(...folded(`${amount(others.length, "other change")} of routes`, table(others)));
  if (file.length > 0) {
    const rows = file.map((one) =>
      row([code(one.what), cell(one.old), cell(one.new), one.looser ? "looser" : ""]),
    );
    const head = [row(["What", "Was", "Now", ""]), row(["---", "---", "---", "---"])];
    lines.push(...folded(`${amount(file.length, "change")} of the whole gateway`, [...head, ...cut(rows)]));
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

function table(changes: readonly RouteChange[]): readonly string[] {
  const rows = changes.map((one) => {
    const [was, now] = guardsOf(one);
    const what = [
      ...one.gains.map((gain) => `+ ${cell(gainText(gain))}`),
      ...one.losses.map((gain) => `− ${cell(lossText(gain))}`),
      ...one.changes
        .filter((change) => change.what !== "guard")
        .map((change) => {
          const text = `${change.what}: ${change.old} → ${change.new}${change.looser ? " (looser)" : ""}`;
          return cell(text);
        }),
    ];
    return row([
      SIGNS[one.access],
      code(`${methodsText(one)} ${subjectText(one)}`),
      cell(linesText(one)),
      was === now ? "" : cell(was),
      was === now ? "" : cell(now),
      what.join("<br>"),
    ]);
  });
  const head = ["Access", "Requests", "Lines", "Was", "Now", "What changes"];
  return [row(head), row(head.map(() => "---")), ...cut(rows)];
}

function cut(rows: readonly string[]): readonly string[] {
  if (rows.length <= MOST_ROWS) return rows;
  return [...rows.slice(0, MOST_ROWS), "", `and ${rows.length - MOST_ROWS} more`];
}

function folded(title: string, lines: readonly string[]): readonly string[] {
  return [`<details><summary>${title}</summary>`, "", ...lines, "", "</details>", ""];
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** Text in which nothing is markup, a mention, a link or an HTML element. */
function cell(text: string): string {
  const shown = text.length > MOST_CELL ? `${text.slice(0, MOST_CELL - 1)}…` : text;
  return escaped(clean(shown));
}

/** Text in the font of code. An HTML element, since no escape is known inside backticks. */
function code(text: string): string {
  return `<code>${cell(text)}</code>`;
}

function escaped(text: string): string {
  return text
    .replace(/[&<>"'|`*_[\]\\~#@$]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll("://", ":&#47;&#47;")
    .replaceAll("www.", "www&#46;");
}
