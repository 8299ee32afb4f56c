// `gatewarden reload`: asks the running gateway to look at its file, and tells what came of it.

import { formatDiagnostics } from "../config/diagnostics.ts";
import type { ReloadOutcome } from "../config/reloader.ts";
import { readText } from "../config/source.ts";
import { adminOf, askAdmin } from "./admin-client.ts";
import { usesColor } from "./paint.ts";

export interface ReloadOptions {
  /** Path of the file, which tells where the admin port is. */
  readonly config: string;
  /** Whether to wait for the answer. */
  readonly wait?: boolean;
  readonly format: "text" | "json";
}

const MOST_BYTES = 10 * 1024 * 1024;

/** Resolves with the exit code: 0 applied, unchanged or asked, 1 not taken, 2 no admin port, 3 not reached. */
export async function reload({ config: file, wait, format }: ReloadOptions): Promise<number> {
  const admin = await adminOf(file);
  const path = `/api/v1/reload${wait === true ? "" : "?wait=false"}`;
  const answer = admin.ok ? await askAdmin(admin.value, "POST", path) : admin;
  if (!answer.ok) {
    process.stderr.write(`gatewarden: ${answer.error.message}\n`);
    return answer.error.exitCode;
  }
  // The gateway's own answer to this path.
  const outcome = answer.value as ReloadOutcome | { readonly result: "asked" };
  if (format === "json") process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
  else await print(outcome);
  return outcome.result === "rejected" ? 1 : 0;
}

async function print(outcome: ReloadOutcome | { readonly result: "asked" }): Promise<void> {
  if (outcome.result === "asked") process.stdout.write("asked; --wait tells what comes of it\n");
  else if (outcome.result === "rejected") await printRejection(outcome.error);
  else process.stdout.write(`${outcome.result}, ${outcome.hash.slice(0, 12)} is in force\n`);
}

async function printRejection(error: Extract<ReloadOutcome, { result: "rejected" }>["error"]): Promise<void> {
  const { diagnostics, file, line, column, code, message } = error;
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  process.stderr.write(
    `not taken, the configuration before it stays in force: ${place} ${code} ${message}\n`,
  );
  if (diagnostics.length === 0) return;
  // The lines are shown when the file that the gateway reads can be read here as well.
  const read = await readText(file, MOST_BYTES);
  const source = read.ok ? read.value.text : "";
  process.stderr.write(`\n${formatDiagnostics({ diagnostics, source }, "text", usesColor(process.stderr))}`);
}
