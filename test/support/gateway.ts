// Starts the real gateway as a process of its own, from a gateway.yaml in a temporary folder, and watches what it writes.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { makeFifo } from "./fifo.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = join(ROOT, "src/cli/main.js");
const READY_WITHIN_MS = 15_000;
const STOP_WITHIN_MS = 10_000;

/** The pinned runtime, whatever started the tests. */
export const NODE = ((): string => {
  const pinned = join(ROOT, "node_modules/node/bin/node");
  return existsSync(pinned) ? pinned : process.execPath;
})();

/** One JSON line of the gateway's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Settings of one gateway process. */
export interface GatewayOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** More files of the folder, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Arguments of Node itself, before the script. */
  readonly nodeArgs?: readonly string[];
  /** Most open file descriptors of the process; needs `prlimit` (util-linux). */
  readonly fileDescriptors?: number;
  /** Standard output is a pipe as a shell's `|` makes it. */
  readonly shellPipe?: boolean;
}

/** Result of a process that was expected to end by itself. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
}

async function makeFolder(yaml: string | Buffer, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "gatewarden-test-"));
  await writeFile(join(folder, "gateway.yaml"), yaml);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

function launch(
  folder: string,
  args: readonly string[],
  options: GatewayOptions,
  stdout: "pipe" | number = "pipe",
): ChildProcess {
  const env = { PATH: process.env.PATH ?? "", HOME: folder, ...options.env };
  const command = [NODE, ...(options.nodeArgs ?? []), MAIN, ...args];
  // prlimit replaces itself by the command, so that the process is still the gateway.
  if (options.fileDescriptors !== undefined)
    command.unshift("prlimit", `--nofile=${options.fileDescriptors}`);
  const [file = NODE, ...rest] = command;
  return spawn(file, rest, { cwd: folder, env, stdio: ["ignore", stdout, "pipe"] });
}

/** Runs `gatewarden ARGS` with gateway.yaml in its working folder and waits for its end (20 s at most). */
export async function runCli(
  args: readonly string[],
  yaml: string | Buffer,
  options: GatewayOptions = {},
): Promise<Finished> {
  const folder = await makeFolder(yaml, options.files ?? {});
  const started = performance.now();
  const child = launch(folder, args, options);
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output.stderr += text;
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await once(child, "close");
  clearTimeout(timer);
  await rm(folder, { recursive: true, force: true });
  return {
    code: child.exitCode,
    signal: child.signalCode,
    ...output,
    elapsedMs: performance.now() - started,
  };
}

/** A running gateway. */
export class TestGateway {
  readonly child: ChildProcess;
  readonly folder: string;
  /** Reader of standard output. */
  readonly output: Readable | null;
  /** Complete lines of standard output. */
  readonly stdout: string[] = [];
  stderr = "";
  port = 0;
  #rest = "";
  #logs: LogLine[] = [];
  #parsed = 0;
  readonly #exited: Promise<unknown>;

  constructor(child: ChildProcess, folder: string, output: Readable | null = child.stdout) {
    this.child = child;
    this.output = output;
    this.folder = folder;
    this.#exited = once(child, "exit");
    output?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop() ?? "";
      this.stdout.push(...lines);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    output?.on("error", () => undefined);
    child.stderr?.on("error", () => undefined);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Whether the process that was started still runs. */
  alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Every log line so far; a line that isn't JSON has the single member `text`. */
  get logs(): readonly LogLine[] {
    for (; this.#parsed < this.stdout.length; this.#parsed++)
      this.#logs.push(parseLine(this.stdout[this.#parsed] ?? ""));
    return this.#logs;
  }

  /** Log lines of one `type`. */
  logsOf(type: string): readonly LogLine[] {
    return this.logs.filter((line) => line.type === type);
  }

  /** Waits for a log line that satisfies `test`; undefined after `timeoutMs`. */
  async waitForLog(
    test: (line: LogLine) => boolean,
    timeoutMs = 2_000,
    from = 0,
  ): Promise<LogLine | undefined> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = this.logs.slice(from).find(test);
      if (found !== undefined || performance.now() > deadline) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Waits until the gateway listens and is ready; throws what it wrote when it ends instead. */
  async ready(untilReady: boolean): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    for (;;) {
      if (!this.alive())
        throw new Error(`the gateway ended while starting:\n${this.stdout.join("\n")}\n${this.stderr}`);
      if (performance.now() > deadline)
        throw new Error(`the gateway did not start:\n${this.stdout.join("\n")}\n${this.stderr}`);
      const listening = this.logs.find((line) => line.event === "listening");
      if (listening !== undefined) this.port = Number(/:([0-9]+)$/.exec(String(listening.address))?.[1] ?? 0);
      if (this.port !== 0 && (!untilReady || (await this.isReady()))) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Whether /readyz answers 200. */
  async isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(1_000) })).status === 200;
    } catch {
      return false;
    }
  }

  /** Sends `signal` and waits for the end; null as the code means that a signal ended it. */
  async signal(signal: NodeJS.Signals, withinMs = STOP_WITHIN_MS): Promise<number | null> {
    if (this.alive()) this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill("SIGKILL"), withinMs);
    await this.#exited;
    clearTimeout(timer);
    return this.child.exitCode;
  }

  /** Stops the gateway as an operator does; throws when it does not exit with 0. */
  async stop(): Promise<void> {
    const code = await this.signal("SIGTERM");
    await rm(this.folder, { recursive: true, force: true });
    if (code !== 0)
      throw new Error(
        `the gateway ended with ${code ?? this.child.signalCode}:\n${this.stderr.slice(-2_000)}`,
      );
  }

  /** Ends the process at once. */
  async kill(): Promise<void> {
    await this.signal("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
  }
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as LogLine;
  } catch {
    // Not JSON: kept as text, so that a test can see it.
  }
  return { text };
}

/** Starts a gateway with this file and waits until it is ready. `listen: 127.0.0.1:0` in the file gives a free port. */
export async function startGateway(
  yaml: string,
  options: GatewayOptions & { readonly untilReady?: boolean } = {},
): Promise<TestGateway> {
  const folder = await makeFolder(yaml, options.files ?? {});
  const args = ["start", "-c", "gateway.yaml"];
  const fifo = options.shellPipe === true ? makeFifo(folder) : undefined;
  const child = launch(folder, args, options, fifo?.writer);
  fifo?.handedOver();
  const gateway = new TestGateway(child, folder, fifo?.reader);
  try {
    await gateway.ready(options.untilReady ?? true);
  } catch (error) {
    await gateway.kill();
    throw error;
  }
  return gateway;
}
