// Turns samples into the table on the screen and the files below bench/results.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { QUIET, type Sample } from "./measure.ts";
import { picture } from "./picture.ts";
import { meetsGoal, type Probe, type ProbeResult } from "./probes/probe.ts";
import { ABSOLUTE_GOALS, COMPARISONS, type Row } from "./rows.ts";

/** What became of a row: its samples, or why it has none. */
export type Outcome =
  | { readonly row: Row; readonly samples: readonly Sample[] }
  | { readonly row: Row; readonly skipped: string }
  | { readonly row: Row; readonly failed: string };

/** What became of a probe. */
export type ProbeOutcome =
  | { readonly probe: Probe; readonly results: readonly ProbeResult[] }
  | { readonly probe: Probe; readonly skipped: string }
  | { readonly probe: Probe; readonly failed: string };

export interface Figure {
  readonly id: string;
  readonly title: string;
  readonly peer: string;
  /** The sample of the median CPU time, of the undisturbed ones where there are any. */
  readonly median: Sample;
  /** Lowest CPU time of the same samples, microseconds. */
  readonly bestCpuUs: number;
  readonly samples: readonly Sample[];
}

export interface Verdict {
  readonly row: string;
  readonly base: string | undefined;
  readonly value: number;
  readonly reach: number;
  readonly moonshot: number | undefined;
  readonly reached: boolean;
}

export interface Report {
  readonly machine: Machine;
  readonly figures: readonly Figure[];
  readonly verdicts: readonly Verdict[];
  readonly probes: readonly ProbeResult[];
  readonly notes: readonly string[];
}

/** Puts the outcomes of a run together. */
export function makeReport(
  machine: Machine,
  outcomes: readonly Outcome[],
  probed: readonly ProbeOutcome[],
): Report {
  const figures: Figure[] = [];
  const probes: ProbeResult[] = [];
  const notes: string[] = [];
  for (const outcome of outcomes) {
    if ("samples" in outcome) figures.push(figure(outcome.row, outcome.samples));
    else if ("skipped" in outcome) notes.push(`${outcome.row.title}: left out, ${outcome.skipped}`);
    else notes.push(`${outcome.row.title}: NO FIGURE, ${outcome.failed}`);
  }
  for (const outcome of probed) {
    if ("results" in outcome) probes.push(...outcome.results);
    else if ("skipped" in outcome) notes.push(`probe ${outcome.probe.id}: left out, ${outcome.skipped}`);
    else notes.push(`probe ${outcome.probe.id}: NO FIGURE, ${outcome.failed}`);
  }
  for (const { title, median } of figures) {
    if (median.disturbed > QUIET) {
      notes.push(`${title}: other processes used ${percent(median.disturbed)} of its core; measure again`);
    }
  }
  return { machine, figures, verdicts: verdicts(figures), probes, notes };
}

/** The report as Markdown, columns aligned. */
export function toMarkdown(report: Report): string {
  const { machine } = report;
  const head = [
    "what",
    "CPU µs/request",
    "best",
    "req/s",
    "core busy",
    "p50 ms",
    "p99 ms",
    "MiB",
    "start ms",
  ];
  const rows = report.figures.map(({ title, median, bestCpuUs }) => [
    title,
    median.cpuUs.toFixed(1),
    bestCpuUs.toFixed(1),
    Math.round(median.requestsPerSecond).toLocaleString("en"),
    percent(median.busy),
    median.p50Ms.toFixed(2),
    median.p99Ms.toFixed(2),
    median.memoryMiB.toFixed(0),
    median.startMs.toFixed(0),
  ]);
  const title = (id: string) => report.figures.find((each) => each.id === id)?.title ?? id;
  const goals = report.verdicts.map((verdict) => [
    title(verdict.row),
    verdict.base === undefined ? "µs" : `÷ ${title(verdict.base)}`,
    verdict.value.toFixed(2),
    String(verdict.reach),
    verdict.moonshot === undefined ? "" : String(verdict.moonshot),
    verdict.reached ? "yes" : "no",
  ]);
  const facts = `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}, Node.js ${machine.node}, ${machine.date}`;
  const parts = [facts];
  if (rows.length > 0) parts.push(table(head, rows));
  if (goals.length > 0) {
    parts.push(table(["CPU per request of", "against", "value", "to reach", "moonshot", "reached"], goals));
  }
  if (report.probes.length > 0) {
    parts.push(table(["what else", "value", "unit", "to reach", "reached"], report.probes.map(probeCells)));
  }
  if (report.notes.length > 0) parts.push(report.notes.map((note) => `- ${note}`).join("\n"));
  return `${parts.join("\n\n")}\n`;
}

/** Writes JSON and picture below `directory` and returns their common path without ending. */
export function save(report: Report, directory: string): string {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, report.machine.date.replace(/[:.]/g, "-"));
  writeFileSync(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(`${path}.md`, toMarkdown(report));
  writeFileSync(`${path}.svg`, picture(report));
  return path;
}

function figure(row: Row, samples: readonly Sample[]): Figure {
  const quiet = samples.filter((each) => each.disturbed <= QUIET);
  const sorted = (quiet.length > 0 ? quiet : samples).toSorted((a, b) => a.cpuUs - b.cpuUs);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  if (median === undefined) throw new Error(`row ${row.id} has no sample`);
  const bestCpuUs = sorted[0]?.cpuUs ?? median.cpuUs;
  return { id: row.id, title: row.title, peer: row.peer.name, median, bestCpuUs, samples };
}

function verdicts(figures: readonly Figure[]): readonly Verdict[] {
  const cpu = new Map(figures.map((each) => [each.id, each.median.cpuUs]));
  const found: Verdict[] = [];
  for (const { row, base, reach, moonshot } of COMPARISONS) {
    const [own, other] = [cpu.get(row), cpu.get(base)];
    if (own === undefined || other === undefined) continue;
    found.push({ row, base, value: own / other, reach, moonshot, reached: own / other <= reach });
  }
  for (const [row, reach] of Object.entries(ABSOLUTE_GOALS)) {
    const own = cpu.get(row);
    if (own === undefined) continue;
    found.push({ row, base: undefined, value: own, reach, moonshot: undefined, reached: own <= reach });
  }
  return found;
}

function probeCells(result: ProbeResult): readonly string[] {
  const { goal, title, value, unit } = result;
  if (goal === undefined) return [title, value.toFixed(2), unit, "", ""];
  const bound = "atMost" in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`;
  return [title, value.toFixed(2), unit, bound, meetsGoal(result) ? "yes" : "no"];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(head), rule, ...rows.map(line)].join("\n");
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
