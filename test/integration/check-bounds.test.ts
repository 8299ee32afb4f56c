// What `gatewarden check` takes for hostile and for very large files: time and memory of both of its processes together.
// The bounds are those of an idle machine for memory, and generous for time, since others may be at work beside the test.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE } from "../support/gateway.ts";
import { aliasBomb, type HostileKind, hostileFile } from "../support/hostile-files.ts";
import { largeFile } from "../support/large-file.ts";

const MAIN = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const MOST_MIB = 200;
const MOST_MS = 6_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gatewarden-bounds-"));
  // So that the modules are compiled, as they are on a machine that runs the program the second time.
  await check("a: 1");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly elapsedMs: number;
  /** Highest memory of the process and its children together, MiB; 0 where there is no /proc. */
  readonly mib: number;
}

async function check(text: string | Buffer): Promise<Outcome> {
  const file = join(folder, "gateway.yaml");
  await writeFile(file, text);
  const started = performance.now();
  const env = { PATH: process.env.PATH ?? "", HOME: folder, NODE_COMPILE_CACHE: join(folder, "cache") };
  const child = spawn(NODE, [MAIN, "check", "-c", file], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      output += piece;
    });
  }
  const peaks = new Map<number, number>();
  const watch = setInterval(() => {
    for (const pid of familyOf(child.pid ?? 0)) peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peakOf(pid)));
  }, 20);
  await once(child, "close");
  clearInterval(watch);
  const mib = [...peaks.values()].reduce((sum, kib) => sum + kib, 0) / 1024;
  return { code: child.exitCode, output, elapsedMs: performance.now() - started, mib };
}

function familyOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return [];
  try {
    const children = readdirSync(tasks).flatMap((task) =>
      readFileSync(`${tasks}/${task}/children`, "utf8").trim().split(/\s+/),
    );
    return [pid, ...children.filter((one) => one !== "").map(Number)];
  } catch {
    return [pid];
  }
}

function peakOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function expectCheap({ code, output, elapsedMs, mib }: Outcome): void {
  expect(code).toBe(1);
  expect(output.length).toBeLessThan(100_000);
  expect(mib).toBeLessThan(MOST_MIB);
  expect(elapsedMs).toBeLessThan(MOST_MS);
}

describe("a hostile file is refused in little time and memory", () => {
  test("an alias bomb", async () => expectCheap(await check(aliasBomb())));

  test("10 MiB of anything", async () => {
    const outcome = await check("a: 1\n".repeat(2 * 1024 * 1024));
    expectCheap(outcome);
    expect(outcome.output).toContain("file_too_large");
  });

  // The largest file that is read at all.
  const LARGE: readonly HostileKind[] = [
    "open brackets",
    "one huge line",
    "unknown keys",
    "keys in braces",
    "empty lines",
    "wrong tiers",
    "missing variables",
  ];
  test.for(LARGE)("8 MB: %s", async (kind) => expectCheap(await check(hostileFile(kind, 7_900_000))));

  // The largest that the full parser is given.
  const SMALL: readonly HostileKind[] = [
    "a bracket that is never closed",
    "aliases",
    "a mistake in every line",
    "one key again and again",
    "routes with mistyped keys",
    "routes to nowhere",
    "tabs",
    "tags",
    "wrong numbers",
  ];
  test.for(SMALL)("60 kB: %s", async (kind) => expectCheap(await check(hostileFile(kind, 60_000))));
});

describe("a large file that is right", () => {
  test("5,000 routes are checked in a moment", async () => {
    const { code, output, elapsedMs } = await check(largeFile(5_000));
    expect(output).toContain("is valid: 5000 routes");
    expect(code).toBe(0);
    expect(elapsedMs).toBeLessThan(MOST_MS);
  });

  test("20,000 routes load too", async () => {
    const { code, elapsedMs } = await check(largeFile(20_000));
    expect(code).toBe(0);
    expect(elapsedMs).toBeLessThan(4 * MOST_MS);
  });
});

test("one mistake among thousands of routes is told in its line", async () => {
  const text = largeFile(5_000).replace("to: service-200\n", "too: service-200\n");
  const line = text.slice(0, text.indexOf("too:")).split("\n").length;
  const { output } = await check(text);
  expect(output).toContain(`:${line}:5 unknown_key`);
  expect(output).toContain("did you mean `to`?");
});
