// The connections to one upstream: which one carries a request, when another is opened, when an idle one is given up.
//
// Requests are written once every event of this turn of the loop is handled, and a connection whose answer ended in this
// turn waits for the next one. So whatever an upstream sent without being asked is read before the connection is used
// again, and costs it the connection; it is never taken for the answer to somebody else's request.

import { createSecureContext, type SecureContext } from "node:tls";
import { LiveList } from "../core/live-list.ts";
import {
  type AnswerSink,
  Connection,
  ConnectionLost,
  type ConnectionOwner,
  type Origin,
  type UpstreamRequest,
} from "./http1/connection.ts";
import type { UpstreamPolicy } from "./policy.ts";

// Idle connections are given up before most servers do (Node.js: 5 s); what the upstream promises goes first, up to a
// bound and with a margin for the way.
const IDLE_MS = 4_000;
const LONGEST_IDLE_MS = 300_000;
const IDLE_MARGIN_MS = 1_000;
const LOOK_EVERY_MS = 500;
// Waiting requests are looked through for abandoned ones when they are so many, and again when they have doubled.
const MANY_WAITING = 64;

interface Waiting {
  readonly request: UpstreamRequest;
  readonly sink: AnswerSink;
}

/** The gateway is closing its connections. */
class TransportClosed extends Error {
  readonly code = "TRANSPORT_CLOSED";
}

export class HttpTransport implements ConnectionOwner {
  readonly #origin: Origin;
  readonly #connectTimeoutMs: number;
  readonly #secureContext: SecureContext | undefined;
  readonly #most: number;
  readonly #all = new LiveList<Connection>();
  #connecting = 0;
  /** Connections that can carry a request, the one used last at the end; some may have ended meanwhile. */
  #idle: Connection[] = [];
  /** Connections whose answer ended in this turn of the loop. */
  readonly #freed: Connection[] = [];
  /** Requests without a connection, in the order of arrival; some may be abandoned. */
  #waiting: Waiting[] = [];
  #sortOutAt = MANY_WAITING;
  #assigning = false;
  #closed = false;
  /** Nothing is kept for later: a connection ends with the exchange that it carries. */
  #retired = false;
  #session: Buffer | undefined;
  #looks: NodeJS.Timeout | undefined;

  /** @param connections most connections open to the upstream at one time */
  constructor(policy: UpstreamPolicy, connections: number) {
    this.#origin = originOf(policy.origin);
    this.#secureContext = this.#origin.tls ? createSecureContext() : undefined;
    this.#connectTimeoutMs = policy.timeouts.connectMs;
    this.#most = connections;
  }

  /** Sends the request; everything that follows reaches `sink`. Never throws. */
  send(request: UpstreamRequest, sink: AnswerSink): void {
    if (this.#closed) {
      sink.onError(new TransportClosed("the gateway is closing its connections"), false);
      return;
    }
    if (this.#waiting.length >= this.#sortOutAt) {
      this.#waiting = this.#waiting.filter((one) => !one.sink.over);
      this.#sortOutAt = Math.max(MANY_WAITING, this.#waiting.length * 2);
    }
    this.#waiting.push({ request, sink });
    this.#assignSoon();
  }

  /** Closes every connection; exchanges under way end with an error. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#looks);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of this.#all.snapshot()) connection.close();
    for (const { sink } of waiting) {
      if (!sink.over) sink.onError(new TransportClosed("the gateway is closing its connections"), false);
    }
  }

  /** Closes what is idle, and from now on every connection that becomes so; requests that still come are carried. */
  retire(): void {
    this.#retired = true;
    const idle = this.#idle;
    this.#idle = [];
    for (const connection of idle) connection.close();
  }

  onConnected(connection: Connection): void {
    this.#connecting -= 1;
    const next = this.#nextWaiting();
    if (next === undefined && this.#retired) connection.close();
    else if (next === undefined) {
      connection.looksLeft = Math.ceil(IDLE_MS / LOOK_EVERY_MS);
      this.#idle.push(connection);
    } else connection.send(next.request, next.sink);
  }

  onFree(connection: Connection, keepAliveSeconds: number | undefined): void {
    const idleMs =
      keepAliveSeconds === undefined
        ? IDLE_MS
        : Math.min(keepAliveSeconds * 1_000 - IDLE_MARGIN_MS, LONGEST_IDLE_MS);
    if (idleMs <= 0 || this.#retired) {
      connection.close();
      return;
    }
    connection.looksLeft = Math.ceil(idleMs / LOOK_EVERY_MS);
    this.#freed.push(connection);
    this.#assignSoon();
  }

  onClosed(connection: Connection, error: Error | undefined): void {
    this.#all.remove(connection);
    if (this.#all.size === 0) {
      clearInterval(this.#looks);
      this.#looks = undefined;
    }
    // An attempt that failed fails one request, so that no request waits for attempts without end. A connection that
    // stood had the chance to carry one: its end is nothing to those who wait now.
    if (!connection.connected) {
      this.#connecting -= 1;
      const next = this.#nextWaiting();
      next?.sink.onError(error ?? new ConnectionLost("the connection was closed at once"), false);
    }
    if (this.#waiting.length > 0) this.#assignSoon();
  }

  onSession(session: Buffer): void {
    this.#session = session;
  }

  #assignSoon(): void {
    if (this.#assigning) return;
    this.#assigning = true;
    setImmediate(() => {
      this.#assigning = false;
      this.#assign();
    });
  }

  #assign(): void {
    let next = this.#nextWaiting();
    while (next !== undefined) {
      const connection = this.#nextIdle();
      if (connection === undefined) {
        this.#waiting.unshift(next);
        break;
      }
      connection.send(next.request, next.sink);
      next = this.#nextWaiting();
    }
    for (const connection of this.#freed) this.#idle.push(connection);
    this.#freed.length = 0;
    const wanting = this.#waiting.length;
    if (wanting === 0) return;
    if (this.#idle.length > 0) this.#assignSoon();
    const room = this.#most - this.#all.size;
    const more = Math.min(room, wanting - this.#idle.length - this.#connecting);
    for (let count = 0; count < more; count++) this.#connect();
  }

  #nextWaiting(): Waiting | undefined {
    let next = this.#waiting.shift();
    while (next?.sink.over) next = this.#waiting.shift();
    return next;
  }

  #nextIdle(): Connection | undefined {
    let next = this.#idle.pop();
    while (next !== undefined && !next.usable) next = this.#idle.pop();
    return next;
  }

  #connect(): void {
    this.#connecting += 1;
    this.#looks ??= setInterval(() => this.#look(), LOOK_EVERY_MS).unref();
    this.#all.add(
      new Connection(this, {
        origin: this.#origin,
        connectTimeoutMs: this.#connectTimeoutMs,
        secureContext: this.#secureContext,
        session: this.#session,
      }),
    );
  }

  #look(): void {
    this.#idle = this.#idle.filter((connection) => {
      if (!connection.usable) return false;
      connection.looksLeft -= 1;
      if (connection.looksLeft >= 0) return true;
      connection.close();
      return false;
    });
  }
}

function originOf(origin: string): Origin {
  const { protocol, hostname, port } = new URL(origin);
  const tls = protocol === "https:";
  return {
    tls,
    host: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
    port: port === "" ? (tls ? 443 : 80) : Number(port),
  };
}
