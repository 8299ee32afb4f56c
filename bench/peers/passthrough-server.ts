// Forwards every request as it is: raw header list in, raw header list out, back-pressure and aborts, nothing else.
// Arguments: own port, port of the upstream.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Dispatcher, Pool } from "undici";

const [port, upstreamPort] = process.argv.slice(2).map(Number);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 128 });

class Relay implements Dispatcher.DispatchHandler {
  readonly #answer: ServerResponse;

  constructor(answer: ServerResponse) {
    this.#answer = answer;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#answer.once("close", () => {
      if (!this.#answer.writableEnded) controller.abort(new Error("the client went away"));
    });
    this.#answer.on("drain", () => controller.resume());
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = controller.rawHeaders;
    const fields = Array.isArray(raw) ? raw.map((item) => item.toString("latin1")) : [];
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i]?.toLowerCase() === "connection") fields.splice(i, 2);
    }
    this.#answer.writeHead(status, fields);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#answer.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#answer.end();
  }

  onResponseError(): void {
    if (this.#answer.headersSent) this.#answer.destroy();
    else this.#answer.writeHead(502).end();
  }
}

function forward(request: IncomingMessage, answer: ServerResponse): void {
  const headers = request.rawHeaders;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() === "connection") headers.splice(i, 2);
  }
  const hasBody =
    request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined;
  pool.dispatch(
    {
      path: request.url ?? "/",
      method: request.method as Dispatcher.HttpMethod,
      headers,
      body: hasBody ? request : null,
    },
    new Relay(answer),
  );
}

const server = createServer(forward);
server.listen(port, "127.0.0.1");
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
