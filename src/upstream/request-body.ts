// A request body on its way to the upstream: counted, bounded, with back-pressure, and detached from the client's socket,
// so that an upstream that stops reading can't tear down the connection on which the answer has still to be sent.

import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** Ends with this error when the client's body exceeds the limit. */
export class BodyTooLarge extends Error {
  readonly code = "BODY_TOO_LARGE";
}

/** Ends with this error when the client went away before its body was complete. */
export class BodyIncomplete extends Error {
  readonly code = "BODY_INCOMPLETE";
}

export class RequestBody extends Readable {
  readonly #incoming: IncomingMessage;
  readonly #limit: number;
  readonly #onProgress: () => void;
  #received = 0;
  #attached = false;

  /**
   * @param limit most bytes that may pass
   * @param onProgress called with each piece that came
   */
  constructor(incoming: IncomingMessage, limit: number, onProgress: () => void = () => {}) {
    super({ highWaterMark: 64 * 1024 });
    this.#incoming = incoming;
    this.#limit = limit;
    this.#onProgress = onProgress;
  }

  override _read(): void {
    if (!this.#attached) this.#attach();
    this.#incoming.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    // What the client still sends is read and thrown away by the edge, within its own bounds.
    if (this.#attached) this.#incoming.pause();
    this.#incoming.off("data", this.#onData);
    this.#incoming.off("end", this.#onEnd);
    callback(error);
  }

  #attach(): void {
    this.#attached = true;
    this.#incoming.on("data", this.#onData);
    this.#incoming.on("end", this.#onEnd);
    this.#incoming.on("error", this.#onLost);
    this.#incoming.on("close", this.#onLost);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#received += chunk.length;
    this.#onProgress();
    if (this.#received > this.#limit) this.destroy(new BodyTooLarge("the request body is too large"));
    else if (!this.push(chunk)) this.#incoming.pause();
  };

  readonly #onEnd = (): void => {
    this.push(null);
  };

  readonly #onLost = (): void => {
    if (!this.#incoming.complete && !this.destroyed) this.destroy(new BodyIncomplete("the client went away"));
  };
}
