// Where a command that compares takes a configuration from: a file, standard input, or a revision of a git repository.

import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { type Inspection, inspectConfig, openConfig } from "../config/load.ts";
import { MOST_FILE_BYTES } from "../config/source.ts";
import { err, ok, type Result } from "../core/result.ts";

const run = promisify(execFile);
const GIT_WITHIN_MS = 10_000;
const GIT_FORM = /^git:([^:]+):(.+)$/s;

type Environment = Parameters<typeof inspectConfig>[1];

/**
 * Loads `name`: a path, `-` for standard input, or `git:REVISION:PATH`. Files that it refers to are read relative to
 * where it lies in the working tree. The error is a sentence.
 */
export async function inspectSource(
  name: string,
  environment: Environment,
): Promise<Result<Inspection, string>> {
  if (name === "-") return ok(await inspectBytes("standard input", await standardInput(), environment));
  if (!name.startsWith("git:")) return ok(await inspectConfig(name, environment));
  const [, revision = "", path = ""] = GIT_FORM.exec(name) ?? [];
  if (path === "") return err(`expected git:REVISION:PATH, found ${name}`);
  const bytes = await gitBlob(revision, path);
  if (!bytes.ok) return bytes;
  const root = /^\.{1,2}\//.test(path) ? ok("") : await git("rev-parse", "--show-toplevel");
  if (!root.ok) return root;
  return ok(await inspectBytes(resolve(root.value.toString().trim(), path), bytes.value, environment));
}

async function inspectBytes(file: string, bytes: Uint8Array, environment: Environment): Promise<Inspection> {
  return (await openConfig(file, bytes)).inspect(environment);
}

/** At most one byte more than a configuration may have: it is refused then. */
async function standardInput(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    chunks.push(bytes);
    length += bytes.length;
    if (length > MOST_FILE_BYTES) break;
  }
  return Buffer.concat(chunks);
}

async function gitBlob(revision: string, path: string): Promise<Result<Buffer, string>> {
  // Nothing that begins like an option may become one.
  const wanted = `${revision}:${path}`;
  return revision.startsWith("-") ? err(`${revision} is no revision`) : git("cat-file", "blob", wanted);
}

async function git(...args: readonly string[]): Promise<Result<Buffer, string>> {
  try {
    const { stdout } = await run("git", [...args], {
      encoding: "buffer",
      maxBuffer: MOST_FILE_BYTES + 1,
      timeout: GIT_WITHIN_MS,
      windowsHide: true,
    });
    return ok(stdout);
  } catch (error) {
    return err(`git ${args.join(" ")}: ${gitFault(error)}`);
  }
}

function gitFault(error: unknown): string {
  const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: unknown };
  if (code === "ENOENT") return "git is not installed";
  if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER") return `it is larger than ${MOST_FILE_BYTES} bytes`;
  const text = String(stderr ?? "").trim();
  return text === "" ? "it failed" : (text.split("\n")[0] ?? "");
}
