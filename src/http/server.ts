// The listeners of the traffic port: Node's server with every bound set, its events, and its end.

import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { Hono } from "hono";
import { type Denial, deny } from "../core/denial.ts";
import { GatewayFailure } from "../core/failure.ts";
import { LiveList } from "../core/live-list.ts";
import { isAuthority } from "../pipeline/arrival.ts";
import { FORWARDED_METHODS } from "../pipeline/decide.ts";
import { renderRefusal } from "../pipeline/refusal.ts";
import { type Connection, connectionOf, hold, isIdle, release } from "./connection.ts";
import type { EdgeState } from "./edge-state.ts";
import { denialOfParserError, writeToSocket } from "./parser-error.ts";
import { Run } from "./run.ts";
import { handleUpgrade, isWebSocketHandshake } from "./upgrade.ts";

/** Bounds of one listener; the `limits` section. */
export interface ServerBounds {
  readonly headersBytes: number;
  readonly urlBytes: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly connections: number;
}

/** What a listener serves beside forwarded requests, and within which bounds. */
export interface EdgeSite {
  readonly app: Hono<{ Bindings: HttpBindings }>;
  /** Paths that the application answers itself; everything else is decided on without passing through it. */
  readonly ownPaths: ReadonlySet<string>;
  readonly bounds: ServerBounds;
}

type RequestListener = (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;

const CHECK_EVERY_MS = 1_000;
const CLOSE_IDLE_EVERY_MS = 100;

export class EdgeServer {
  readonly #server: Server;
  readonly #connections = new LiveList<Connection>();
  readonly #state: EdgeState;
  #bounds: ServerBounds;
  #ownPaths: ReadonlySet<string>;
  #viaApp: RequestListener;
  #retired = false;

  constructor(state: EdgeState, site: EdgeSite) {
    this.#state = state;
    this.#bounds = site.bounds;
    this.#ownPaths = site.ownPaths;
    this.#viaApp = listenerOf(site);
    this.#server = createServer({
      // Idle connections are ended by `#endIdle`: Node would set and clear a timer for every request.
      keepAliveTimeout: 0,
      connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, site.bounds.headerTimeoutMs),
      requireHostHeader: false,
      insecureHTTPParser: false,
      noDelay: true,
      optimizeEmptyRequests: true,
      shouldUpgradeCallback: isWebSocketHandshake,
    });
    this.#server.maxHeadersCount = 0;
    this.#setBounds(site.bounds);
    this.#server.on("request", (incoming, outgoing) => {
      if (!isOwn(incoming, this.#ownPaths)) {
        this.#run(incoming, outgoing, false);
        return;
      }
      hold(incoming.socket);
      outgoing.on("close", () => release(incoming.socket));
      if (state.draining || this.#retired) outgoing.shouldKeepAlive = false;
      void this.#viaApp(incoming, outgoing);
    });
    this.#server.on("checkContinue", (incoming, outgoing) => this.#run(incoming, outgoing, true));
    this.#server.on("checkExpectation", (incoming, outgoing) => this.#refuseExpectation(incoming, outgoing));
    this.#server.on("upgrade", (incoming, socket, head) => void handleUpgrade(state, incoming, socket, head));
    this.#server.on("connect", (incoming: IncomingMessage, socket: Duplex) =>
      this.#refuseConnect(incoming, socket),
    );
    this.#server.on("clientError", (error, socket) => this.#onClientError(error, socket));
    this.#server.on("connection", (socket) => this.#onConnection(socket));
  }

  /** Serves another site from now on. What is under way goes on; the bound on header sections holds for new connections. */
  serve(site: EdgeSite): void {
    this.#ownPaths = site.ownPaths;
    this.#viaApp = listenerOf(site);
    this.#setBounds(site.bounds);
  }

  /** Node reads these anew: the timeouts at every check, the rest for every connection. */
  #setBounds(bounds: ServerBounds): void {
    this.#bounds = bounds;
    Object.assign(this.#server, { maxHeaderSize: bounds.headersBytes + bounds.urlBytes });
    this.#server.headersTimeout = Math.min(bounds.headerTimeoutMs, bounds.requestTimeoutMs);
    this.#server.requestTimeout = bounds.requestTimeoutMs;
    this.#server.maxConnections = bounds.connections;
  }

  /** Ends connections on which nothing happened for the idle timeout, and at most one check longer. */
  #endIdle(checkEveryMs: number): void {
    const mostChecks = Math.ceil(this.#bounds.idleTimeoutMs / checkEveryMs);
    for (const connection of this.#connections.snapshot()) {
      if (!isIdle(connection)) continue;
      connection.idleChecks += 1;
      if (connection.idleChecks > mostChecks) connection.socket.destroy();
    }
  }

  /** Where it listens; only while it does. */
  get address(): AddressInfo {
    return this.#server.address() as AddressInfo;
  }

  /** Starts listening; resolves with the address. @throws GatewayFailure `listen_failed` */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void =>
        reject(
          new GatewayFailure(
            "listen_failed",
            `can't listen on ${host}:${port}: ${error.code ?? "unknown error"}`,
          ),
        );
      this.#server.once("error", onError);
      this.#server.listen(port, host, () => {
        this.#server.off("error", onError);
        // Errors of a running listener (EMFILE while accepting) pass; those of its connections are handled there.
        this.#server.on("error", (error: NodeJS.ErrnoException) =>
          this.#state.log.system("error", "listener_error", { code: error.code ?? "unknown" }),
        );
        resolve();
      });
    });
    const checkEveryMs = Math.min(CHECK_EVERY_MS, this.#bounds.idleTimeoutMs);
    const checks = setInterval(() => this.#endIdle(checkEveryMs), checkEveryMs).unref();
    this.#server.once("close", () => clearInterval(checks));
    return this.address;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Takes no new connections and ends idle ones; resolves once every connection has ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // Not the HTTP server's own close: that also ends connections whose last answer is still on its way out.
      NetServer.prototype.close.call(this.#server, () => resolve());
      this.closeIdle();
    });
  }

  /**
   * Takes no new connections and lets those that there are end by themselves, each with the answer that is under way or
   * the next one. Resolves once all have.
   */
  async retire(): Promise<void> {
    this.#retired = true;
    const idle = setInterval(() => this.closeIdle(), CLOSE_IDLE_EVERY_MS).unref();
    await this.close();
    clearInterval(idle);
  }

  closeIdle(): void {
    for (const connection of this.#connections.snapshot()) {
      if (isIdle(connection)) connection.socket.destroy();
    }
  }

  /** Resets every connection that is still open, tunnels included. */
  destroyAll(): void {
    for (const { socket } of this.#connections.snapshot()) socket.destroy();
  }

  #run(incoming: IncomingMessage, outgoing: ServerResponse, expectsContinue: boolean): void {
    if (this.#retired) outgoing.shouldKeepAlive = false;
    new Run(this.#state, incoming, outgoing, expectsContinue).start();
  }

  #refuseExpectation(incoming: IncomingMessage, outgoing: ServerResponse): void {
    new Run(this.#state, incoming, outgoing, false).refuseWith(deny("expectation_failed"));
  }

  #refuseConnect(incoming: IncomingMessage, socket: Duplex): void {
    this.#refuseSocket(
      socket,
      deny("method_not_allowed", "connect", { allow: FORWARDED_METHODS }),
      incoming.method ?? "",
    );
  }

  #onConnection(socket: Socket): void {
    const connection = connectionOf(socket);
    this.#connections.add(connection);
    socket.on("error", () => {});
    socket.on("close", () => this.#connections.remove(connection));
  }

  #onClientError(error: Error, socket: Duplex): void {
    const denial = denialOfParserError(error, this.#bounds.urlBytes);
    if (denial === undefined || !socket.writable || !canBeAnswered(socket)) {
      socket.destroy();
      return;
    }
    this.#refuseSocket(socket, denial, "");
  }

  /** Refuses what never became a request. */
  #refuseSocket(socket: Duplex, denial: Denial, method: string): void {
    const id = this.#state.newRequestId();
    const answer = renderRefusal(denial, {
      protocol: "http",
      requestId: id,
      contentType: undefined,
      fields: [],
    });
    writeToSocket(socket, answer);
    const { peerAddress } = connectionOf(socket as Socket);
    const arrival = { ...NOTHING_READ, id, method, peerAddress };
    const served = { arrival, startedMs: undefined, decision: undefined };
    this.#state.ended(this.#state.plan, served, {
      status: answer.status,
      code: denial.code,
      ended: denial.reason,
    });
  }
}

function listenerOf({ app }: EdgeSite): RequestListener {
  return getRequestListener(app.fetch, { overrideGlobalObjects: false, autoCleanupIncoming: false });
}

const NOTHING_READ = {
  rawTarget: "",
  rawFields: [],
  httpVersion: "",
  scheme: "http",
  upgrade: false,
} as const;

/**
 * Whether an error on this connection can still be told: nothing is being answered, or the request that failed is the
 * one being answered and no byte of its answer has left. Otherwise a reset is the only honest end.
 */
function canBeAnswered(socket: Duplex): boolean {
  const answer = "_httpMessage" in socket ? socket._httpMessage : undefined;
  if (!(answer instanceof ServerResponse)) return true;
  return !answer.headersSent && !answer.req.complete;
}

/** Whether the target names one of the gateway's own paths, letter by letter, and the Host is one that Hono can read; any other is judged, and refused, by the decision. */
function isOwn({ url = "", headers }: IncomingMessage, ownPaths: ReadonlySet<string>): boolean {
  const query = url.indexOf("?");
  return ownPaths.has(query === -1 ? url : url.slice(0, query)) && isAuthority(headers.host ?? "");
}
