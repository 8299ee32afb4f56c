// A pipe as a shell's `|` makes it. The standard streams that Node gives a child are socket pairs, whose buffers and errors
// are not those of a pipe.

import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";

/** The reader's end as a stream, and the writer's descriptor to be given to one child and closed then. */
export interface Fifo {
  readonly reader: Socket;
  readonly writer: number;
  /** Closes this process's copy of the writer's end. */
  handedOver(): void;
}

/** Makes a pipe by way of a name in `folder`; needs `mkfifo`. */
export function makeFifo(folder: string): Fifo {
  const path = join(folder, "stdout.fifo");
  execFileSync("mkfifo", [path]);
  // Without O_NONBLOCK each end would wait for the other.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  rmSync(path);
  const stream = new Socket({ fd: reader, readable: true, writable: false });
  return { reader: stream, writer, handedOver: () => closeSync(writer) };
}
