// Where log lines leave the process. Writing never blocks and never throws: a reader that stops reading costs lines,
// which are counted, and never a request.

import { createWriteStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";

// Lines waiting for a slow reader, in characters; beyond it new lines are dropped.
const MOST_WAITING = 8 * 1024 * 1024;

export class LineSink {
  readonly #stream: Writable;
  #batch = "";
  #scheduled = false;
  #broken = false;
  #dropped = 0;

  constructor(stream: Writable) {
    this.#stream = stream;
    // EPIPE: whoever read the log is gone. The gateway serves on; its lines are counted as dropped.
    stream.on("error", () => {
      this.#broken = true;
      this.#dropped += 1;
      this.#batch = "";
    });
  }

  /** Lines that were not written, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes one line with its line end; leaves in one write with the others of this turn of the event loop. */
  write(line: string): void {
    if (this.#broken || this.#batch.length + this.#stream.writableLength > MOST_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#batch += line;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Resolves when everything taken so far has left, or after `withinMs`. */
  async drain(withinMs: number): Promise<void> {
    this.#flush();
    if (this.#broken || this.#stream.writableLength === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#stream.write("", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#batch === "" || this.#broken) return;
    const batch = this.#batch;
    this.#batch = "";
    this.#stream.write(batch);
  };
}

/** A stream over standard output that doesn't block. Node's own `process.stdout` writes to pipes synchronously. */
export function standardOutput(): Writable {
  const facts = fstatSync(1);
  if (facts.isFIFO() || facts.isSocket()) return new Socket({ fd: 1, readable: false, writable: true });
  return process.stdout.isTTY ? process.stdout : createWriteStream("", { fd: 1, autoClose: false });
}
