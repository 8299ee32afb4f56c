// An ordinary Node.js backend for the end-to-end tests: answers with what a test's handler says, and knows which of its
// connections and exchanges are still open.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** Answers one request. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A running backend. */
export class TestUpstream {
  /** Replace it at any time. */
  handler: Handler;
  /** Requests whose header section has arrived. */
  requests = 0;
  /** Exchanges that have neither been answered nor broken off. */
  openExchanges = 0;
  /** Connections accepted so far. */
  connections = 0;
  readonly server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(handler: Handler) {
    this.handler = handler;
    this.server = createServer({ keepAliveTimeout: 30_000 }, (request, response) =>
      this.#answer(request, response),
    );
    this.server.on("connection", (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that stand now. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests++;
    this.openExchanges++;
    request.on("error", () => response.destroy());
    response.on("error", () => response.destroy());
    response.on("close", () => this.openExchanges--);
    this.handler(request, response);
  }

  /** Ends every connection and stops listening. */
  async stop(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** Starts a backend on a free port; without a handler it answers with `describe`. */
export async function startUpstream(handler: Handler = describe): Promise<TestUpstream> {
  const upstream = new TestUpstream(handler);
  upstream.server.listen(0, "127.0.0.1");
  await once(upstream.server, "listening");
  return upstream;
}

/** What `describe` says about a request. */
export interface Description {
  readonly method: string;
  readonly url: string;
  /** Lower-case names; repeated fields joined. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** As they came. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

/** Reads the request to its end and answers with a description of it. */
export function describe(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { method, url, headers, rawHeaders } = request;
    const body = Buffer.concat(chunks).toString();
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ method, url, headers, rawHeaders, body }));
  });
}

/** Waits until `met` holds; throws with `what` when `withinMs` passed first. */
export async function eventually(what: string, met: () => boolean, withinMs = 2_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!met()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
