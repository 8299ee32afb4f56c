// WebSocket tunnels to upstreams. The only file that knows http-proxy-middleware: all of its plugins are ejected, its
// path filter sees nothing but canonical paths, and the header section it sends is the one built here.

import { createHash } from "node:crypto";
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Plugin, RequestHandler } from "http-proxy-middleware";
import { failureOf, type UpstreamFailure } from "./failure-map.ts";
import type { UpstreamPolicy } from "./policy.ts";
import { Tunnel } from "./tunnel.ts";

export interface UpgradeRequest {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  /** What the client sent behind its handshake; reaches the upstream after its 101. */
  readonly head: Buffer;
  /** Path and query. */
  readonly path: string;
  /** Flat header list, complete but for the handshake's Connection and Upgrade. */
  readonly fields: readonly string[];
}

export interface UpgradeEvents {
  /** The upstream answered; the client is sent these headers as they are when this has returned. */
  readonly onHead: (headers: IncomingHttpHeaders) => void;
  readonly onOpen: (tunnel: Tunnel) => void;
  /** The upstream answered without switching protocols; the answer was relayed and both sides end. */
  readonly onAnswer: (status: number) => void;
  /** Nothing was sent to the client. */
  readonly onFailure: (failure: UpstreamFailure) => void;
}

interface Pending {
  readonly request: UpgradeRequest;
  readonly events: UpgradeEvents;
  settled: boolean;
}

// RFC 6455 section 1.3.
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const AFTER_ANSWER_MS = 1_000;

export class UpgradeTransport {
  readonly #origin: string;
  readonly #headersMs: number;
  readonly #pending = new WeakMap<object, Pending>();
  #proxy: Promise<RequestHandler> | undefined;

  /** @param headersMs milliseconds for the upstream to answer the handshake */
  constructor(policy: UpstreamPolicy, headersMs: number) {
    this.#origin = policy.origin;
    this.#headersMs = headersMs;
  }

  /** Loaded by the first handshake: most gateways never see one, and all of them start faster. */
  async #load(): Promise<RequestHandler> {
    const { createProxyMiddleware } = await import("http-proxy-middleware");
    const hook: Plugin = (server) => {
      server.on("error", (error: unknown, request: unknown) => this.#onError(error, request));
      server.on("proxyReqWs", (proxyRequest: ClientRequest, request: IncomingMessage) =>
        this.#follow(proxyRequest, request),
      );
    };
    return createProxyMiddleware({
      target: this.#origin,
      ejectPlugins: true,
      plugins: [hook],
      upgradeTimeout: this.#headersMs,
    });
  }

  /** Starts the handshake with the upstream. One of the events follows, unless the client is gone. */
  async open(request: UpgradeRequest, events: UpgradeEvents): Promise<void> {
    const { incoming, socket, fields } = request;
    this.#pending.set(incoming, { request, events, settled: false });
    incoming.url = request.path;
    incoming.headers = { ...headerObject(fields), connection: "Upgrade", upgrade: "websocket" };
    socket.on("error", () => {});
    this.#proxy ??= this.#load();
    const proxy = await this.#proxy;
    if (!socket.destroyed) proxy.upgrade(incoming, socket as never, request.head);
  }

  #follow(proxyRequest: ClientRequest, request: IncomingMessage): void {
    const pending = this.#pending.get(request);
    if (pending === undefined) return;
    const { socket } = pending.request;
    socket.once("close", () => proxyRequest.destroy());
    proxyRequest.on("upgrade", (answer: IncomingMessage, upstreamSocket: Duplex) => {
      upstreamSocket.on("error", () => {});
      if (pending.settled || !acceptable(answer, request)) {
        upstreamSocket.destroy();
        this.#fail(pending, { code: "upstream_invalid", reason: "handshake_invalid", unanswered: false });
        return;
      }
      pending.settled = true;
      pending.events.onHead(answer.headers);
      pending.events.onOpen(new Tunnel(socket, upstreamSocket));
    });
    proxyRequest.on("response", (answer: IncomingMessage) => {
      if (pending.settled) return;
      pending.settled = true;
      pending.events.onHead(answer.headers);
      pending.events.onAnswer(answer.statusCode ?? 502);
      // Without a tunnel the client has nothing more to say on this socket: what it sends is never read.
      answer.once("close", () => {
        socket.end();
        setTimeout(() => socket.destroy(), AFTER_ANSWER_MS).unref();
      });
    });
  }

  #onError(error: unknown, request: unknown): void {
    const pending = typeof request === "object" && request !== null ? this.#pending.get(request) : undefined;
    if (pending === undefined) return;
    const timedOut =
      typeof error === "object" && error !== null && "statusCode" in error && error.statusCode === 504;
    this.#fail(
      pending,
      timedOut
        ? { code: "upstream_timeout", reason: "headers_timeout", unanswered: false }
        : failureOf(error),
    );
  }

  #fail(pending: Pending, failure: UpstreamFailure): void {
    if (pending.settled) return;
    pending.settled = true;
    pending.events.onFailure(failure);
  }
}

/** RFC 6455 section 4.1: the answer proves that the upstream read this very handshake. */
function acceptable(answer: IncomingMessage, request: IncomingMessage): boolean {
  const key = request.headers["sec-websocket-key"];
  if (typeof key !== "string") return false;
  const expected = createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
  return (
    answer.statusCode === 101 &&
    answer.headers.upgrade?.toLowerCase() === "websocket" &&
    answer.headers["sec-websocket-accept"] === expected
  );
}

function headerObject(fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] as string).toLowerCase();
    const value = fields[index + 1] as string;
    const known = headers[name];
    headers[name] = known === undefined ? value : Array.isArray(known) ? [...known, value] : [known, value];
  }
  return headers;
}
