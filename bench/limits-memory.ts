// What the counters of limits take in Redis and in a process, as the table in docs/LIMITS.md; `--write` renews it there.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { argsAt, leasesKey, scriptKeys } from "../src/rate-limit/bound-limit.ts";
import { LIMITER_SCRIPT, MODE } from "../src/rate-limit/script.ts";
import { type Counting, keyOf, limitOf } from "./limits/heap.ts";
import type { Million } from "./limits/million.ts";
import { startRedis } from "./redis.ts";

const run = promisify(execFile);

const DOCUMENT = join(import.meta.dirname, "..", "docs", "LIMITS.md");
const BEGIN = "<!-- memory table -->";
const END = "<!-- end of the memory table -->";

const ALGORITHMS = ["slidingWindow", "slidingLog", "tokenBucket"] as const;
/** How many keys the mean is taken of, by the limit. */
const KEYS = new Map([
  [10, 20_000],
  [1_000, 2_000],
  [100_000, 40],
]);
const DECISIONS_A_CALL = 500;

/** Bytes. */
interface TableRow {
  readonly algorithm: string;
  readonly limit: number;
  readonly redis: number;
  readonly leases: number;
  readonly local: number;
  readonly known: number;
  readonly leased: number;
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "gatewarden-limits-"));
  const server = await startRedis(directory);
  const redis = new Redis(server.urlOf(0));
  try {
    const rows: TableRow[] = [];
    for (const algorithm of ALGORITHMS) {
      for (const [limit, keys] of KEYS) {
        process.stderr.write(`${algorithm}, ${limit}\n`);
        rows.push({
          algorithm,
          limit,
          ...(await inRedis(redis, { algorithm, limit })),
          local: await inProcess("local", { algorithm, limit }, keys),
          known: await inProcess("known", { algorithm, limit }, keys),
          leased: await inProcess("known", { algorithm, limit, sync: "leased" }, keys),
        });
      }
    }
    process.stderr.write("1,000,000 keys\n");
    const text = report(rows, await million());
    console.log(text);
    if (process.argv.includes("--write")) write(text);
  } finally {
    redis.disconnect();
    await server.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Uses a limit up and asks the server what its keys take: the counter, and a lease of one instance beside it. */
async function inRedis(redis: Redis, counting: Counting): Promise<{ redis: number; leases: number }> {
  await redis.flushdb();
  const exact = limitOf(counting);
  const key = keyOf(exact, 1);
  const decision = [String(MODE.decide + 1), ...exact.args];
  for (let left = counting.limit; left > 0; left -= DECISIONS_A_CALL) {
    const count = Math.min(left, DECISIONS_A_CALL);
    const args = Array.from({ length: count }, () => decision).flat();
    await redis.eval(LIMITER_SCRIPT, count, ...Array<string>(count).fill(key), ...args);
  }
  const used = await memoryOf(redis, key);
  const leased = limitOf({ ...counting, sync: "leased" });
  const other = keyOf(leased, 2);
  const lease = ["AAAAAAAA.1", 0, 0, 1, leased.leaseMicros, 1].map(String);
  const borrow = [String(MODE.lease + 1), ...argsAt(leased, 1), ...lease];
  await redis.eval(LIMITER_SCRIPT, 2, ...scriptKeys(leased, other), ...borrow);
  return { redis: used, leases: await memoryOf(redis, leasesKey(other)) };
}

async function memoryOf(redis: Redis, key: string): Promise<number> {
  const bytes = await redis.memory("USAGE", key, "SAMPLES", 0);
  if (bytes === null) throw new Error(`Redis doesn't hold ${key}`);
  return bytes;
}

/** Each figure comes from a process of its own, so that none is blurred by what another left behind. */
async function inProcess(what: "local" | "known", counting: Counting, keys: number): Promise<number> {
  const program = `
    import { ${what}Bytes } from ${JSON.stringify(join(import.meta.dirname, "limits", "heap.ts"))};
    console.log(${what}Bytes(${JSON.stringify(counting)}, ${keys}));`;
  const args = ["--expose-gc", "--input-type=module-typescript", "--eval", program];
  return Number((await run(process.execPath, args)).stdout);
}

async function million(): Promise<Million> {
  const { stdout } = await run(process.execPath, [
    "--expose-gc",
    join(import.meta.dirname, "limits", "million.ts"),
  ]);
  return JSON.parse(stdout) as Million;
}

function report(
  rows: readonly TableRow[],
  { keys, bytesPerKey, totalBytes, cleaning, control }: Million,
): string {
  const head = [
    "algorithm",
    "limit",
    "Redis",
    "its leases",
    "process alone",
    "process, `exact`",
    "process, `leased`",
  ];
  const lines = rows.map((row) => [
    `\`${row.algorithm}\``,
    row.limit.toLocaleString("en"),
    ...[row.redis, row.leases, row.local, row.known, row.leased].map(size),
  ]);
  const table = [head, ["---", ...head.slice(1).map(() => "--:")], ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
  const million = `${keys.toLocaleString("en")} callers of \`10/min\` with one request each take ${Math.round(bytesPerKey)} bytes each in a process without Redis,
${Math.round(totalBytes / 1e6)} MB together. When all have gone idle, the calls that clean them away keep the event loop for at most
${cleaning.ownMs.toFixed(1)} ms at a time, where the same calls with nothing to clean keep it for ${control.ownMs.toFixed(1)} ms; the longest pause of the garbage collector is ${cleaning.gcMs.toFixed(1)} ms.`;
  return `${table}\n\n${million}`;
}

function size(bytes: number): string {
  if (bytes < 10_000) return `${Math.round(bytes).toLocaleString("en")} B`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

function write(text: string): void {
  const document = readFileSync(DOCUMENT, "utf8");
  const [before, rest] = document.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`docs/LIMITS.md has no ${BEGIN} … ${END}`);
  writeFileSync(DOCUMENT, `${before}${BEGIN}\n\n${text}\n\n${END}${after}`);
}

await main();
