// `gatewarden test`: runs the tests of a file, without a network.

import { writeFile } from "node:fs/promises";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { type Coverage, coverageOf } from "../review/tests/coverage.ts";
import { junitText } from "../review/tests/junit.ts";
import { proposalText } from "../review/tests/proposal-text.ts";
import type { TestReport } from "../review/tests/report.ts";
import { runTests } from "../review/tests/run-tests.ts";
import { suggestTests } from "../review/tests/suggest-tests.ts";
import { tapText } from "../review/tests/tap.ts";
import { clean, loadFile } from "./load-file.ts";
import { paint } from "./paint.ts";
import { coverageText, reportText } from "./test-text.ts";

export interface TestOptions {
  /** Path of the file. */
  readonly config: string;
  readonly format: "text" | "json" | "junit" | "tap";
  /** File that the report is written to in place of standard output. */
  readonly output?: string;
  /** Only tests whose name holds this text. */
  readonly filter?: string;
  readonly coverage?: boolean;
  /** Least percentage of routes and methods that the tests have to touch. */
  readonly minCoverage?: number;
  readonly suggest?: boolean;
}

const clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

/**
 * Prints what came of the tests and resolves with the exit code: 0 all passed (or there are none), 1 one failed, too few
 * routes are touched, or the file is invalid, 2 nothing fits the filter or the report can't be written.
 */
export async function test(options: TestOptions): Promise<number> {
  const config = await loadFile(options.config);
  if (config === undefined) return 1;
  if (options.suggest === true) return await suggest(config);
  const chosen = filtered(config, options.filter);
  if (options.filter !== undefined && chosen.tests.length === 0) {
    process.stderr.write(
      `gatewarden: no test of ${config.file} holds "${clean(options.filter)}" in its name\n`,
    );
    return 2;
  }
  const started = performance.now();
  const report = await runTests(chosen, clock);
  const seconds = (performance.now() - started) / 1_000;
  const coverage = coverageOf(config, report.results);
  if (!(await write(options, rendered(options, report, coverage, seconds)))) return 2;
  const few = options.minCoverage !== undefined && coverage.percent < options.minCoverage;
  if (few) {
    process.stderr.write(
      `gatewarden: the tests touch ${coverage.percent} % of the routes and methods, at least ${options.minCoverage} % are asked for\n`,
    );
  }
  return report.failed > 0 || few ? 1 : 0;
}

function filtered(config: GatewayConfig, filter: string | undefined): GatewayConfig {
  if (filter === undefined) return config;
  const wanted = filter.toLowerCase();
  return { ...config, tests: config.tests.filter(({ name }) => name.toLowerCase().includes(wanted)) };
}

function rendered(options: TestOptions, report: TestReport, coverage: Coverage, seconds: number): string {
  switch (options.format) {
    case "json": {
      const { file, failed, results } = report;
      const body = { file, total: results.length, failed, seconds, results, coverage };
      return `${JSON.stringify(body, null, 2)}\n`;
    }
    case "junit":
      return junitText(report, seconds);
    case "tap":
      return tapText(report);
    default: {
      const style = paint(options.output === undefined ? process.stdout : {});
      const all = options.coverage === true ? `\n${coverageText(coverage, style)}` : "";
      return reportText(report, coverage, seconds, style) + all;
    }
  }
}

async function write({ output }: TestOptions, text: string): Promise<boolean> {
  if (output === undefined) {
    process.stdout.write(text);
    return true;
  }
  try {
    await writeFile(output, text);
    return true;
  } catch {
    process.stderr.write(`gatewarden: ${clean(output)} can't be written\n`);
    return false;
  }
}

async function suggest(config: GatewayConfig): Promise<number> {
  const report = await runTests(config, clock);
  const proposed = await suggestTests(config, coverageOf(config, report.results), clock);
  process.stdout.write(proposalText(config.file, proposed));
  return 0;
}
