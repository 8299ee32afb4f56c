// `gatewarden replay`: a decision log through another file, and what would change.

import { type LoggedDecision, readLogLine } from "../review/replay/log-lines.ts";
import { Replayer } from "../review/replay/replayer.ts";
import { ReplayTally } from "../review/replay/summary.ts";
import { clean, loadFile } from "./load-file.ts";
import { openLog } from "./log-source.ts";
import { paint, progress } from "./paint.ts";
import { replayText } from "./replay-text.ts";

export interface ReplayOptions {
  /** Path of the new file. */
  readonly config: string;
  readonly format: "text" | "json";
  /** Path of the file that wrote the log. */
  readonly old?: string;
}

/**
 * Prints what would change and resolves with the exit code: 0 nothing, 1 something, or a file is invalid, 2 the log can't
 * be read.
 */
export async function replay(
  log: string,
  { config: file, format, old: oldFile }: ReplayOptions,
): Promise<number> {
  const config = await loadFile(file);
  const old = oldFile === undefined ? undefined : await loadFile(oldFile);
  if (config === undefined || (oldFile !== undefined && old === undefined)) return 1;
  const replayer = new Replayer(config, old);
  const tally = new ReplayTally();
  const decide = async (line: LoggedDecision): Promise<void> => tally.add(line, await replayer.next(line));
  if (!(await eachDecision(log, tally, "replaying", decide))) return 2;
  const summary = tally.summary();
  if (format === "json") process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
  else process.stdout.write(replayText(summary, { log, file, old: oldFile }, paint(process.stdout)));
  return summary.changed > 0 ? 1 : 0;
}

/** Counts of lines that were read. */
export interface LineCounts {
  lines: number;
  malformed: number;
}

/** Calls `take` for every decision of a log; false when it can't be read (then that was told). */
export async function eachDecision(
  log: string,
  counts: LineCounts,
  label: string,
  take: (line: LoggedDecision) => Promise<void> | undefined,
): Promise<boolean> {
  const source = await openLog(log);
  const line = progress(process.stderr, label);
  const fail = (reason: string): false => {
    line.end();
    process.stderr.write(`gatewarden: the log ${clean(log)} can't be read: ${reason}\n`);
    return false;
  };
  if (!source.ok) return fail(source.error);
  try {
    await source.value.each((text) => {
      counts.lines++;
      const read = readLogLine(text);
      if (counts.lines % 1_000 === 0) line.update(`${counts.lines} lines`);
      if (read === "other") return undefined;
      if (read !== "malformed") return take(read);
      counts.malformed++;
      return undefined;
    });
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    return fail("it ends in the middle, or isn't what its name says");
  }
  line.end();
  return true;
}
