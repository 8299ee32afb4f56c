// `gatewarden import openapi`: a gateway.yaml made from an OpenAPI document, and a report of what it could not take over.

import { formatDiagnostics } from "../config/diagnostics.ts";
import { inspectConfig } from "../config/load.ts";
import type { Result } from "../core/result.ts";
import { err, ok } from "../core/result.ts";
import { type Imported, type ImportFault, importOpenApi, type Remark } from "../review/openapi/import.ts";
import { oneLine } from "../review/yaml-text.ts";
import { writeNew } from "./new-file.ts";
import { paint, usesColor } from "./paint.ts";

export interface ImportCommandOptions {
  readonly output?: string;
  /** NAME=URL each. */
  readonly upstream?: readonly string[];
  readonly issuer?: string;
  readonly audience?: string;
  readonly public?: boolean;
  readonly force?: boolean;
  readonly format: "text" | "json";
}

/**
 * Converts `file` and resolves with the exit code: 0 done, 1 nothing could be made of the document or the file exists, 2
 * options that don't fit. Without `output` the YAML goes to standard output and the report to standard error.
 */
export async function importOpenApiCommand(file: string, options: ImportCommandOptions): Promise<number> {
  const { output, format } = options;
  const upstreams = parseUpstreams(options.upstream ?? []);
  if (!upstreams.ok) return complain(upstreams.error, 2);
  const imported = await importOpenApi(file, {
    upstreams: upstreams.value,
    issuer: options.issuer,
    audience: options.audience,
    openUndeclared: options.public === true,
  });
  if (!imported.ok) return tellFault(file, imported.error);
  const { yaml, ...report } = imported.value;
  if (output !== undefined) {
    const written = await writeNew(output, yaml, options.force === true);
    if (!written.ok) return complain(written.error, 1);
    const faulty = await tellFaulty(output);
    if (faulty) return 1;
  }
  if (format === "json") {
    const body = output === undefined ? { ...report, yaml } : { ...report, output };
    process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    return 0;
  }
  if (output === undefined) process.stdout.write(yaml);
  (output === undefined ? process.stderr : process.stdout).write(summary(file, imported.value, output));
  return 0;
}

/** Reads `NAME=URL` options; the error is a sentence. */
export function parseUpstreams(texts: readonly string[]): Result<ReadonlyMap<string, string>, string> {
  const upstreams = new Map<string, string>();
  for (const text of texts) {
    const [, name, url = ""] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})=(.*)$/s.exec(text) ?? [];
    if (name === undefined) return err("--upstream takes NAME=URL, such as api=http://127.0.0.1:9000");
    if (!isUpstreamUrl(url))
      return err(
        `--upstream ${name}: expected an http:// or https:// URL without user name, query and fragment`,
      );
    upstreams.set(name, url);
  }
  return ok(upstreams);
}

/** Whether gateway.yaml takes the URL as that of an upstream. */
export function isUpstreamUrl(url: string): boolean {
  return /^https?:\/\/[^/?#@\\\s]+(?:\/[^?#\\\s]*)?$/i.test(url) && URL.canParse(url);
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`gatewarden: ${oneLine(message, 1_000)}\n`);
  return exitCode;
}

/** Says why nothing was made of the document, and gives the exit code. */
export function tellFault(file: string, fault: ImportFault): number {
  if (fault.kind === "options") return complain(fault.message, 2);
  if (fault.kind === "document") {
    process.stderr.write(formatDiagnostics(fault.error, "text", usesColor(process.stderr)));
    return 1;
  }
  process.stderr.write(
    `${list(fault.leftOut)}gatewarden: no operation of ${oneLine(file)} can be carried over\n`,
  );
  return 1;
}

/** Checks what was written, in case the environment gives a variable in it an impossible value. */
export async function tellFaulty(file: string): Promise<boolean> {
  const { config, diagnostics, source } = await inspectConfig(file, process.env);
  if (config !== undefined) return false;
  const errors = diagnostics.filter((one) => one.severity === "error");
  process.stderr.write(formatDiagnostics({ diagnostics: errors, source }, "text", usesColor(process.stderr)));
  return true;
}

const MOST_LISTED = 50;

function summary(file: string, imported: Imported, output: string | undefined): string {
  const { bold, yellow } = paint(output === undefined ? process.stderr : process.stdout);
  const { dialect, paths, operations, routes, publicRoutes, leftOut, remarks } = imported;
  const lines = [
    `${bold(oneLine(file))} (${oneLine(dialect)}): ${amount(paths, "path")}, ${amount(operations, "operation")} → ${amount(routes, "route")}`,
    publicRoutes.length === 0
      ? "No route is public."
      : `Public, as the document says: ${oneLine(publicRoutes.join(", "), 1_000)}`,
  ];
  if (leftOut.length > 0) lines.push("", yellow("Not carried over, so not served:"), list(leftOut).trimEnd());
  if (remarks.length > 0) lines.push("", yellow("Look at:"), list(remarks).trimEnd());
  if (output !== undefined)
    lines.push("", `Written to ${oneLine(output)}. Next: gatewarden check -c ${oneLine(output)}`);
  return `${lines.join("\n")}\n`;
}

function list(remarks: readonly Remark[]): string {
  const lines = remarks
    .slice(0, MOST_LISTED)
    .map(({ what, why, line }) => `  line ${line}: ${oneLine(what, 120)}: ${oneLine(why, 300)}\n`);
  if (remarks.length > MOST_LISTED) lines.push(`  … and ${remarks.length - MOST_LISTED} more\n`);
  return lines.join("");
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
