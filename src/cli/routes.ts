// `gatewarden routes`: every route with its guard and its limits, as a table.

import { formatDiagnostics } from "../config/diagnostics.ts";
import type { GatewayConfig, RoutePolicy } from "../config/gateway-config.ts";
import { inspectConfig } from "../config/load.ts";
import { limitText } from "../rate-limit/limit-text.ts";
import type { FileLimit } from "../rate-limit/policy.ts";
import { guardText } from "../review/words.ts";
import type { RouteMatch } from "../routing/policy.ts";
import { usesColor } from "./paint.ts";
import { alignedTable } from "./table.ts";

export interface RoutesOptions {
  /** Path of the file. */
  readonly config: string;
  readonly format: "text" | "json";
}

/** Prints the routes of a valid file and resolves with the exit code: 0 done, 1 the file is invalid. */
export async function routes({ config: file, format }: RoutesOptions): Promise<number> {
  const { config, diagnostics, source } = await inspectConfig(file, process.env);
  if (config === undefined) {
    const errors = diagnostics.filter((one) => one.severity === "error");
    process.stderr.write(
      formatDiagnostics({ diagnostics: errors, source }, "text", usesColor(process.stderr)),
    );
    return 1;
  }
  const rows = config.routes.flatMap((route) => rowsOf(route, config.globalLimits));
  process.stdout.write(format === "json" ? `${JSON.stringify(rows, null, 2)}\n` : table(rows, config));
  return 0;
}

/** One pattern of one route. */
interface Row {
  readonly methods: readonly string[];
  readonly pattern: string;
  readonly hosts: readonly string[];
  readonly conditions: readonly string[];
  readonly upstream: string;
  readonly access: RoutePolicy["access"];
  readonly guard: string;
  readonly limits: readonly string[];
  readonly route: string;
  readonly line: number;
}

function rowsOf(route: RoutePolicy, globalLimits: readonly FileLimit[]): Row[] {
  return route.matches.map((match) => ({
    methods: match.methods,
    pattern: patternOf(match),
    hosts: match.hosts,
    conditions: [
      // What a header has to hold may be a secret that another proxy shows.
      ...match.headers.map(({ name, value }) => `${name}${value === undefined ? "" : "=…"}`),
      ...match.query.map(({ name, value }) => `?${name}${value === undefined ? "" : `=${value}`}`),
    ],
    upstream: route.upstream,
    access: route.access,
    guard: guardText(route),
    limits: route.limits.map((limit) => limitText(limit, globalLimits.includes(limit) ? ["global"] : [])),
    route: route.name,
    line: route.line,
  }));
}

function patternOf(match: RouteMatch): string {
  const parts = match.segments.map((one) => (one.kind === "parameter" ? `:${one.name}` : one.value));
  const path = `/${[...parts, ...(match.wildcard ? ["*"] : [])].join("/")}`;
  return match.trailingSlash ? `${path}/` : path;
}

function table(rows: readonly Row[], config: GatewayConfig): string {
  const head = ["METHODS", "PATTERN", "UPSTREAM", "GUARD", "LIMITS", "LINE"];
  const cells = rows.map((row) => [
    row.methods.length === 0 ? "any" : row.methods.join(","),
    `${row.hosts.join("|")}${row.pattern}${row.conditions.length === 0 ? "" : ` [${row.conditions.join(", ")}]`}`,
    row.upstream,
    row.guard,
    row.limits.length === 0 ? "none" : row.limits.join("; "),
    String(row.line),
  ]);
  return `${alignedTable(head, cells)}\n${config.routes.length} route${config.routes.length === 1 ? "" : "s"} in ${config.file}\n`;
}
