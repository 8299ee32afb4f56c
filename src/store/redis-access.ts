// What a connection needs to enter a server, as it is at this moment: the password and the PEM files are read each time.

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import { StoreFailure } from "./failure.ts";
import type { RedisAccess, RedisTls } from "./redis-address.ts";

const MOST_FILE_BYTES = 1024 * 1024;

/** Credentials and encryption of one attempt to connect. */
export interface Entry {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: ConnectionOptions | undefined;
}

/** Reads what an attempt to connect needs. @throws StoreFailure `password_file_unreadable` or `tls_file_unreadable` */
export async function readEntry({ username, password, passwordFile, tls }: RedisAccess): Promise<Entry> {
  const known = passwordFile === undefined ? password : await readPassword(passwordFile);
  return {
    username,
    // A user without a password is named as well.
    password: username === undefined ? known : (known ?? ""),
    tls: tls === undefined ? undefined : await readTls(tls),
  };
}

async function readPassword(path: string): Promise<string> {
  const text = await readFile(path, "password_file_unreadable");
  // Editors and `echo` end files with a line break that belongs to no password.
  return text.replace(/\r?\n$/, "");
}

async function readTls({ ca, cert, key, serverName }: RedisTls): Promise<ConnectionOptions> {
  const [caPem, certPem, keyPem] = await Promise.all(
    [ca, cert, key].map((path) => (path === undefined ? undefined : readFile(path, "tls_file_unreadable"))),
  );
  return {
    // Said, so that no environment variable can switch it off.
    rejectUnauthorized: true,
    ...(caPem === undefined ? {} : { ca: caPem }),
    ...(certPem === undefined ? {} : { cert: certPem }),
    ...(keyPem === undefined ? {} : { key: keyPem }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** Text of a regular file. Without O_NONBLOCK opening a FIFO would wait for a writer for ever. */
async function readFile(path: string, fault: string): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (stat.isFile() && stat.size <= MOST_FILE_BYTES) return await handle.readFile("utf8");
  } catch {
    // The path and the system's message stay out of the log.
  } finally {
    await handle?.close().catch(() => undefined);
  }
  throw new StoreFailure(fault);
}
