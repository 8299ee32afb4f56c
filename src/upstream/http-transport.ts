// Requests to upstreams over HTTP/1.1. The only file that knows undici.

import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import Pool from "undici/lib/dispatcher/pool.js";
import type { Exchange } from "./exchange.ts";
import type { UpstreamPolicy } from "./policy.ts";

/** One request as it goes on the wire. */
export interface UpstreamRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Flat name and value list, complete. */
  readonly fields: string[];
  readonly body: Readable | null;
}

// Idle connections are given up before most servers do (Node.js: 5 s); a Keep-Alive hint of the upstream goes first.
const IDLE_CONNECTION_MS = 4_000;
const LARGEST_HEAD_BYTES = 64 * 1024;

/** The connections to one upstream. */
export class HttpTransport {
  readonly #pool: InstanceType<typeof Pool>;

  /** @param connections most sockets open to the upstream at one time */
  constructor(policy: UpstreamPolicy, connections: number) {
    this.#pool = new Pool(policy.origin, {
      connections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      maxHeaderSize: LARGEST_HEAD_BYTES,
      connect: { timeout: policy.timeouts.connectMs },
    });
  }

  /** Sends the request; everything that follows reaches `exchange`. Never throws. */
  send(request: UpstreamRequest, exchange: Exchange): void {
    try {
      this.#pool.dispatch(
        {
          method: request.method as Dispatcher.HttpMethod,
          path: request.path,
          headers: request.fields,
          body: request.body,
          // The exchange keeps its own deadlines: timers made for each request are what made its memory outlive it.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        exchange,
      );
    } catch (error) {
      exchange.onResponseError(undefined, error);
    }
  }

  /** Closes every connection; exchanges under way end with an error. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}
