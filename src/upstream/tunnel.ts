// An open WebSocket tunnel: two sockets piped into each other. Frames are not parsed; only its end is managed.

import type { Duplex } from "node:stream";

/** RFC 6455 section 7.4.1. */
export const GOING_AWAY = 1001;
export const POLICY_VIOLATION = 1008;

// How long the other side may take to finish once one side is gone.
const GRACE_MS = 1_000;

export class Tunnel {
  readonly #client: Duplex;
  readonly #upstream: Duplex;

  constructor(client: Duplex, upstream: Duplex) {
    this.#client = client;
    this.#upstream = upstream;
    client.on("close", () => end(upstream));
    upstream.on("close", () => end(client));
  }

  /** Calls `listener` once the client's side is closed. */
  onClosed(listener: () => void): void {
    if (this.#client.destroyed) listener();
    else this.#client.once("close", listener);
  }

  /** Sends the client a close frame with `code` and ends both sides. */
  close(code: number): void {
    if (this.#client.destroyed) return;
    this.#upstream.unpipe(this.#client);
    this.#client.end(Buffer.from([0x88, 0x02, code >> 8, code & 0xff]));
    end(this.#client);
    end(this.#upstream);
  }
}

function end(socket: Duplex): void {
  if (socket.destroyed) return;
  socket.end();
  setTimeout(() => socket.destroy(), GRACE_MS).unref();
}
