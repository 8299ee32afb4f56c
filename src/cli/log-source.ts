// Lines of a log file, of a compressed one, or of standard input, as they come.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { err, ok, type Result } from "../core/result.ts";

// A line without an end must not fill the memory; what goes beyond is cut, and the line is malformed then.
const LONGEST_LINE = 1024 * 1024;

/** A log that is open. */
export interface LogSource {
  /** Calls `line` for each line. @throws when it can't be read to its end */
  each(line: (text: string) => Promise<void> | undefined): Promise<void>;
}

/** The log called `name`; `-` is standard input. The sentence of a failure holds none of its content. */
export async function openLog(name: string): Promise<Result<LogSource, string>> {
  if (name === "-") return ok(sourceOf(process.stdin, false));
  try {
    if ((await stat(name)).isDirectory()) return err("it is a directory");
    return ok(sourceOf(createReadStream(name, { highWaterMark: 256 * 1024 }), name.endsWith(".gz")));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    return err(
      code === "ENOENT"
        ? "it does not exist"
        : code === "EACCES"
          ? "permission denied"
          : "it can't be opened",
    );
  }
}

function sourceOf(input: Readable, zipped: boolean): LogSource {
  return {
    each: (line) =>
      zipped
        ? pipeline(input, createGunzip(), (chunks) => eachLine(chunks, line))
        : pipeline(input, (chunks) => eachLine(chunks, line)),
  };
}

async function eachLine(
  chunks: AsyncIterable<Buffer>,
  line: (text: string) => Promise<void> | undefined,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_LINE) rest = rest.slice(0, LONGEST_LINE);
    for (const one of lines) {
      const pending = one === "" ? undefined : line(one);
      if (pending !== undefined) await pending;
    }
  }
  rest += decoder.decode();
  if (rest !== "") await line(rest);
}
