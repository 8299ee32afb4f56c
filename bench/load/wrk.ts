// Drives a target with wrk: one thread on the load core, 64 connections, 200 different credentials in turn.

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CALLERS } from "../fixtures.ts";
import { LOAD_CORE } from "../process.ts";
import { type Scenario, serviceRoute } from "../target.ts";

/** Path that every row requests. */
export const LOAD_PATH = "/modules";
const CONNECTIONS = 64;
const SCRIPT = join(import.meta.dirname, "cycle.lua");

/** Totals as wrk reports them. */
export interface LoadResult {
  readonly requests: number;
  readonly durationUs: number;
  /** Answers with a status from 400 on. */
  readonly badStatus: number;
  readonly socketErrors: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Loads the port for whole seconds; throws when wrk fails or any request was not answered well. */
export async function load(port: number, scenario: Scenario, seconds: number): Promise<LoadResult> {
  const { header, file } = requestFile(scenario);
  const wrk = ["wrk", "-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "-s", SCRIPT];
  const url = `http://127.0.0.1:${port}${LOAD_PATH}`;
  const output = await run("taskset", ["-c", String(LOAD_CORE), ...wrk, url, "--", header, file], seconds);
  const result = JSON.parse(output.trim().split("\n").at(-1) ?? "") as LoadResult;
  if (result.requests === 0) throw new Error("no request was answered");
  if (result.badStatus + result.socketErrors > 0) {
    const { badStatus, socketErrors, requests } = result;
    const bad = `${badStatus} bad answers and ${socketErrors} socket errors in ${requests} requests`;
    throw new Error(`${bad}; the next request: ${await oneAnswer(port, scenario)}`);
  }
  return result;
}

/** Status and start of the body of one more request, for the error message. */
async function oneAnswer(port: number, { credential, fixtures }: Scenario): Promise<string> {
  const set = credential === "none" ? undefined : fixtures.credentials[credential];
  const headers: Record<string, string> = set === undefined ? {} : { [set.header]: set.good[0] ?? "" };
  try {
    const response = await fetch(`http://127.0.0.1:${port}${LOAD_PATH}`, { headers });
    return `${response.status} ${(await response.text()).slice(0, 200)}`;
  } catch {
    return "no answer";
  }
}

/** Writes what is requested in turn: one line per caller, spread over the additional routes where there are some. */
function requestFile(scenario: Scenario): { header: string; file: string } {
  const { credential, fixtures, routes } = scenario;
  const set = credential === "none" ? undefined : fixtures.credentials[credential];
  const lines: string[] = [];
  for (let n = 0; n < CALLERS; n++) {
    const path = routes === 0 ? LOAD_PATH : serviceRoute(Math.floor((n * routes) / CALLERS)).path;
    lines.push(`${path}\t${set?.good[n] ?? ""}\n`);
  }
  const file = join(scenario.directory, "requests.txt");
  writeFileSync(file, lines.join(""));
  return { header: set?.header ?? "-", file };
}

function run(command: string, args: readonly string[], seconds: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { timeout: (seconds + 15) * 1_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`wrk failed: ${stderr.trim() || error.message}`));
      else resolve(stdout);
    });
  });
}
