// A strict reader of Prometheus' text format 0.0.4, which refuses what a lenient one would let pass: families that are torn
// apart, series that stand twice, histograms that don't add up, names against the conventions.

import type { TestGateway } from "./gateway.ts";

/** Values by series, written as in the text, such as `name{label="value"}`. */
export type Series = ReadonlyMap<string, number>;

/** One metric. */
export interface ReadFamily {
  readonly type: string;
  readonly help: string;
  readonly series: Series;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;
const VALUE = /^(?:[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|Inf)|NaN)$/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
};

/** The families of a scrape. @throws Error with the line that breaks a rule */
export function readExposition(text: string): ReadonlyMap<string, ReadFamily> {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, { type: string; help: string; series: Map<string, number> }>();
  let current = "";
  let pendingHelp: readonly [name: string, help: string] | undefined;
  for (const line of text.split("\n").slice(0, -1)) {
    const refuse = (why: string): Error => new Error(`${why}: ${line}`);
    if (line === "") continue;
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment;
      if (!NAME.test(name)) throw refuse("not a name");
      if (kind === "HELP") {
        if (pendingHelp !== undefined) throw refuse("a HELP without its TYPE before it");
        pendingHelp = [name, rest];
        continue;
      }
      if (pendingHelp?.[0] !== name) throw refuse("TYPE without HELP");
      if (families.has(name)) throw refuse("the family stands twice");
      if (SUFFIXES[rest] === undefined) throw refuse("no such type");
      if ((rest === "counter") !== name.endsWith("_total"))
        throw refuse("counters, and they alone, end with _total");
      families.set(name, { type: rest, help: pendingHelp[1], series: new Map() });
      pendingHelp = undefined;
      current = name;
      continue;
    }
    if (line.startsWith("#") || pendingHelp !== undefined) throw refuse("unexpected");
    const [, name = "", labels, value = ""] = SAMPLE.exec(line) ?? [];
    const family = families.get(current);
    if (family === undefined || !SUFFIXES[family.type]?.some((suffix) => name === current + suffix))
      throw refuse("not a sample of the family above it");
    if (!VALUE.test(value)) throw refuse("not a value");
    if (labels !== undefined) checkLabels(labels, refuse);
    const series = labels === undefined ? name : `${name}{${labels}}`;
    if (family.series.has(series)) throw refuse("the series stands twice");
    const number = Number(value.replace("Inf", "Infinity"));
    if (family.type !== "gauge" && !(number >= 0)) throw refuse("less than nothing");
    family.series.set(series, number);
  }
  for (const [name, { type, series }] of families) {
    if (series.size === 0) throw new Error(`${name} has no sample`);
    if (type === "histogram") checkHistogram(name, series);
  }
  return families;
}

/** All series of a scrape. @throws as `readExposition` */
export function readSeries(text: string): Series {
  return new Map(Array.from(readExposition(text).values(), ({ series }) => [...series]).flat());
}

function checkLabels(text: string, refuse: (why: string) => Error): void {
  const seen = new Set<string>();
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name = "", , end] = LABEL.exec(text) ?? [];
    if (name === "" || (end === "," && LABEL.lastIndex === text.length)) throw refuse("not a list of labels");
    if (seen.has(name)) throw refuse(`the label ${name} stands twice`);
    seen.add(name);
  }
  if (seen.size === 0) throw refuse("braces without a label");
}

function checkHistogram(name: string, series: Series): void {
  const last = new Map<string, readonly [bound: number, count: number]>();
  for (const [key, count] of series) {
    const [, before = "", bound = ""] = /_bucket\{(.*)le="([^"]*)"\}$/.exec(key) ?? [];
    if (bound === "") continue;
    const at = Number(bound.replace("+Inf", "Infinity"));
    const [lowest, least] = last.get(before) ?? [Number.NEGATIVE_INFINITY, 0];
    if (!(at > lowest) || count < least) throw new Error(`buckets out of order: ${key}`);
    last.set(before, [at, count]);
  }
  if (last.size === 0) throw new Error(`${name} has no buckets`);
  for (const [before, [bound, count]] of last) {
    const own = before === "" ? "" : `{${before.slice(0, -1)}}`;
    if (bound !== Number.POSITIVE_INFINITY) throw new Error(`no +Inf bucket: ${name}${own}`);
    if (series.get(`${name}_count${own}`) !== count)
      throw new Error(`count and buckets differ: ${name}${own}`);
    if (series.get(`${name}_sum${own}`) === undefined) throw new Error(`no sum: ${name}${own}`);
  }
  if (series.size !== [...series.keys()].filter((key) => key.includes("_bucket{")).length + 2 * last.size)
    throw new Error(`a sum or count without buckets: ${name}`);
}

/** Address of the admin port of a running gateway. */
export function adminUrl(gateway: TestGateway): string {
  const { address } = gateway.logs.find((line) => line.event === "admin_listening") ?? {};
  return `http://${String(address)}`;
}

/** All series of a running gateway. @throws as `readExposition` */
export async function scrape(gateway: TestGateway): Promise<Series> {
  return readSeries(await (await fetch(`${adminUrl(gateway)}/metrics`)).text());
}
