// `gatewarden check`: validates a file and tells every mistake at once. Opens no connection.

import { type DiagnosticFormat, formatDiagnostics } from "../config/diagnostics.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { inspectConfig } from "../config/load.ts";
import { usesColor } from "./paint.ts";

export interface CheckOptions {
  /** Path of the file. */
  readonly config: string;
  readonly format: DiagnosticFormat;
}

/** Prints what is wrong with the file and resolves with the exit code: 0 valid (warnings or not), 1 invalid. */
export async function check({ config: file, format }: CheckOptions): Promise<number> {
  const { config, diagnostics, source } = await inspectConfig(file, process.env);
  const report = { diagnostics, source };
  if (format === "json") {
    const body = {
      valid: config !== undefined,
      diagnostics,
      ...(config === undefined ? {} : summary(config)),
    };
    process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    return config === undefined ? 1 : 0;
  }
  process.stdout.write(formatDiagnostics(report, format, usesColor(process.stdout)));
  if (format === "text")
    process.stdout.write(`${diagnostics.length > 0 ? "\n" : ""}${lastLine(file, config, diagnostics)}\n`);
  return config === undefined ? 1 : 0;
}

function summary(config: GatewayConfig): {
  readonly routes: number;
  readonly publicRoutes: readonly string[];
} {
  const open = config.routes.filter((route) => route.access === "public");
  return { routes: config.routes.length, publicRoutes: open.map((route) => route.name) };
}

function lastLine(
  file: string,
  config: GatewayConfig | undefined,
  diagnostics: readonly { readonly severity: string }[],
): string {
  const errors = diagnostics.filter((one) => one.severity === "error").length;
  const warnings = diagnostics.length - errors;
  const counts = [errors > 0 ? amount(errors, "error") : "", warnings > 0 ? amount(warnings, "warning") : ""];
  const found = counts.filter((text) => text !== "").join(", ");
  if (config === undefined) return `${file} is invalid: ${found}`;
  const { routes, publicRoutes } = summary(config);
  const open =
    publicRoutes.length === 0 ? "none public" : `${publicRoutes.length} public: ${publicRoutes.join(", ")}`;
  return `${file} is valid${found === "" ? "" : ` (${found})`}: ${amount(routes, "route")}, ${open}`;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
