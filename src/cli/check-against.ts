// `gatewarden check --against`: where a gateway.yaml and an OpenAPI document differ.

import { type DiagnosticFormat, formatDiagnostics } from "../config/diagnostics.ts";
import { inspectConfig } from "../config/load.ts";
import { type Drift, type DriftReport, driftOf } from "../review/openapi/drift.ts";
import { readApi } from "../review/openapi/read.ts";
import { oneLine } from "../review/yaml-text.ts";
import { paint, usesColor } from "./paint.ts";

export interface CheckAgainstOptions {
  /** Path of the gateway.yaml. */
  readonly config: string;
  /** Path of the OpenAPI document. */
  readonly against: string;
  readonly format: DiagnosticFormat;
}

/** Prints the differences and resolves with the exit code: 0 none that counts, 1 some, or one of the files is invalid. */
export async function checkAgainst(options: CheckAgainstOptions): Promise<number> {
  const { config: file, against, format } = options;
  const [inspection, api] = await Promise.all([inspectConfig(file, process.env), readApi(against)]);
  const errors = inspection.diagnostics.filter((one) => one.severity === "error");
  const faulty = [
    ...(inspection.config === undefined ? [{ diagnostics: errors, source: inspection.source }] : []),
    ...(api.ok ? [] : [api.error]),
  ];
  if (inspection.config === undefined || !api.ok) {
    const diagnostics = faulty.flatMap((one) => one.diagnostics);
    if (format === "json")
      process.stdout.write(`${JSON.stringify({ valid: false, diagnostics }, null, 2)}\n`);
    else
      for (const one of faulty)
        process.stdout.write(formatDiagnostics(one, format, usesColor(process.stdout)));
    return 1;
  }
  const report = driftOf(inspection.config, api.value);
  const differs = report.found.some(({ severity }) => severity !== "note");
  if (format === "json")
    process.stdout.write(`${JSON.stringify({ valid: true, agrees: !differs, ...report }, null, 2)}\n`);
  else if (format === "github")
    process.stdout.write(report.found.map((one) => annotation(one, options)).join(""));
  else process.stdout.write(text(report, options));
  return differs ? 1 : 0;
}

function text({ found, operations, routes }: DriftReport, { config, against }: CheckAgainstOptions): string {
  const { bold, red, yellow, dim, green } = paint(process.stdout);
  const mark = { danger: red, difference: yellow, note: dim };
  const file = oneLine(config);
  const document = oneLine(against);
  const paragraphs = found.map((one) => {
    const at = one.line === undefined ? `${file}:${one.route?.line ?? 1}` : `${document}:${one.line}`;
    const word = one.severity === "difference" ? one.code : `${one.severity} ${one.code}`;
    const route =
      one.route === undefined || one.line === undefined
        ? ""
        : `  ${dim("route")} ${oneLine(one.route.name)} ${dim(`(${file}:${one.route.line})`)}\n`;
    return `${bold(at)} ${mark[one.severity](word)} ${oneLine(one.request)}\n  ${oneLine(one.message, 500)}\n${route}`;
  });
  const dangers = found.filter(({ severity }) => severity === "danger").length;
  const differences = found.filter(({ severity }) => severity !== "note").length;
  const counted = `${amount(operations, "operation")}, ${amount(routes, "route")}`;
  const verdict =
    differences === 0
      ? green(`${file} agrees with ${document}: ${counted}`)
      : `${file} differs from ${document}: ${counted}, ${amount(differences, "difference")}${dangers === 0 ? "" : `, ${dangers} of them dangerous`}`;
  return `${[...paragraphs, `${verdict}\n`].join("\n")}`;
}

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions */
function annotation(one: Drift, { config, against }: CheckAgainstOptions): string {
  const data = (value: string): string => oneLine(value, 1_000).replaceAll("%", "%25");
  const property = (value: string): string => data(value).replaceAll(":", "%3A").replaceAll(",", "%2C");
  const kind = { danger: "error", difference: "error", note: "notice" }[one.severity];
  const file = one.line === undefined ? config : against;
  const line = one.line ?? one.route?.line ?? 1;
  return `::${kind} file=${property(file)},line=${line},title=${property(one.code)}::${data(`${one.request}: ${one.message}`)}\n`;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
