// How fast 1 GiB goes through, down and up, compared with HAProxy, and how much memory that takes.

import { execFile } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { memoryMiB } from "../measure.ts";
import { LOAD_CORE } from "../process.ts";
import { type Row, rowOf } from "../rows.ts";
import type { Session } from "../session.ts";
import { startSink } from "../upstream/sink.ts";
import type { Probe, ProbeResult } from "./probe.ts";

const MIB = 1_048_576;
const MOST_GROWTH_MIB = 64;
const TIMEOUT_MS = 120_000;
const ours = rowOf("gatewarden-plain");
const theirs = rowOf("haproxy-plain");
const execute = promisify(execFile);

interface Rates {
  readonly down: number;
  readonly up: number;
  /** Growth of the peak of resident memory, MiB. */
  readonly growth: number;
}

export const transfer: Probe = {
  id: "transfer",
  rows: [ours, theirs],
  run: async (session, quick) => {
    const bytes = (quick ? 128 : 1_024) * MIB;
    const base = await rates(session, theirs, bytes);
    const own = await rates(session, ours, bytes);
    const size = quick ? "128 MiB" : "1 GiB";
    return [
      rate(`${theirs.title}: ${size} down`, base.down),
      rate(`${ours.title}: ${size} down`, own.down),
      share(`${size} down, share of HAProxy's rate`, own.down / base.down),
      rate(`${theirs.title}: ${size} up`, base.up),
      rate(`${ours.title}: ${size} up`, own.up),
      share(`${size} up, share of HAProxy's rate`, own.up / base.up),
      {
        title: `${ours.title}: growth of peak memory by it`,
        value: own.growth,
        unit: "MiB",
        goal: { atMost: MOST_GROWTH_MIB },
      },
    ];
  },
};

function rate(title: string, value: number): ProbeResult {
  return { title, value, unit: "MiB/s", goal: undefined };
}

function share(title: string, value: number): ProbeResult {
  return { title, value, unit: "", goal: { atLeast: 0.7 } };
}

async function rates(session: Session, row: Row, bytes: number): Promise<Rates> {
  const sink = await startSink(session.directory);
  try {
    const scenario = await session.scenario(row, { upstreamPort: sink.port });
    const target = await row.peer.start(scenario);
    try {
      const url = `http://127.0.0.1:${target.port}/files/bulk`;
      await curl([`${url}?size=${8 * MIB}`], "speed_download");
      const before = memoryMiB(target.pid, "VmHWM");
      const down = await curl([`${url}?size=${bytes}`], "speed_download");
      const file = join(scenario.directory, "bulk");
      writeFileSync(file, "");
      truncateSync(file, bytes);
      const up = await curl(["-X", "POST", "-H", "Expect:", "-T", file, url], "speed_upload");
      return { down: down / MIB, up: up / MIB, growth: memoryMiB(target.pid, "VmHWM") - before };
    } finally {
      await target.stop();
    }
  } finally {
    await sink.stop();
  }
}

/** Runs curl and returns the named speed in bytes a second. */
async function curl(args: readonly string[], speed: string): Promise<number> {
  const options = ["-s", "-S", "--fail", "-o", "/dev/null", "-w", `%{${speed}}`, "--max-time", "100"];
  const { stdout } = await execute("taskset", ["-c", String(LOAD_CORE), "curl", ...options, ...args], {
    timeout: TIMEOUT_MS,
  });
  return Number(stdout);
}
