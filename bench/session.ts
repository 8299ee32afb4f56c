// What every row of a run shares: a temporary directory, credentials, the upstream and Redis, ended together.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { type Fixtures, makeFixtures } from "./fixtures.ts";
import { killAll, LOAD_CORE, pinSelf, stopAll, versionOf } from "./process.ts";
import { type RedisServer, startRedis } from "./redis.ts";
import type { Row } from "./rows.ts";
import type { Scenario } from "./target.ts";
import { startUpstream } from "./upstream/nginx.ts";

/** High enough that the load never meets it. */
const OPEN_LIMIT = 1_000_000;

export interface Session {
  /** Removed with everything in it at the end. */
  readonly directory: string;
  /** The row's scenario, in a fresh directory. */
  scenario(
    row: Row,
    change?: Partial<Pick<Scenario, "limit" | "nodeArgs" | "upstreamPort">>,
  ): Promise<Scenario>;
  /** Ends every program and removes the directory. */
  close(): Promise<void>;
}

/** Opens a session; throws when the machine or an indispensable program is missing. */
export async function openSession(): Promise<Session> {
  requireMachine();
  const unlock = lock();
  pinSelf(LOAD_CORE);
  const directory = mkdtempSync(join(tmpdir(), "gatewarden-bench-"));
  const onSignal = () => process.exit(130);
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  process.once("exit", () => {
    killAll();
    unlock();
    rmSync(directory, { recursive: true, force: true });
  });
  let count = 0;
  let redis: RedisServer | undefined;
  const fixtures: Fixtures = await makeFixtures(directory);
  const upstream = await startUpstream(directory);
  return {
    directory,
    scenario: async (row, change) => {
      const number = count++;
      const own = join(directory, String(number));
      mkdirSync(own);
      if (row.redis !== undefined && redis === undefined) redis = await startRedis(directory);
      return {
        credential: row.credential,
        limit: OPEN_LIMIT,
        accessLog: row.accessLog ?? false,
        routes: row.routes ?? 0,
        keys: row.keys ?? 0,
        redisUrl: row.redis === undefined ? undefined : redis?.urlOf(number),
        sync: row.redis ?? "exact",
        algorithm: row.algorithm ?? "slidingWindow",
        upstreamPort: upstream.port,
        fixtures,
        directory: own,
        nodeArgs: [],
        ...change,
      };
    },
    close: async () => {
      await stopAll();
      unlock();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Why a row can't run here, or undefined when it can. */
export async function missingFor(row: Row): Promise<string | undefined> {
  if (row.redis !== undefined && versionOf("redis-server", "--version") === undefined) {
    return "redis-server is not installed (apt-get install redis-server)";
  }
  return row.peer.missing();
}

/** Two runs at a time would measure each other. Returns what lets the next one start. */
function lock(): () => void {
  const file = join(tmpdir(), "gatewarden-bench.lock");
  const holder = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (holder !== "" && existsSync(`/proc/${holder}`)) {
    throw new Error(`another benchmark is running (process ${holder})`);
  }
  writeFileSync(file, String(process.pid));
  let held = true;
  return () => {
    if (held) rmSync(file, { force: true });
    held = false;
  };
}

function requireMachine(): void {
  if (process.platform !== "linux") throw new Error("the benchmark reads /proc and needs Linux");
  if (cpus().length < 2) throw new Error("the benchmark needs two cores: one measured, one for the load");
  for (const command of ["wrk", "nginx", "taskset", "getconf"]) {
    if (versionOf(command, command === "taskset" ? "--version" : "-v") === undefined) {
      throw new Error(`${command} is not installed (apt-get install wrk nginx-light haproxy)`);
    }
  }
}
