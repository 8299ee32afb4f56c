// Writes a gateway.yaml that wasn't there before: never over another file unless that was asked for.

import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { err, ok, type Result } from "../core/result.ts";

/**
 * Writes `text` as `file`, readable by all. Without `force` an existing file stays as it is; with it the old one is
 * replaced in one step. The error is a sentence.
 */
export async function writeNew(file: string, text: string, force: boolean): Promise<Result<void, string>> {
  const target = force ? `${file}.${process.pid}.tmp` : file;
  let handle: FileHandle | undefined;
  try {
    // Exclusive: between a look whether it exists and the writing, somebody could have made it.
    handle = await open(target, "wx", 0o644);
    await handle.writeFile(text);
    await handle.close();
    handle = undefined;
    if (force) await rename(target, file);
    return ok(undefined);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    await handle?.close().catch(() => undefined);
    if (code !== "EEXIST") await rm(target, { force: true }).catch(() => undefined);
    return err(reason(file, code, force));
  }
}

function reason(file: string, code: string, force: boolean): string {
  if (code === "EEXIST" && !force) return `${file} exists already; --force replaces it`;
  if (code === "ENOENT") return `${file} can't be written: there is no such folder`;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return `${file} can't be written: permission denied`;
  return `${file} can't be written (${code})`;
}
