// Measures the gateway and its peers side by side in one run: `npm run bench -- --help`.

import { join } from "node:path";
import { parseArgs } from "node:util";
import { CHECK_LIMIT, checkAnswers } from "./check.ts";
import { machineFacts } from "./machine.ts";
import { measure, type Sample } from "./measure.ts";
import type { Probe } from "./probes/probe.ts";
import { PROBES, selectProbes } from "./probes/registry.ts";
import { makeReport, type Outcome, type ProbeOutcome, save, toMarkdown } from "./report.ts";
import { ROWS, type Row, selectRows } from "./rows.ts";
import { missingFor, openSession, type Session } from "./session.ts";

const HELP = `Usage: npm run bench -- [options]

  --rows a,b      only rows whose name starts so: ${ROWS.map((row) => row.id).join(" ")}
  --probes a,b    what else is measured: ${PROBES.map((probe) => probe.id).join(" ")}, or none;
                  without --rows all of them
  --seconds N     length of one measurement (5)
  --rounds N      measurements per row, spread over the run; the median counts (3)
  --quick         one round of 1 s, short probes
  --json          print the report as JSON
  --help

Results: bench/results/DATE.json, .md and .svg. Needs Linux, two cores, wrk and nginx; peers that aren't installed are left out.`;

interface Plan {
  readonly quick: boolean;
  readonly seconds: number;
  readonly warmUp: number;
  readonly rounds: number;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rows: { type: "string", default: "" },
      probes: { type: "string" },
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "3" },
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
  const plan = values.quick
    ? { quick: true, seconds: 1, warmUp: 2, rounds: 1 }
    : {
        quick: false,
        seconds: wholeNumber(values.seconds, 60),
        warmUp: 3,
        rounds: wholeNumber(values.rounds, 20),
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

/** Checks every row's answers once, then measures in rounds, so that a disturbance meets all rows alike. */
async function measureRows(session: Session, rows: readonly Row[], plan: Plan): Promise<readonly Outcome[]> {
  const outcomes = new Map<Row, Outcome>();
  for (const row of rows) {
    const missing = await missingFor(row);
    if (missing === undefined) outcomes.set(row, await checked(session, row));
    else outcomes.set(row, { row, skipped: missing });
  }
  for (let round = 1; round <= plan.rounds; round++) {
    for (const [row, outcome] of outcomes) {
      if (!("samples" in outcome)) continue;
      progress(`round ${round} of ${plan.rounds}: ${row.title}`);
      outcomes.set(row, await measured(session, row, outcome.samples, plan));
    }
  }
  return [...outcomes.values()];
}

async function checked(session: Session, row: Row): Promise<Outcome> {
  progress(`checking the answers: ${row.title}`);
  try {
    const scenario = await session.scenario(row, { limit: CHECK_LIMIT });
    const target = await row.peer.start(scenario);
    try {
      await checkAnswers(target.port, row.credential, scenario.fixtures);
    } finally {
      await target.stop();
    }
    return { row, samples: [] };
  } catch (error) {
    return { row, failed: message(error) };
  }
}

async function measured(
  session: Session,
  row: Row,
  samples: readonly Sample[],
  plan: Plan,
): Promise<Outcome> {
  try {
    const scenario = await session.scenario(row);
    const target = await row.peer.start(scenario);
    try {
      return { row, samples: [...samples, await measure(target, scenario, plan.warmUp, plan.seconds)] };
    } finally {
      await target.stop();
    }
  } catch (error) {
    return { row, failed: message(error) };
  }
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
