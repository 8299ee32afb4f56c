// One real request on a real socket, for tests of what handles its two sides.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";

/** A request as the server sees it, and the client's raw side. */
export interface Served {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly client: Socket;
  /** What the client got so far. */
  received(): string;
  /** Resolves once the client's connection is closed, with what it got and whether it ended orderly. */
  closed(): Promise<{ readonly text: string; readonly orderly: boolean }>;
}

/**
 * Sends `head` (a request head without its last empty line) and hands over both sides; `close` ends everything.
 * With `allowHalfOpen` the client can go on sending after the server ended its side.
 */
export async function serve(
  head: string,
  { allowHalfOpen = false } = {},
): Promise<Served & { close(): void }> {
  const server = createServer({ keepAliveTimeout: 1_000 });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const request = once(server, "request") as Promise<[IncomingMessage, ServerResponse]>;
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen });
  let text = "";
  let failed = false;
  let ended = false;
  client.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk;
  });
  client.on("error", () => {
    failed = true;
  });
  client.on("end", () => {
    ended = true;
  });
  const gone = new Promise<void>((resolve) => client.once("close", () => resolve()));
  client.write(`${head}\r\n\r\n`);
  const [incoming, outgoing] = await request;
  incoming.on("error", () => undefined);
  outgoing.on("error", () => undefined);
  return {
    incoming,
    outgoing,
    client,
    received: () => text,
    closed: async () => {
      await gone;
      return { text, orderly: ended && !failed };
    },
    close() {
      client.destroy();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Waits until `condition` holds; fails after two seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 2_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("the condition never came true");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
