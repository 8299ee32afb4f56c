// Shows diagnostics: to people with the line they are about, to programs as JSON, to GitHub as annotations.

import { maskLine } from "./mask.ts";
import type { ConfigError, Diagnostic } from "./report.ts";

export type DiagnosticFormat = "text" | "json" | "github";

export type { ConfigError, Diagnostic, DiagnosticCode } from "./report.ts";

/**
 * All diagnostics as text. `text`: `FILE:LINE:COL code message`, the line with a caret, the hint; `json`: one array;
 * `github`: workflow commands. Values that may be secrets are blanked in the lines that are shown.
 */
export function formatDiagnostics(error: ConfigError, format: DiagnosticFormat, color: boolean): string {
  const { diagnostics, source } = error;
  if (format === "json") return `${JSON.stringify(diagnostics, null, 2)}\n`;
  if (format === "github") return diagnostics.map(annotation).join("");
  const lines = source.split(/\r?\n/);
  return diagnostics.map((one) => paragraph(one, lines, color ? COLORS : PLAIN)).join("\n");
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

function paragraph(one: Diagnostic, lines: readonly string[], paint: Paint): string {
  const name = one.severity === "warning" ? paint.warning(`warning ${one.code}`) : paint.error(one.code);
  const subject = one.path === "" ? "" : ` (${one.path})`;
  const out = [
    `${paint.bold(`${one.file}:${one.line}:${one.column}`)} ${name} ${clean(one.message)}${clean(subject)}`,
  ];
  if (lines.join("") !== "") out.push(...excerpt(one, lines, paint));
  if (one.related !== undefined) out.push(`  see ${one.file}:${one.related.line}:${one.related.column}`);
  if (one.suggestion !== undefined) out.push(`  did you mean \`${clean(one.suggestion)}\`?`);
  if (one.hint !== undefined) out.push(`  hint: ${clean(one.hint)}`);
  return `${out.join("\n")}\n`;
}

function excerpt(one: Diagnostic, lines: readonly string[], paint: Paint): string[] {
  const suspect = one.code === "unknown_key" || one.code === "secret_literal";
  const suspectFrom = one.code === "yaml_syntax" ? 0 : suspect ? one.column - 1 : Number.POSITIVE_INFINITY;
  const masked = clean(maskLine(lines, one.line - 1, suspectFrom).replaceAll("\t", " "));
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
  return `::${one.severity} file=${property(one.file)},line=${one.line},col=${one.column},title=${property(one.code)}::${data(message)}\n`;
}
