// A comparison for people: what widens first, then what narrows, then the rest; a summary at the end.

import type { Access, Comparison, RouteChange } from "./compare.ts";
import type { Change } from "./route-changes.ts";
import {
  amount,
  clean,
  countsOf,
  gainText,
  guardsOf,
  headline,
  linesText,
  lossText,
  methodsText,
  subjectText,
} from "./sentences.ts";

/** Ways to set text apart on a terminal. */
export interface Paint {
  readonly bold: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
}

const LABELS: Readonly<Record<Access, string>> = {
  wider: "WIDER",
  both: "WIDER",
  "possibly wider": "MAYBE WIDER",
  narrower: "narrower",
  same: "changed",
};
const ORDER: readonly Access[] = ["wider", "both", "possibly wider", "narrower", "same"];

// Patterns that change alike are listed together, this many at most; and so many of such lists.
const MOST_PATTERNS = 20;
const MOST_BLOCKS = 100;
const INDENT = "    ";

/** Changes that differ in nothing but the requests that they are about. */
export interface Block {
  readonly access: Access;
  readonly changes: readonly [RouteChange, ...RouteChange[]];
}

/** The changes of single routes, those that widen access first. */
export function blocksOf({ routes }: Comparison): readonly Block[] {
  const alike = Map.groupBy(routes, (one) =>
    JSON.stringify([one.access, one.gains, one.losses, one.changes, guardsOf(one)]),
  );
  return [...alike.values()]
    .flatMap((list) => {
      const [first, ...others] = list;
      return first === undefined ? [] : [{ access: first.access, changes: [first, ...others] as const }];
    })
    .toSorted((a, b) => ORDER.indexOf(a.access) - ORDER.indexOf(b.access));
}

/** The comparison as text, ended by a line break. */
export function comparisonText(comparison: Comparison, paint: Paint): string {
  const blocks = blocksOf(comparison);
  const lines = blocks.slice(0, MOST_BLOCKS).flatMap((block) => [...blockLines(block, paint), ""]);
  if (blocks.length > MOST_BLOCKS) {
    const left = blocks.slice(MOST_BLOCKS).flatMap(({ changes }) => changes).length;
    lines.push(`and ${left} more patterns; --format json lists all`, "");
  }
  const { paths, incomplete, file } = comparison;
  for (const { text, certain } of paths)
    lines.push(`${label(certain ? "wider" : "possibly wider", paint)}  ${text}`, "");
  if (incomplete !== undefined) {
    lines.push(
      `${label("possibly wider", paint)}  there are too many combinations to compare, from ${clean(incomplete)} on`,
      "",
    );
  }
  if (file.length > 0)
    lines.push("for the gateway as a whole", ...file.map((one) => changeLine(one, paint)), "");
  const text = headline(comparison);
  const painted = text.startsWith("Access") ? paint.red(text) : paint.green(text);
  return `${[...lines, `${painted}${restText(comparison)}`].join("\n")}\n`;
}

function blockLines({ access, changes }: Block, paint: Paint): readonly string[] {
  const [first] = changes;
  const heads = changes.slice(0, MOST_PATTERNS).map((one) => {
    const pattern = paint.bold(clean(`${methodsText(one)} ${subjectText(one)}`));
    return `${label(access, paint)}  ${pattern}  (${clean(linesText(one))})`;
  });
  const more = changes.length - heads.length;
  const [was, now] = guardsOf(first).map(clean);
  return [
    ...heads,
    ...(more > 0 ? [`${INDENT}and ${more} more patterns; --format json lists all`] : []),
    ...(was === now ? [] : [`${INDENT}was ${was}`, `${INDENT}now ${now}`]),
    ...first.gains.map((gain) => `${INDENT}${paint.red(`+ ${clean(gainText(gain))}`)}`),
    ...first.losses.map((gain) => `${INDENT}- ${clean(lossText(gain))}`),
    ...first.changes.filter(({ what }) => what !== "guard").map((one) => changeLine(one, paint)),
  ];
}

function label(access: Access, paint: Paint): string {
  const text = LABELS[access];
  if (access === "narrower") return paint.green(text);
  return access === "same" ? text : paint.red(text);
}

function changeLine({ what, old, new: next, looser }: Change, paint: Paint): string {
  return `${INDENT}${clean(what)}: ${clean(old)} → ${clean(next)}${looser ? paint.yellow("  looser") : ""}`;
}

function restText(comparison: Comparison): string {
  const { narrower, looser, other } = countsOf(comparison);
  const parts = [
    narrower === 0 ? "" : `narrower for ${amount(narrower, "pattern")}`,
    looser === 0 ? "" : `${amount(looser, "limit or bound", "limits and bounds")} looser`,
    other === 0 ? "" : amount(other, "other change"),
  ].filter((text) => text !== "");
  return parts.length === 0 ? "" : `; ${parts.join(", ")}`;
}
