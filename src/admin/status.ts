// `/status`: which configuration is in force, whether the file says the same, what came of the last look at it, and how
// everything stands that the gateway depends on.

import type { Hono } from "hono";
import type { Readiness } from "../core/health.ts";
import { VERSION } from "../telemetry/version.ts";
import type { ReloadPort, StatusFacts } from "./ports.ts";

/** What `/status` is made from. */
export interface StatusSource {
  readonly readiness: () => Readiness;
  readonly status: () => StatusFacts;
  /** Undefined when the gateway was made without a file. */
  readonly reload: ReloadPort | undefined;
}

/** Adds the path to the application. */
export function addStatus(app: Hono, source: StatusSource): void {
  app.get("/status", async (context) => context.json(await statusOf(source)));
}

async function statusOf({ readiness, status, reload }: StatusSource): Promise<object> {
  const { ready, notes } = readiness();
  const { startedAtMs, dependencies, ...facts } = status();
  return {
    status: ready ? "ready" : "not_ready",
    notes,
    version: VERSION,
    node: process.version,
    startedAt: time(startedAtMs),
    ...(reload === undefined ? {} : await configOf(reload)),
    ...facts,
    dependencies,
  };
}

async function configOf(reload: ReloadPort): Promise<object> {
  const fileHash = await reload.fileHash();
  const { file, configHash, loadedAtMs, generation, last, counts } = reload.state();
  return {
    file,
    configHash,
    fileHash: fileHash ?? null,
    inSync: fileHash === configHash,
    loadedAt: time(loadedAtMs),
    generation,
    lastReload:
      last === undefined ? null : { at: time(last.atMs), trigger: last.trigger, result: last.outcome.result },
    lastReloadError: last?.outcome.result === "rejected" ? last.outcome.error : null,
    reloads: counts,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
