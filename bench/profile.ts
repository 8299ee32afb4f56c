// Shows where the CPU time goes: takes a profile of a row under load, or reads a .cpuprofile, and prints self time by
// function and by module.

import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { load } from "./load/wrk.ts";
import { warmUp } from "./measure.ts";
import { selectRows } from "./rows.ts";
import { missingFor, openSession } from "./session.ts";

const HELP = `Usage: node bench/profile.ts [--row gatewarden-hs256] [--seconds 8] [--top 40] [FILE.cpuprofile]

Without a file: starts the row's program with --cpu-prof, loads it and keeps the profile in bench/results/profiles.
Only the last --seconds of a profile count, without idle time: what was before is start and compilation.`;

const WARM_UP_REQUESTS = 100_000;
// Between the last request and the end of the program.
const STOP_US = 200_000;

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Microseconds by label. */
type Times = ReadonlyMap<string, number>;

interface SelfTimes {
  readonly functions: Times;
  readonly modules: Times;
  readonly totalUs: number;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      row: { type: "string", default: "gatewarden-hs256" },
      seconds: { type: "string", default: "8" },
      top: { type: "string", default: "40" },
      help: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const [given] = positionals;
  const taken = given === undefined ? await takeProfile(values.row, Number(values.seconds)) : undefined;
  const file = given ?? taken?.file ?? "";
  const profile = JSON.parse(readFileSync(file, "utf8")) as Profile;
  print(selfTimes(profile, Number(values.seconds)), Number(values.top), taken?.requests);
  console.log(`\n${file}`);
}

async function takeProfile(id: string, seconds: number): Promise<{ file: string; requests: number }> {
  const [row] = selectRows([id]);
  if (row === undefined) throw new Error(`no row is called ${id}`);
  const missing = await missingFor(row);
  if (missing !== undefined) throw new Error(missing);
  const directory = join(import.meta.dirname, "results", "profiles");
  mkdirSync(directory, { recursive: true });
  const name = `${row.id}-${Date.now()}.cpuprofile`;
  const session = await openSession();
  try {
    const nodeArgs = [
      "--cpu-prof",
      "--cpu-prof-interval=200",
      `--cpu-prof-dir=${directory}`,
      `--cpu-prof-name=${name}`,
    ];
    const scenario = await session.scenario(row, { nodeArgs });
    const target = await row.peer.start(scenario);
    await warmUp(target, scenario, WARM_UP_REQUESTS);
    const result = await load(target.port, scenario, seconds);
    await target.stop();
    if (!readdirSync(directory).includes(name))
      throw new Error("the program wrote no profile: is it Node.js?");
    return { file: join(directory, name), requests: result.requests };
  } finally {
    await session.close();
  }
}

/** @param requests answered within the time; undefined when unknown, then only shares are shown */
function print({ functions, modules, totalUs }: SelfTimes, top: number, requests: number | undefined): void {
  const each =
    requests === undefined ? "" : `, ${requests} requests, ${(totalUs / requests).toFixed(1)} µs each`;
  console.log(`busy ${(totalUs / 1e6).toFixed(1)} s${each}`);
  for (const [title, times] of [["module", modules] as const, ["function", functions] as const]) {
    console.log(`\nself time by ${title}${requests === undefined ? "" : ", µs per request and share"}`);
    printTimes(times, totalUs, top, requests);
  }
}

function selfTimes({ nodes, samples, timeDeltas }: Profile, seconds: number): SelfTimes {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = callersOf(nodes);
  const functions = new Map<string, number>();
  const modules = new Map<string, number>();
  const length = timeDeltas.reduce((sum, delta) => sum + delta, 0);
  const from = length - seconds * 1e6 - STOP_US;
  let elapsed = 0;
  let totalUs = 0;
  samples.forEach((id, i) => {
    const delta = timeDeltas[i] ?? 0;
    elapsed += delta;
    const node = byId.get(id);
    if (node === undefined || elapsed < from || node.callFrame.functionName === "(idle)") return;
    totalUs += delta;
    add(functions, functionLabel(node, callers.get(id)), delta);
    add(modules, moduleOf(node), delta);
  });
  return { functions, modules, totalUs };
}

function callersOf(nodes: readonly ProfileNode[]): ReadonlyMap<number, ProfileNode> {
  const callers = new Map<number, ProfileNode>();
  for (const node of nodes) for (const child of node.children ?? []) callers.set(child, node);
  return callers;
}

/** Built-in functions have no place of their own: their caller's is shown. */
function functionLabel(node: ProfileNode, caller: ProfileNode | undefined): string {
  const { functionName, url } = node.callFrame;
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (url !== "") return `${name}  ${place(node)}`;
  if (name.startsWith("(") || caller === undefined) return name;
  return `${name}  [native] from ${caller.callFrame.functionName || "(anonymous)"} ${place(caller)}`;
}

function place({ callFrame: { url, lineNumber } }: ProfileNode): string {
  return url === ""
    ? "[native]"
    : `${url.replace(/^file:\/\/.*\/(node_modules|src|bench)\//, "$1/")}:${lineNumber + 1}`;
}

/** The npm package, the room of src, `node:` internals, or V8's own `(garbage collector)` and the like. */
function moduleOf({ callFrame: { url, functionName } }: ProfileNode): string {
  if (url === "") return functionName.startsWith("(") ? functionName : "native code of Node.js and V8";
  if (url.startsWith("node:")) return url.split("/").slice(0, 2).join("/");
  const pack = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (pack !== undefined) return pack;
  return /\/((?:src|bench)\/[^/]+)/.exec(url)?.[1] ?? url;
}

function add(times: Map<string, number>, label: string, us: number): void {
  times.set(label, (times.get(label) ?? 0) + us);
}

function printTimes(times: Times, totalUs: number, top: number, requests: number | undefined): void {
  const sorted = [...times].sort((a, b) => b[1] - a[1]).slice(0, top);
  for (const [label, us] of sorted) {
    const each = requests === undefined ? "" : `${(us / requests).toFixed(2).padStart(7)}  `;
    console.log(`${each}${((us / totalUs) * 100).toFixed(1).padStart(5)} %  ${label}`);
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
