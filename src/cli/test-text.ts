// The report of `gatewarden test` for people: failures first, each with its line and what came instead.

import type { Coverage, CoveredRoute } from "../review/tests/coverage.ts";
import type { TestReport, TestResult } from "../review/tests/report.ts";
import { clean } from "./load-file.ts";
import type { Paint } from "./paint.ts";
import { alignedTable } from "./table.ts";

/** The failures and a summary. */
export function reportText(
  { file, results, failed }: TestReport,
  coverage: Coverage,
  seconds: number,
  style: Paint,
): string {
  if (results.length === 0) {
    return `${clean(file)} has no tests.\n${style.dim("hint:")} gatewarden test --suggest -c ${clean(file)} prints first ones to paste\n`;
  }
  const failures = results.filter(({ ok }) => !ok).map((one) => failureText(file, one, style));
  const passed = results.length - failed;
  const counts = [
    ...(failed === 0 ? [] : [style.red(`${failed} failed`)]),
    style.green(`${passed} passed`),
  ].join(", ");
  const untouched = coverage.routes.filter(({ state }) => state === "none").length;
  const gap = untouched === 0 ? "" : `, ${amount(untouched, "route")} untested (--coverage tells which)`;
  const covered = `${coverage.touched} of ${coverage.total} routes and methods touched (${coverage.percent} %)`;
  return `${[...failures, ""].join("\n")}${counts} of ${amount(results.length, "test")} in ${Math.round(seconds * 1_000)} ms; ${covered}${gap}\n`;
}

function failureText(file: string, { name, line, mismatches, why }: TestResult, style: Paint): string {
  const width = Math.max(...mismatches.map(({ what }) => what.length));
  const lines = [`${style.red("FAILED")} ${style.bold(clean(name))}  ${style.dim(`${clean(file)}:${line}`)}`];
  for (const { what, expected, actual } of mismatches) {
    const label = clean(what).padEnd(width);
    lines.push(style.green(`  - ${label}  ${clean(expected)}`), style.red(`  + ${label}  ${clean(actual)}`));
  }
  if (why !== undefined) lines.push(`  ${style.dim("why:")} ${clean(why)}`);
  return `${lines.join("\n")}\n`;
}

/** What the tests touched of each route. */
export function coverageText({ routes, percent, touched, total }: Coverage, style: Paint): string {
  const rows = routes.map((one) => [
    clean(one.route),
    String(one.line),
    STATES[one.state],
    one.methods.map(({ method, allowed, denied }) => `${method} ${sides(allowed, denied)}`).join(", "),
  ]);
  const table = alignedTable(["ROUTE", "LINE", "TESTED", "METHODS"], rows);
  const half = routes.some(({ state }) => state === "half");
  const note = half
    ? `${style.dim("half:")} a guard is tested only when one caller passes and another is refused\n`
    : "";
  return `${table}\n${touched} of ${total} routes and methods touched (${percent} %)\n${note}`;
}

const STATES: Readonly<Record<CoveredRoute["state"], string>> = {
  full: "yes",
  half: "half",
  partial: "partly",
  none: "no",
};

function sides(allowed: boolean, denied: boolean): string {
  if (allowed && denied) return "(allowed, refused)";
  if (allowed) return "(only allowed)";
  return denied ? "(only refused)" : "(untested)";
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
