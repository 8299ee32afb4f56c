// The listener of the admin port: Node's server with every bound set. It has a port of its own, so that nothing which
// reaches the traffic port can reach this one.

import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import type { ListenAddress } from "../config/gateway-config.ts";
import { isLoopback } from "../core/address.ts";
import { type Denial, deny } from "../core/denial.ts";
import { GatewayFailure } from "../core/failure.ts";
import { type AdminAppOptions, createAdminApp } from "./app.ts";
import { MOST_QUESTION_BYTES, QUESTION_TOO_LARGE, takesBody } from "./explain.ts";
import { problem, problemResponse } from "./problem.ts";

export interface AdminServerOptions extends AdminAppOptions {
  readonly listen: ListenAddress;
  /** The running listener failed, for example for lack of file descriptors. */
  readonly listenerError: (code: string) => void;
}

const HEADERS_BYTES = 16 * 1024;
const ARRIVE_WITHIN_MS = 5_000;
const IDLE_MS = 5_000;
const SILENT_MS = 10_000;
const MOST_CONNECTIONS = 64;
const CHECK_EVERY_MS = 1_000;
const CLOSE_WITHIN_MS = 1_000;

/** The admin port. Nothing happens before `listen`. */
export class AdminServer {
  readonly #server: Server;
  #options: AdminServerOptions;
  #viaApp: RequestListener;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#viaApp = listenerOf(options);
    const server = createServer({
      maxHeaderSize: HEADERS_BYTES,
      headersTimeout: ARRIVE_WITHIN_MS,
      requestTimeout: ARRIVE_WITHIN_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      // Refused here, with an answer of the usual form.
      requireHostHeader: false,
      insecureHTTPParser: false,
      shouldUpgradeCallback: () => false,
    });
    server.timeout = SILENT_MS;
    server.maxConnections = MOST_CONNECTIONS;
    server.on("request", (incoming, outgoing) => {
      const denial = formFault(incoming);
      if (denial !== undefined) refuse(outgoing, denial);
      else this.#viaApp(incoming, outgoing).catch(() => outgoing.destroy());
    });
    const expectation = (_: IncomingMessage, outgoing: ServerResponse): void =>
      refuse(outgoing, deny("expectation_failed"));
    server.on("checkContinue", expectation);
    server.on("checkExpectation", expectation);
    server.on("connect", (_, socket: Duplex) => refuseSocket(socket, deny("method_not_allowed")));
    server.on("clientError", (error, socket) => refuseSocket(socket, parserDenial(error)));
    server.on("connection", (socket) => socket.on("error", () => {}));
    this.#server = server;
  }

  /** Whether it listens where `listen` says, so that it can serve another configuration without being opened anew. */
  isAt(listen: ListenAddress): boolean {
    const { host, port } = this.#options.listen;
    return host === listen.host && port === listen.port;
  }

  /** Serves by other options from now on; the address stays what it was. */
  serve(options: AdminServerOptions): void {
    this.#options = options;
    this.#viaApp = listenerOf(options);
  }

  /** Starts listening; resolves with the address. @throws GatewayFailure `listen_failed` */
  async listen(): Promise<AddressInfo> {
    const { host, port } = this.#options.listen;
    const failure = (why: string): GatewayFailure =>
      new GatewayFailure("listen_failed", `can't listen on ${host}:${port} (admin): ${why}`);
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(failure(error.code ?? "unknown error"));
      this.#server.once("error", onError);
      this.#server.listen(port, host, () => {
        this.#server.off("error", onError);
        this.#server.on("error", (error: NodeJS.ErrnoException) =>
          this.#options.listenerError(error.code ?? "unknown"),
        );
        resolve();
      });
    });
    const address = this.#server.address() as AddressInfo;
    // `localhost` is a name, and names can be made to mean anything.
    if (this.#options.token === undefined && !isLoopback(address.address)) {
      await this.close();
      throw failure("without a token only loopback is allowed");
    }
    return address;
  }

  /** Takes no new connections, lets answers under way finish for a second, and ends the rest. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_WITHIN_MS);
    await closed;
    clearTimeout(timer);
  }
}

type RequestListener = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;

function listenerOf(options: AdminServerOptions): RequestListener {
  return getRequestListener(createAdminApp(options).fetch, {
    overrideGlobalObjects: false,
    autoCleanupIncoming: false,
    // A Host or a target that no URL can be made of.
    errorHandler: () => problemResponse(deny("request_invalid")),
  });
}

/** What keeps a request from being looked at any further. */
function formFault(incoming: IncomingMessage): Denial | undefined {
  const { url = "", headers, rawHeaders } = incoming;
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.toLowerCase() === "host") hosts += 1;
  // Another form of target names an authority of its own, so that Host would not be what is checked.
  if (hosts !== 1 || !url.startsWith("/")) return deny("request_invalid");
  const length = headers["content-length"] ?? "0";
  const hasBody = headers["transfer-encoding"] !== undefined || Number(length) !== 0;
  if (takesBody(incoming))
    return Number(length) > MOST_QUESTION_BYTES
      ? deny("body_too_large", undefined, { detail: QUESTION_TOO_LARGE })
      : undefined;
  return hasBody
    ? deny("body_too_large", undefined, { detail: "No request to this path has a body" })
    : undefined;
}

function parserDenial(error: NodeJS.ErrnoException): Denial | undefined {
  switch (error.code) {
    case "ECONNRESET":
    case "EPIPE":
      return undefined;
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return deny("request_timeout");
    case "HPE_HEADER_OVERFLOW":
      return deny("headers_too_large");
    default:
      return deny("request_invalid");
  }
}

/** Answers, and takes nothing more from the connection. */
function refuse(outgoing: ServerResponse, denial: Denial): void {
  const { status, headers, body } = problem(denial);
  outgoing.shouldKeepAlive = false;
  outgoing.writeHead(status, headers);
  outgoing.end(body);
}

/** Refuses what never became a request. */
function refuseSocket(socket: Duplex, denial: Denial | undefined): void {
  socket.on("error", () => {});
  // An answer that is under way can't be followed by another.
  if (denial === undefined || !socket.writable || ("_httpMessage" in socket && socket._httpMessage)) {
    socket.destroy();
    return;
  }
  const { status, headers, body } = problem(denial);
  const fields = Object.entries({ ...headers, Connection: "close" });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${head}\r\n${body}`, () =>
    socket.destroy(),
  );
  // A peer that keeps its side open would hold the socket for ever.
  setTimeout(() => socket.destroy(), CLOSE_WITHIN_MS).unref();
}
