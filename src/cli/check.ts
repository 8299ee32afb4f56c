// `gatewarden check`: validates a file and tells every mistake at once. Opens connections with --online only.

import { type Diagnostic, type DiagnosticFormat, formatDiagnostics } from "../config/diagnostics.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { inspectConfig } from "../config/load.ts";
import type { Dependency } from "./check-online.ts";
import { paint, usesColor } from "./paint.ts";

export interface CheckOptions {
  /** Path of the file. */
  readonly config: string;
  readonly format: DiagnosticFormat;
  /** Warnings count as mistakes. */
  readonly strict?: boolean;
  /** Also asks issuers, Redis and upstreams. */
  readonly online?: boolean;
}

const MOST_LISTED = 10;

/**
 * Prints what is wrong with the file and resolves with the exit code: 0 valid, 1 invalid (with `strict` also when there
 * are warnings), 3 a dependency can't be used.
 */
export async function check(options: CheckOptions): Promise<number> {
  const { config: file, format, strict = false, online = false } = options;
  const inspection = await inspectConfig(file, process.env);
  const { config, diagnostics } = inspection;
  if (format !== "json")
    process.stdout.write(formatDiagnostics(inspection, format, usesColor(process.stdout)));
  const refused = config === undefined || (strict && diagnostics.some((one) => one.severity === "warning"));
  const answers = online && config !== undefined ? await ask(config) : undefined;
  if (format === "json") {
    const body = {
      valid: config !== undefined,
      diagnostics,
      ...(inspection.incomplete ? { incomplete: true } : {}),
      ...(config === undefined ? {} : summary(config)),
      ...(answers === undefined ? {} : { dependencies: answers }),
    };
    process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
  } else {
    if (answers !== undefined) await tellAnswers(answers, options);
    if (format === "text") {
      const gap = diagnostics.length > 0 || answers !== undefined ? "\n" : "";
      process.stdout.write(`${gap}${lastLine(options, config, diagnostics)}\n`);
    }
  }
  if (refused) return 1;
  return answers?.some(({ ok }) => !ok) === true ? 3 : 0;
}

async function ask(config: GatewayConfig): Promise<readonly Dependency[]> {
  return (await import("./check-online.ts")).askDependencies(config);
}

async function tellAnswers(
  answers: readonly Dependency[],
  { config: file, format }: CheckOptions,
): Promise<void> {
  if (format === "text") {
    const { dependencyTable } = await import("./check-online.ts");
    process.stdout.write(dependencyTable(answers, paint(process.stdout)));
    return;
  }
  for (const { kind, name, address, ok, detail } of answers) {
    if (ok) continue;
    const text = `${kind} ${name} (${address}): ${detail}`.replaceAll("%", "%25");
    process.stdout.write(
      `::error file=${file.replaceAll(/[%,:]/g, encodeURIComponent)},title=unreachable::${text}\n`,
    );
  }
}

function summary(config: GatewayConfig): {
  readonly routes: number;
  readonly publicRoutes: readonly string[];
} {
  const open = config.routes.filter((route) => route.access === "public");
  return { routes: config.routes.length, publicRoutes: open.map((route) => route.name) };
}

function lastLine(
  { config: file, strict }: CheckOptions,
  config: GatewayConfig | undefined,
  diagnostics: readonly Diagnostic[],
): string {
  const counts = (["error", "warning", "note"] as const).flatMap((severity) => {
    const count = diagnostics.filter((one) => one.severity === severity).length;
    return count === 0 ? [] : [amount(count, severity)];
  });
  const found = counts.join(", ");
  if (config === undefined) return `${file} is invalid: ${found}`;
  const open = config.routes.filter((route) => route.access === "public");
  const shown = open.slice(0, MOST_LISTED).map(({ name, line }) => `${name} (line ${line})`);
  if (open.length > shown.length) shown.push(`and ${open.length - shown.length} more`);
  const listed = open.length === 0 ? "none public" : `${open.length} public: ${shown.join(", ")}`;
  const verdict =
    strict === true && diagnostics.some((one) => one.severity === "warning")
      ? "is valid, but not without warnings"
      : "is valid";
  return `${file} ${verdict}${found === "" ? "" : ` (${found})`}: ${amount(config.routes.length, "route")}, ${listed}`;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
