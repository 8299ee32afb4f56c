// CPU time per request of one process: user and system time from /proc, divided by the requests answered meanwhile.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "./load/wrk.ts";
import { TARGET_CORE } from "./process.ts";
import type { Running, Scenario } from "./target.ts";

export interface Sample {
  /** Microseconds of CPU time per request answered. */
  readonly cpuUs: number;
  readonly requestsPerSecond: number;
  /** Share of the target's core that the target used, 0 to 1; below 0.95 the load generator was the bottleneck. */
  readonly busy: number;
  /** Share of the target's core that others used, 0 to 1; above `QUIET` the sample is noisy. */
  readonly disturbed: number;
  /** Latency under full load, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Resident memory after the load, MiB. */
  readonly memoryMiB: number;
  readonly startMs: number;
}

/** Most that others may use of the target's core in a sample that counts. */
export const QUIET = 0.02;

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
const SETTLE_SECONDS = 1;
const QUIET_FOR_MS = 300;
const LONGEST_WAIT_MS = 15_000;
const LONGEST_WARM_UP_MS = 60_000;

export interface MeasurePlan {
  /** Length of a sample. */
  readonly seconds: number;
  /** How often a disturbed sample is taken again. */
  readonly retries: number;
}

/** Takes a sample, again while others disturb it; returns the quietest one. The target is warmed up already. */
export async function measure(target: Running, scenario: Scenario, plan: MeasurePlan): Promise<Sample> {
  // While the others were measured, this one's memory went cold; what warming it costs is no part of a request.
  await load(target.port, scenario, SETTLE_SECONDS);
  let best = await takeSample(target, scenario, plan.seconds);
  for (let n = 0; n < plan.retries && best.disturbed > QUIET; n++) {
    await waitForQuiet(target.pid);
    const again = await takeSample(target, scenario, plan.seconds);
    if (again.disturbed < best.disturbed) best = again;
  }
  return best;
}

/** Loads the target until it has answered so many requests and V8 has compiled what is hot; at most 60 s. */
export async function warmUp(target: Running, scenario: Scenario, requests: number): Promise<void> {
  const deadline = performance.now() + LONGEST_WARM_UP_MS;
  for (let done = 0; done < requests && performance.now() < deadline; ) {
    done += (await load(target.port, scenario, 2)).requests;
  }
}

/** Waits until the target's core has been idle for a moment, at most 15 s. */
async function waitForQuiet(pid: number): Promise<void> {
  const deadline = performance.now() + LONGEST_WAIT_MS;
  for (;;) {
    const before = readCpu(pid).core;
    await sleep(QUIET_FOR_MS);
    const used = (readCpu(pid).core - before) * 1_000;
    if (used <= QUIET_FOR_MS * QUIET * 2 || performance.now() > deadline) return;
  }
}

async function takeSample(target: Running, scenario: Scenario, seconds: number): Promise<Sample> {
  const before = readCpu(target.pid);
  const result = await load(target.port, scenario, seconds);
  const after = readCpu(target.pid);

  const own = after.process - before.process;
  const wall = (after.atMs - before.atMs) / 1_000;
  return {
    cpuUs: (own * 1e6) / result.requests,
    requestsPerSecond: result.requests / (result.durationUs / 1e6),
    busy: own / wall,
    disturbed: Math.max(0, after.core - before.core - own) / wall,
    p50Ms: result.p50Us / 1_000,
    p99Ms: result.p99Us / 1_000,
    memoryMiB: memoryMiB(target.pid),
    startMs: target.startMs,
  };
}

/** CPU seconds used so far by the process (all its threads) and by everything on the target's core. */
function readCpu(pid: number): { process: number; core: number; atMs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command name may hold spaces and parentheses: fields are counted from its closing one, utime is the 12th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const line = readFileSync("/proc/stat", "utf8")
    .split("\n")
    .find((candidate) => candidate.startsWith(`cpu${TARGET_CORE} `));
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (line ?? "")
    .split(" ")
    .map(Number);
  return {
    process: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    core: (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND,
    atMs: performance.now(),
  };
}

/** Resident memory of a process in MiB: what it is now, or its peak so far (`VmHWM`). */
export function memoryMiB(pid: number, field: "VmRSS" | "VmHWM" = "VmRSS"): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8")
    .split("\n")
    .find((candidate) => candidate.startsWith(`${field}:`));
  return Number.parseInt(line?.slice(field.length + 1) ?? "", 10) / 1_024;
}
