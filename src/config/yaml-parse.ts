// Runs the YAML parser in a child process with a bound on time, memory and output, so that no document, however
// hostile, can take the serving process down or hold it up.

import { spawn } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { fileURLToPath } from "node:url";
import type { ParseFault, ParseReply } from "./yaml-full.ts";

const MOST_OUTPUT_BYTES = 256 * 1024 * 1024;

/** Bounds of one parse. */
export interface ParseBounds {
  readonly timeoutMs: number;
  readonly memoryMiB: number;
}

export const PARSE_BOUNDS: ParseBounds = { timeoutMs: 5_000, memoryMiB: 256 };

// Sources run as TypeScript, the published package as JavaScript.
const CHILD = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "./yaml-child.ts" : "./yaml-child.js", import.meta.url),
);

/** The tree of `text`, or its faults. A child that dies or takes too long is a fault too; this never rejects. */
export async function parseYaml(text: string, bounds: ParseBounds = PARSE_BOUNDS): Promise<ParseReply> {
  const output = await runChild(text, bounds);
  if (typeof output !== "string") return { root: null, faults: [output] };
  try {
    // The child is this package's own program; its replies have this shape or don't parse.
    return JSON.parse(output) as ParseReply;
  } catch {
    return { root: null, faults: [tooComplex("the parser ended before its time")] };
  }
}

function tooComplex(message: string): ParseFault {
  return { at: 0, kind: "depth", message };
}

/** Nothing of the environment: the parser needs no secrets, and no options from outside. */
function childEnvironment(): Record<string, string> {
  // The cache of compiled modules, where this process has one, halves the child's start.
  const cache = getCompileCacheDir();
  return cache === undefined ? {} : { NODE_COMPILE_CACHE: cache };
}

function runChild(text: string, bounds: ParseBounds): Promise<string | ParseFault> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [`--max-old-space-size=${bounds.memoryMiB}`, "--max-semi-space-size=2", "--no-warnings", CHILD],
      {
        stdio: ["pipe", "pipe", "ignore"],
        env: childEnvironment(),
      },
    );
    const chunks: Buffer[] = [];
    let length = 0;
    let fault: ParseFault | undefined;
    const stop = (message: string): void => {
      fault ??= tooComplex(message);
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => stop(`parsing took longer than ${bounds.timeoutMs} ms`), bounds.timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MOST_OUTPUT_BYTES) stop("the document is too large");
    });
    child.stdout.on("error", () => stop("the parser's answer was cut"));
    // A child that dies early closes its input; its end is reported by `close`.
    child.stdin.on("error", () => undefined);
    child.on("error", () => {
      clearTimeout(timer);
      resolve(tooComplex("the parser could not be started"));
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      if (fault !== undefined || code !== 0)
        resolve(fault ?? tooComplex("it is nested too deeply or too large"));
      else resolve(Buffer.concat(chunks, length).toString("utf8"));
    });
    child.stdin.end(text);
  });
}
