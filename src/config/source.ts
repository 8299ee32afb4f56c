// Reads a configuration file: regular files only, bounded in size, UTF-8. A FIFO or device can never block the reader.

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { err, ok, type Result } from "../core/result.ts";
import type { DiagnosticCode } from "./report.ts";

/** Largest configuration file in bytes. */
export const MOST_FILE_BYTES = 8 * 1024 * 1024;

/** Why a file could not be read; the sentence holds none of its content. */
export interface SourceFault {
  readonly code: DiagnosticCode;
  readonly message: string;
}

export interface SourceText {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** Reads at most `mostBytes` of a regular file as UTF-8 text without its byte order mark. */
export async function readText(file: string, mostBytes: number): Promise<Result<SourceText, SourceFault>> {
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK opening a FIFO would wait for a writer for ever.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (!stat.isFile())
      return fault("file_unreadable", `it is ${stat.isDirectory() ? "a directory" : "not a regular file"}`);
    if (stat.size > mostBytes) return tooLarge(mostBytes);
    const bytes = await readAtMost(handle, mostBytes);
    return bytes === undefined ? tooLarge(mostBytes) : decode(bytes, stat.mode & 0o777);
  } catch (error) {
    return fault("file_unreadable", reason(error));
  } finally {
    await handle?.close().catch(() => undefined);
  }
}

/** Everything up to the end of the file, which may have grown since its size was asked; undefined when too much. */
async function readAtMost(handle: FileHandle, mostBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const { bytesRead } = await handle.read(chunk, 0, chunk.length);
    if (bytesRead === 0) return Buffer.concat(chunks, length);
    length += bytesRead;
    if (length > mostBytes) return undefined;
    chunks.push(chunk.subarray(0, bytesRead));
  }
}

/** Bytes that were read already, as text: held to the same rules as a file. */
export function textOf(bytes: Uint8Array, mostBytes: number): Result<SourceText, SourceFault> {
  return bytes.length > mostBytes ? tooLarge(mostBytes) : decode(bytes, 0o600);
}

function decode(bytes: Uint8Array, mode: number): Result<SourceText, SourceFault> {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("\0")) return fault("file_not_text", "it holds NUL bytes; a text file is expected");
    return ok({ text, mode });
  } catch {
    return fault("file_not_text", "it is not UTF-8 text");
  }
}

function tooLarge(mostBytes: number): Result<never, SourceFault> {
  return fault("file_too_large", `it is larger than ${mostBytes} bytes`);
}

function fault(code: DiagnosticCode, message: string): Result<never, SourceFault> {
  return err({ code, message });
}

/** A system error in words; its own message would repeat the path, which may come from a variable. */
function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "it does not exist";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EISDIR") return "it is a directory";
  if (code === "ENXIO") return "it is not a regular file";
  if (code === "ELOOP") return "too many symbolic links";
  return typeof code === "string" ? `it can't be opened (${code})` : "it can't be opened";
}
