// Starts the programs of a benchmark on one core each and makes sure that none of them outlives the run.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Core of the measured program. */
export const TARGET_CORE = 0;
/** Core of everything that isn't measured: load generator, upstream, Redis and this process. */
export const LOAD_CORE = 1;

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 5;

export interface Launch {
  /** Used for the name of the log file; unique within `directory`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly core: number;
  /** Receives `NAME.log` with standard output and standard error. */
  readonly directory: string;
  /** Connect the output to a pipe that is read and thrown away, instead of to the log file. */
  readonly drain?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Launched {
  readonly pid: number;
  /** Ends the program with SIGTERM, after 10 s with SIGKILL; resolves when it is gone. */
  stop(): Promise<void>;
}

const alive = new Set<ChildProcess>();

/** Starts a program pinned to a core and waits up to 15 s until `ready` answers true; throws with its last output lines otherwise. */
export async function launch(what: Launch, ready: () => Promise<boolean>): Promise<Launched> {
  const logFile = join(what.directory, `${what.name}.log`);
  const log = openSync(logFile, "w");
  const child = spawn("taskset", ["-c", String(what.core), what.command, ...what.args], {
    stdio: ["ignore", what.drain ? "pipe" : log, log],
    env: { ...process.env, ...what.env },
  });
  closeSync(log);
  let spawnError: Error | undefined;
  child.on("error", (error) => {
    spawnError = error;
  });
  child.stdout?.on("error", () => {});
  child.stdout?.resume();
  alive.add(child);
  child.once("exit", () => alive.delete(child));

  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await ready())) {
    if (spawnError !== undefined || hasEnded(child) || Date.now() > deadline) {
      await end(child);
      const reason = spawnError?.message ?? tail(logFile);
      throw new Error(`${what.name} did not start: ${reason}`);
    }
    await sleep(POLL_MS);
  }
  if (child.pid === undefined || hasEnded(child))
    throw new Error(`${what.name} ended at once: ${tail(logFile)}`);
  return { pid: child.pid, stop: () => end(child) };
}

/** Ends every program that `launch` started and that still runs. */
export async function stopAll(): Promise<void> {
  await Promise.all([...alive].map(end));
}

/** Kills at once what still runs; for the exit path, where nothing can be awaited. */
export function killAll(): void {
  for (const child of alive) child.kill("SIGKILL");
}

/** A TCP port on 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("no port was given"));
      });
    });
  });
}

/** Whether an HTTP server answers at the URL, whatever the status. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Whether something accepts connections on the port of 127.0.0.1. */
export function answersTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** First output line of a program that prints its version, or undefined when it isn't installed. */
export function versionOf(command: string, ...args: readonly string[]): string | undefined {
  try {
    const text = execFileSync("sh", ["-c", '"$0" "$@" 2>&1 || true', command, ...args], { encoding: "utf8" });
    const line = text.split("\n")[0]?.trim() ?? "";
    return line === "" || line.includes("not found") ? undefined : line;
  } catch {
    return undefined;
  }
}

/** Moves this process, and what it starts without a core of its own, to a core. */
export function pinSelf(core: number): void {
  execFileSync("taskset", ["-a", "-c", "-p", String(core), String(process.pid)], { stdio: "ignore" });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || hasEnded(child)) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  child.kill("SIGTERM");
  await ended;
  clearTimeout(killer);
}

function tail(file: string): string {
  const lines = readFileSync(file, "utf8").trim().split("\n").slice(-8).join("\n  ");
  return lines === "" ? "no output" : `\n  ${lines}`;
}
