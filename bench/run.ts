// Measures the gateway and its peers side by side in one run: `npm run bench -- --help`.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { CHECK_LIMIT, checkAnswers, checkShared } from "./check.ts";
import { machineFacts } from "./machine.ts";
import { type MeasurePlan, measure, type Sample, warmUp } from "./measure.ts";
import type { Probe } from "./probes/probe.ts";
import { PROBES, selectProbes } from "./probes/registry.ts";
import { makeReport, type Outcome, type ProbeOutcome, save, toMarkdown } from "./report.ts";
import { ROWS, type Row, selectRows } from "./rows.ts";
import { missingFor, openSession, type Session } from "./session.ts";
import type { Running, Scenario } from "./target.ts";

const HELP = `Usage: npm run bench -- [options]

  --rows a,b      only rows whose name starts so: ${ROWS.map((row) => row.id).join(" ")}
  --probes a,b    what else is measured: ${PROBES.map((probe) => probe.id).join(" ")}, or none;
                  without --rows all of them
  --seconds N     length of one measurement (5)
  --rounds N      measurements per row, spread over the run; the median counts (3)
  --retries N     how often a sample that others disturbed is taken again (2); more on a shared machine
  --quick         one round of 1 s, short probes
  --json          print the report as JSON
  --help

Results: bench/results/DATE.json, .md and .svg. Needs Linux, two cores, wrk and nginx; peers that aren't installed are left out.`;

interface Plan extends MeasurePlan {
  readonly quick: boolean;
  /** Requests that each target answers before the first sample, so that its code is compiled. */
  readonly warmUp: number;
  readonly rounds: number;
}

interface Target {
  readonly running: Running;
  readonly scenario: Scenario;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rows: { type: "string", default: "" },
      probes: { type: "string" },
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "3" },
      retries: { type: "string", default: "2" },
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const rows = selectRows(list(values.rows));
  const probes =
    values.probes === undefined && values.rows === "" ? PROBES : selectProbes(list(values.probes ?? "none"));
  const plan: Plan = {
    quick: values.quick,
    warmUp: values.quick ? 40_000 : 100_000,
    seconds: values.quick ? 1 : wholeNumber(values.seconds, 60),
    rounds: values.quick ? 1 : wholeNumber(values.rounds, 20),
    retries: wholeNumber(values.retries, 100),
  };

  const session = await openSession();
  try {
    const outcomes = await measureRows(session, rows, plan);
    const probed = await runProbes(session, probes, plan);
    const report = makeReport(machineFacts(), outcomes, probed);
    const path = save(report, join(import.meta.dirname, "results"));
    console.log(
      values.json
        ? JSON.stringify(report, null, 2)
        : `\n${toMarkdown(report)}\nWritten to ${path}.json, .md and .svg`,
    );
    return [...outcomes, ...probed].some((outcome) => "failed" in outcome) ? 1 : 0;
  } finally {
    await session.close();
  }
}

/** Checks every row's answers, then starts all of them and measures in rounds, so that a disturbance meets all alike. */
async function measureRows(session: Session, rows: readonly Row[], plan: Plan): Promise<readonly Outcome[]> {
  const outcomes = new Map<Row, Outcome>();
  const targets = new Map<Row, Target>();
  for (const row of rows) {
    const missing = await missingFor(row);
    if (missing === undefined) outcomes.set(row, await attempt(row, () => checked(session, row)));
    else outcomes.set(row, { row, skipped: missing });
  }
  for (const [row, outcome] of outcomes) {
    if (!("samples" in outcome)) continue;
    const start = async () => {
      targets.set(row, await warm(session, row, plan));
      return [];
    };
    outcomes.set(row, await attempt(row, start));
  }
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [row, outcome] of outcomes) {
      const target = targets.get(row);
      if (!("samples" in outcome) || target === undefined) continue;
      progress(`round ${round} of ${plan.rounds}: ${row.title}`);
      const add = async () => [...outcome.samples, await sampled(target, plan)];
      outcomes.set(row, await attempt(row, add));
    }
  }
  for (const { running } of targets.values()) await running.stop();
  return [...outcomes.values()];
}

/** The row's samples so far, or why there is no figure. */
async function attempt(row: Row, step: () => Promise<readonly Sample[]>): Promise<Outcome> {
  try {
    return { row, samples: await step() };
  } catch (error) {
    return { row, failed: message(error) };
  }
}

/** Proves that the target does the work; no sample yet. */
async function checked(session: Session, row: Row): Promise<readonly Sample[]> {
  progress(`checking the answers: ${row.title}`);
  const scenario = await session.scenario(row, { limit: CHECK_LIMIT });
  const target = await row.peer.start(scenario);
  try {
    await checkAnswers(target.port, row.credential, scenario.fixtures);
    return [];
  } finally {
    await target.stop();
  }
}

async function warm(session: Session, row: Row, plan: Plan): Promise<Target> {
  progress(`warming up: ${row.title}`);
  const scenario = await session.scenario(row);
  const running = await row.peer.start(scenario);
  await warmUp(running, scenario, plan.warmUp);
  return { running, scenario };
}

async function sampled({ running, scenario }: Target, plan: Plan): Promise<Sample> {
  const sample = await measure(running, scenario, plan);
  const { credential, fixtures, redisUrl } = scenario;
  if (redisUrl !== undefined) await checkShared(running.port, credential, fixtures, redisUrl);
  return sample;
}

async function runProbes(
  session: Session,
  probes: readonly Probe[],
  plan: Plan,
): Promise<readonly ProbeOutcome[]> {
  const outcomes: ProbeOutcome[] = [];
  for (const probe of probes) {
    progress(`probe: ${probe.id}`);
    outcomes.push(await probed(session, probe, plan.quick));
  }
  return outcomes;
}

async function probed(session: Session, probe: Probe, quick: boolean): Promise<ProbeOutcome> {
  for (const row of probe.rows) {
    const skipped = await missingFor(row);
    if (skipped !== undefined) return { probe, skipped };
  }
  try {
    return { probe, results: await probe.run(session, quick) };
  } catch (error) {
    return { probe, failed: message(error) };
  }
}

/** Words between commas; `none` is the empty list. */
function list(text: string): readonly string[] {
  return text.split(",").filter((word) => word !== "" && word !== "none");
}

function wholeNumber(text: string, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) {
    throw new Error(`${text} is not a whole number from 1 to ${most}`);
  }
  return value;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  progress(message(error));
  process.exitCode = 2;
}
