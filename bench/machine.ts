// The facts without which a figure means nothing.

import { execFileSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import { versionOf } from "./process.ts";

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly haproxy: string | undefined;
  readonly nginx: string | undefined;
  readonly wrk: string | undefined;
  readonly redis: string | undefined;
  readonly commit: string | undefined;
}

/** Reads the facts of this machine and of the checkout. */
export function machineFacts(): Machine {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 1_048_576),
    kernel: release(),
    node: process.version,
    haproxy: versionOf("haproxy", "-v"),
    nginx: versionOf("nginx", "-v"),
    wrk: versionOf("wrk", "-v"),
    redis: versionOf("redis-server", "--version"),
    commit: commit(),
  };
}

function commit(): string | undefined {
  try {
    const cwd = import.meta.dirname;
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      cwd,
      encoding: "utf8",
      stdio: "pipe",
    }).trim();
  } catch {
    return undefined;
  }
}
