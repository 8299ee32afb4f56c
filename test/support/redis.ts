// Starts real Redis servers for tests: each on a free loopback port, without persistence, ended with the test.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

const START_ATTEMPTS = 5;
const READY_WITHIN_MS = 10_000;

/** A Redis server that belongs to one test file. */
export interface TestRedis {
  readonly port: number;
  /** `redis://127.0.0.1:PORT`. */
  readonly url: string;
  /** Freezes the process: connections stay open, nothing is answered. */
  pause(): void;
  /** Ends a `pause`. */
  resume(): void;
  /** Kills the server; its connections break and new ones are refused. */
  stop(): Promise<void>;
  /** Starts an empty server on the same port; a running one is stopped first. */
  restart(): Promise<void>;
}

/** Options of one server. */
export interface TestRedisOptions {
  /** More `redis-server` arguments, such as `--maxmemory 1mb`. */
  readonly args?: readonly string[];
  /** Text of a configuration file, which a Sentinel can't do without. */
  readonly config?: string;
}

/** Path of the `redis-server` binary on PATH, or undefined. */
export function redisBinary(): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const candidate = join(folder, "redis-server");
    if (folder !== "" && existsSync(candidate)) return candidate;
  }
  return undefined;
}

/** Makes sure that `redis-server` can be started; installs it on a Debian machine when run as root. */
export function requireRedisBinary(): string {
  const present = redisBinary();
  if (present !== undefined) return present;
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const run = (args: readonly string[]) =>
      spawnSync("apt-get", args, { stdio: "ignore", env: environment });
    if (run(["install", "-y", "--no-install-recommends", "redis-server"]).status !== 0) {
      run(["update"]);
      run(["install", "-y", "--no-install-recommends", "redis-server"]);
    }
    const installed = redisBinary();
    if (installed !== undefined) return installed;
  }
  throw new Error(
    "The tests need a Redis server: install redis-server 7 or newer so that it is on PATH " +
      "(Debian: apt-get install redis-server, macOS: brew install redis), or set REDIS_URL to one that they may use.",
  );
}

/** A loopback port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port was given");
  return address.port;
}

/** Whether a server on `port` answers PING, be it only to ask for a password. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const finish = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (data) => finish(/^(\+PONG|-NOAUTH)/.test(data.toString())));
  });
}

async function launch(
  port: number,
  folder: string,
  { args = [], config }: TestRedisOptions,
): Promise<ChildProcess> {
  const file = join(folder, "redis.conf");
  // What a Sentinel wrote there before it was restarted stays.
  if (config !== undefined && !existsSync(file)) writeFileSync(file, config);
  const fixed = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
  const kind = config === undefined ? ["--save", "", "--appendonly", "no"] : [];
  const all = [...(config === undefined ? [] : [file]), ...fixed, ...kind, ...args];
  const child = spawn(requireRedisBinary(), all, { stdio: "ignore" });
  let over = false;
  child.once("exit", () => {
    over = true;
  });
  child.once("error", () => {
    over = true;
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!over && performance.now() < deadline) {
    if (await answers(port)) return child;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  child.kill("SIGKILL");
  throw new Error(`redis-server did not come up on port ${port}`);
}

// Servers of this process by their working directory.
const running = new Map<string, ChildProcess>();

process.once("exit", () => {
  for (const [folder, child] of running) {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});

async function end(folder: string): Promise<void> {
  const child = running.get(folder);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

/** One command in the server's inline form; its answer as text. */
export function redisCommand({ port }: { readonly port: number }, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${line}\r\n`));
    let text = "";
    socket.once("error", reject);
    socket.setEncoding("utf8").on("data", (data: string) => {
      text += data;
      const length = /^\$(\d+)\r\n/.exec(text);
      // A bulk answer may come in pieces.
      if (length !== null && Buffer.byteLength(text) < length[0].length + Number(length[1]) + 2) return;
      socket.destroy();
      resolve(text);
    });
    socket.once("close", () => resolve(text));
  });
}

/** Starts a server of the caller's own; call `stop` when done (it also dies with this process). */
export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), "gatewarden-redis-"));
  let port = 0;
  let child: ChildProcess | undefined;
  // A free port can be taken by someone else before the server binds it.
  for (let attempt = 1; child === undefined; attempt++) {
    port = await freePort();
    try {
      child = await launch(port, folder, options);
    } catch (error) {
      if (attempt === START_ATTEMPTS) throw error;
    }
  }
  running.set(folder, child);
  // One after the other: a second one would meet the server that the first one is still waiting for.
  let restarted: Promise<void> = Promise.resolve();
  const restart = async (): Promise<void> => {
    await end(folder);
    running.set(folder, await launch(port, folder, options));
  };
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    pause: () => void running.get(folder)?.kill("SIGSTOP"),
    resume: () => void running.get(folder)?.kill("SIGCONT"),
    stop: () => end(folder),
    restart() {
      restarted = restarted.then(restart, restart);
      return restarted;
    },
  };
}
