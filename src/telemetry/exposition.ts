// Prometheus' text format, version 0.0.4, written in slices: a file may have tens of thousands of routes and limits, and no
// request may wait for all of them to be written.

import { setImmediate } from "node:timers/promises";
import type { Histogram } from "./histogram.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Names and values, in the order in which they are written. */
export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

/** One metric with all of its series. Samples are read while it is written. */
export type Family =
  | {
      readonly type: "counter" | "gauge";
      readonly name: string;
      readonly help: string;
      readonly samples: () => Iterable<Sample>;
    }
  | {
      readonly type: "histogram";
      readonly name: string;
      readonly help: string;
      readonly histograms: () => Iterable<readonly [labels: Labels, histogram: Histogram]>;
    };

// Longest that the event loop is held at a time, as far as the clock tells, which is read after each piece.
const SLICE_MS = 1;
const PIECE_CHARACTERS = 32 * 1024;

/** Writes the families; resolves with the text as UTF-8, in pieces. A family without a sample leaves no trace. */
export async function exposition(families: Iterable<Family>): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  let text = "";
  let began = performance.now();
  for (const family of families) {
    let head = `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
    for (const lines of linesOf(family)) {
      text += head + lines;
      head = "";
      if (text.length < PIECE_CHARACTERS) continue;
      pieces.push(Buffer.from(text));
      text = "";
      if (performance.now() - began < SLICE_MS) continue;
      await setImmediate();
      began = performance.now();
    }
  }
  if (text !== "") pieces.push(Buffer.from(text));
  return pieces;
}

function* linesOf(family: Family): Generator<string> {
  const { name } = family;
  if (family.type === "histogram") {
    for (const [labels, histogram] of family.histograms()) yield histogramLines(name, labels, histogram);
    return;
  }
  for (const [labels, value] of family.samples()) {
    const text = labelText(labels);
    yield text === "" ? `${name} ${numberText(value)}\n` : `${name}{${text}} ${numberText(value)}\n`;
  }
}

function histogramLines(name: string, labels: Labels, histogram: Histogram): string {
  const { buckets, count, sumSeconds } = histogram.read();
  const text = labelText(labels);
  const before = text === "" ? "" : `${text},`;
  const own = text === "" ? "" : `{${text}}`;
  let lines = "";
  for (const [bound, below] of buckets) lines += `${name}_bucket{${before}le="${bound}"} ${below}\n`;
  lines += `${name}_bucket{${before}le="+Inf"} ${count}\n`;
  return `${lines}${name}_sum${own} ${numberText(sumSeconds)}\n${name}_count${own} ${count}\n`;
}

function labelText(labels: Labels): string {
  let text = "";
  for (const name in labels) text += `${text === "" ? "" : ","}${name}="${escaped(labels[name] ?? "")}"`;
  return text;
}

function escaped(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function numberText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}
