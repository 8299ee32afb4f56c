// `gatewarden diff OLD NEW`: what another file would change in meaning, above all who may reach what.

import { parseEnv } from "node:util";
import { formatDiagnostics } from "../config/diagnostics.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import type { Inspection } from "../config/load.ts";
import { MOST_FILE_BYTES, readText } from "../config/source.ts";
import { type Comparison, compareConfigs } from "../review/diff/compare.ts";
import { comparisonJson } from "../review/diff/json.ts";
import { comparisonMarkdown } from "../review/diff/markdown.ts";
import { clean, loosens, widens } from "../review/diff/sentences.ts";
import { comparisonText } from "../review/diff/text.ts";
import { inspectSource } from "./config-source.ts";
import { paint, usesColor } from "./paint.ts";

export interface DiffOptions {
  readonly format: "text" | "json" | "markdown";
  /** Looser limits and bounds make it fail as well. */
  readonly limits?: boolean;
  /** File with variables, for those that the environment doesn't have. */
  readonly variables?: string;
}

/**
 * Compares two configurations and resolves with the exit code: 0 nobody may do more, 1 access widens or can't be compared
 * because a file is invalid, 2 a source can't be found.
 */
export async function diff(oldName: string, newName: string, options: DiffOptions): Promise<number> {
  if (oldName === "-" && newName === "-") return complain("only one of the two can be standard input");
  const environment = await environmentWith(options.variables);
  if (environment === undefined) return complain(`the file ${options.variables} can't be read`);
  const configs: GatewayConfig[] = [];
  for (const name of [oldName, newName]) {
    const inspected = await inspectSource(name, environment);
    if (!inspected.ok) return complain(inspected.error);
    const { config } = inspected.value;
    if (config === undefined) tellInvalid(name, inspected.value);
    else configs.push(config);
  }
  const [old, next] = configs;
  if (old === undefined || next === undefined) return 1;
  const comparison = compareConfigs(old, next, Date.now());
  process.stdout.write(written(comparison, options, [oldName, newName]));
  return widens(comparison) || (options.limits === true && loosens(comparison)) ? 1 : 0;
}

function written(
  comparison: Comparison,
  { format }: DiffOptions,
  names: readonly [old: string, next: string],
): string {
  if (format === "json") return comparisonJson(comparison, names);
  return format === "markdown"
    ? comparisonMarkdown(comparison)
    : comparisonText(comparison, paint(process.stdout));
}

/** What the environment has wins over the file. */
async function environmentWith(file: string | undefined): Promise<NodeJS.ProcessEnv | undefined> {
  if (file === undefined) return process.env;
  const read = await readText(file, MOST_FILE_BYTES);
  return read.ok ? { ...parseEnv(read.value.text), ...process.env } : undefined;
}

function tellInvalid(name: string, { diagnostics, source }: Inspection): void {
  const errors = { diagnostics: diagnostics.filter(({ severity }) => severity === "error"), source };
  process.stderr.write(`gatewarden: ${clean(name)} is invalid\n`);
  process.stderr.write(formatDiagnostics(errors, "text", usesColor(process.stderr)));
}

function complain(sentence: string): number {
  process.stderr.write(`gatewarden: ${clean(sentence)}\n`);
  return 2;
}
