// Shows diagnostics: to people with the line they are about, to programs as JSON, to GitHub as annotations.

import { Lines } from "./lines.ts";
import { Masker } from "./mask.ts";
import type { ConfigError, Diagnostic } from "./report.ts";

export type DiagnosticFormat = "text" | "json" | "github";

export type { ConfigError, Diagnostic, DiagnosticCode, Severity } from "./report.ts";

/**
 * All diagnostics as text. `text`: `FILE:LINE:COL code message`, the line with a caret, the hint; `json`: one array;
 * `github`: workflow commands. Values that may be secrets are blanked in the lines that are shown.
 */
export function formatDiagnostics(error: ConfigError, format: DiagnosticFormat, color: boolean): string {
  if (format === "json") return `${JSON.stringify(error.diagnostics, null, 2)}\n`;
  const { shown, more } = firstOf(error);
  if (format === "github") return shown.map(annotation).join("");
  const masker = new Masker(new Lines(error.source));
  const paint = color ? COLORS : PLAIN;
  const grave = shown.filter((one) => one.severity !== "note");
  const notes = shown.filter((one) => one.severity === "note");
  const parts = grave.map((one) => paragraph(one, error.source === "" ? undefined : masker, paint));
  if (notes.length > 0) parts.push(`${NOTES_HEAD}\n${notes.map((one) => noteLine(one, paint)).join("")}`);
  if (more > 0) parts.push(`and ${error.incomplete === true ? "at least " : ""}${more} more\n`);
  return parts.join("\n");
}

/** The diagnostics that are shown, in the order of the file: errors go first when there are too many. */
function firstOf({ diagnostics }: ConfigError): {
  readonly shown: readonly Diagnostic[];
  readonly more: number;
} {
  if (diagnostics.length <= MOST_LISTED) return { shown: diagnostics, more: 0 };
  const chosen = new Set(
    diagnostics.toSorted((a, b) => WEIGHTS[a.severity] - WEIGHTS[b.severity]).slice(0, MOST_LISTED),
  );
  const shown = diagnostics.filter((one) => chosen.has(one));
  return { shown, more: diagnostics.length - shown.length };
}

const MOST_LISTED = 100;
const WEIGHTS: Readonly<Record<Diagnostic["severity"], number>> = { error: 0, warning: 1, note: 2 };
const NOTES_HEAD = "choices to know of:";

function noteLine(one: Diagnostic, paint: Paint): string {
  const subject = one.path === "" ? "" : ` (${clean(one.path)})`;
  return `  ${one.file}:${one.line}:${one.column} ${paint.dim(one.code)} ${clean(one.message)}${subject}\n`;
}

interface Paint {
  readonly bold: (text: string) => string;
  readonly error: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly dim: (text: string) => string;
}

const same = (text: string): string => text;
const PLAIN: Paint = { bold: same, error: same, warning: same, dim: same };
const code = (number: number) => (text: string) => `\x1b[${number}m${text}\x1b[0m`;
const COLORS: Paint = { bold: code(1), error: code(31), warning: code(33), dim: code(2) };

// Longer lines are cut around the caret.
const MOST_SHOWN = 160;

function paragraph(one: Diagnostic, masker: Masker | undefined, paint: Paint): string {
  const name = one.severity === "warning" ? paint.warning(`warning ${one.code}`) : paint.error(one.code);
  const subject = one.path === "" ? "" : ` (${one.path})`;
  const out = [
    `${paint.bold(`${one.file}:${one.line}:${one.column}`)} ${name} ${clean(one.message)}${clean(subject)}`,
  ];
  if (masker !== undefined) out.push(...excerpt(one, masker, paint));
  if (one.related !== undefined) out.push(`  see ${one.file}:${one.related.line}:${one.related.column}`);
  if (one.suggestion !== undefined) out.push(`  did you mean \`${clean(one.suggestion)}\`?`);
  if (one.hint !== undefined) out.push(`  hint: ${clean(one.hint)}`);
  return `${out.join("\n")}\n`;
}

function excerpt(one: Diagnostic, masker: Masker, paint: Paint): string[] {
  const suspect = one.code === "unknown_key" || one.code === "secret_literal";
  const suspectFrom = one.code === "yaml_syntax" ? 0 : suspect ? one.column - 1 : Number.POSITIVE_INFINITY;
  const masked = clean(masker.line(one.line - 1, suspectFrom).replaceAll("\t", " "));
  const at = Math.min(one.column - 1, masked.length);
  const start = at > MOST_SHOWN - 20 ? at - MOST_SHOWN / 2 : 0;
  const gutter = `${one.line} | `;
  const shown = masked.slice(start, start + MOST_SHOWN);
  return [`  ${paint.dim(gutter)}${shown}`, `  ${" ".repeat(gutter.length + at - start)}${paint.error("^")}`];
}

/** Control characters in a file must not drive the terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions */
function annotation(one: Diagnostic): string {
  const data = (text: string): string =>
    text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (text: string): string => data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
  const extra = [
    one.suggestion === undefined ? "" : `Did you mean \`${one.suggestion}\`?`,
    one.hint ?? "",
  ].filter((text) => text !== "");
  const message = [one.message, ...extra].join(" — ");
  const level = one.severity === "note" ? "notice" : one.severity;
  return `::${level} file=${property(one.file)},line=${one.line},col=${one.column},title=${property(one.code)}::${data(message)}\n`;
}
