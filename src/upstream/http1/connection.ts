// One connection to an upstream: carries one request and its answer at a time, and tells its owner when it is free again.
// Anything doubtful ends it.

import { connect, isIP, type OnReadOpts, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { connect as connectTls, type SecureContext } from "node:tls";
import type { Listed } from "../../core/live-list.ts";
import { type RequestLine, requestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";
import { ResponseParser } from "./response-parser.ts";

/** One request as it goes on the wire. */
export interface UpstreamRequest extends RequestLine {
  /** Must not fail before it is read: nobody listens while the request waits. */
  readonly body: Readable | null;
  /** Bytes of the body; undefined when unknown. */
  readonly bodyLength: number | undefined;
}

/** What the receiver of an answer may ask of its connection. */
export interface FlowControl {
  /** Gives the exchange up, and the connection with it. Nothing is reported any more. */
  abort(): void;
  /** Stops reading; what was read already still comes. */
  pause(): void;
  resume(): void;
}

/** The receiver of one answer. */
export interface AnswerSink {
  /** Nobody waits for the answer any more. */
  readonly over: boolean;
  /** The request is about to be written. */
  onStart(control: FlowControl): void;
  /** An interim (1xx) or the final head. */
  onHead(head: ResponseHead): void;
  /** Part of the body. @returns whether the memory stays in use after this call */
  onData(piece: Buffer): boolean;
  onEnd(): void;
  /**
   * The exchange failed; nothing follows.
   * @param unanswered the connection had served before and ended without a byte of an answer: the upstream most likely
   * closed it while it was idle, and never saw the request
   */
  onError(error: unknown, unanswered: boolean): void;
}

export interface Origin {
  readonly tls: boolean;
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What a connection tells its pool. */
export interface ConnectionOwner {
  onConnected(connection: Connection): void;
  /**
   * The answer is complete, and the connection may carry another request.
   * @param keepAliveSeconds how long the upstream promised to keep it idle
   */
  onFree(connection: Connection, keepAliveSeconds: number | undefined): void;
  /** @param error why, when it ended by itself */
  onClosed(connection: Connection, error: Error | undefined): void;
  /** A TLS session to resume the next time. */
  onSession(session: Buffer): void;
}

export interface ConnectionOptions {
  readonly origin: Origin;
  readonly connectTimeoutMs: number;
  /** Shared by the connections to one upstream; for TLS only. */
  readonly secureContext: SecureContext | undefined;
  readonly session: Buffer | undefined;
}

class ConnectTimeout extends Error {
  readonly code = "CONNECT_TIMEOUT";
}

/** The upstream ended the connection before it had answered. */
export class ConnectionLost extends Error {
  readonly code = "CONNECTION_LOST";
}

/** The request's body is not what its head announced: the upstream would take one for a part of the other. */
class BodyMismatch extends Error {
  readonly code = "BODY_MISMATCH";
}

// Answers are read into a small buffer of the connection, again and again. Memory that a reader keeps is replaced, by
// more at a time as a body turns out to be long.
const READ_BYTES = 16 * 1024;
const LONG_READ_BYTES = 256 * 1024;
const LARGEST_IDLE_BYTES = 64 * 1024;
const TCP_KEEP_ALIVE_MS = 60_000;

export class Connection implements FlowControl, Listed {
  slot = -1;
  /** How often it may still be found idle. */
  looksLeft = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #parser: ResponseParser;
  #buffer: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #sink: AnswerSink | undefined;
  #body: Readable | undefined;
  #connected = false;
  #served = false;
  /** Bytes of an answer came since the request was written. */
  #answering = false;
  #kept = false;
  #paused = false;
  #ended = false;
  #error: Error | undefined;

  constructor(owner: ConnectionOwner, options: ConnectionOptions) {
    this.#owner = owner;
    this.#parser = new ResponseParser({
      onHead: (head) => this.#sink?.onHead(head),
      onBody: (piece) => this.#onBody(piece),
      onComplete: (head, persistent) => this.#onComplete(head, persistent),
    });
    this.#socket = this.#open(options);
  }

  /** It can carry a request now. */
  get usable(): boolean {
    // A reset destroys the socket some events before the connection hears of its end.
    return this.#connected && !this.#ended && !this.#socket.destroyed && this.#sink === undefined;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Writes the request; its answer, or its failure, reaches `sink`. */
  send(request: UpstreamRequest, sink: AnswerSink): void {
    this.#sink = sink;
    this.#answering = false;
    this.#kept = false;
    const { body, bodyLength } = request;
    try {
      sink.onStart(this);
      // The receiver may have given up at once.
      if (this.#sink !== sink) return;
      if (body?.destroyed) throw body.errored ?? new BodyMismatch("the request's body was given up");
      const head = requestHead(request, body === null ? "none" : (bodyLength ?? "chunks"));
      this.#parser.expect(request.method);
      this.#socket.write(head, "latin1");
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (body !== null) this.#sendBody(body, bodyLength);
  }

  abort(): void {
    this.#release();
    this.close();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  /** Ends the connection at once. */
  close(): void {
    this.#ended = true;
    this.#parser.stop();
    this.#socket.destroy();
  }

  #open({ origin, connectTimeoutMs, secureContext, session }: ConnectionOptions): Socket {
    const onread: OnReadOpts = {
      buffer: () => this.#buffer,
      callback: (length) => this.#onRead(length),
    };
    const tcp = {
      host: origin.host,
      port: origin.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      onread,
    };
    const socket = origin.tls
      ? connectTls({
          ...tcp,
          // The certificate has to name the configured host, whatever Host field the request carries.
          servername: isIP(origin.host) === 0 ? origin.host : "",
          ALPNProtocols: ["http/1.1"],
          // Not to be switched off by an environment variable.
          rejectUnauthorized: true,
          secureContext,
          session,
        })
      : connect(tcp);
    const timer = setTimeout(
      () => socket.destroy(new ConnectTimeout("the upstream did not accept the connection in time")),
      connectTimeoutMs,
    );
    socket.once(origin.tls ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      // Not every release of Node.js takes the option for TLS.
      socket.setNoDelay(true);
      this.#connected = true;
      this.#owner.onConnected(this);
    });
    socket.on("session", (ticket: Buffer) => this.#owner.onSession(ticket));
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.on("end", () => this.#onEnd());
    socket.on("drain", () => this.#body?.resume());
    socket.on("close", () => {
      clearTimeout(timer);
      this.#onClose();
    });
    return socket;
  }

  #onRead(length: number): boolean {
    if (this.#ended) return false;
    const buffer = this.#buffer;
    this.#answering = true;
    try {
      this.#parser.read(buffer, length);
    } catch (error) {
      this.#fail(error);
      return false;
    }
    if (this.#kept) {
      this.#kept = false;
      this.#buffer = rest(buffer, length, this.#sink === undefined ? LARGEST_IDLE_BYTES : LONG_READ_BYTES);
    }
    return true;
  }

  #onBody(piece: Buffer): void {
    if (this.#sink?.onData(piece) === true) this.#kept = true;
  }

  #onComplete(head: ResponseHead, persistent: boolean): void {
    const sink = this.#sink;
    // An answer that ends before its request leaves the upstream in the middle of a body.
    const reusable = persistent && this.#body === undefined && !this.#ended;
    this.#release();
    this.#served = true;
    sink?.onEnd();
    if (!reusable) this.close();
    else if (!this.#ended) {
      if (this.#paused) this.resume();
      if (this.#buffer.buffer.byteLength > LARGEST_IDLE_BYTES)
        this.#buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      this.#owner.onFree(this, head.keepAliveSeconds);
    }
  }

  /** The upstream sends nothing more. */
  #onEnd(): void {
    if (this.#ended) return;
    try {
      this.#parser.end();
    } catch (error) {
      this.#fail(error);
    }
    if (this.#sink !== undefined)
      this.#fail(new ConnectionLost("the connection ended in the middle of an answer"), true);
    this.close();
  }

  #onClose(): void {
    this.#ended = true;
    this.#parser.stop();
    try {
      if (this.#sink !== undefined)
        this.#fail(this.#error ?? new ConnectionLost("the connection was closed"), true);
    } finally {
      this.#owner.onClosed(this, this.#error);
    }
  }

  /**
   * Reports a failure of the exchange and gives the connection up.
   * @param lost the connection ended; else it is given up for what was read or was to be sent
   */
  #fail(error: unknown, lost = false): void {
    const sink = this.#sink;
    const unanswered = lost && this.#served && !this.#answering;
    this.#release();
    this.close();
    sink?.onError(error, unanswered);
  }

  /** The exchange is over for this connection; a body that is still being sent is given up. */
  #release(): void {
    this.#sink = undefined;
    const body = this.#body;
    this.#body = undefined;
    body?.destroy();
  }

  #sendBody(body: Readable, length: number | undefined): void {
    const socket = this.#socket;
    const chunked = length === undefined;
    let left = length ?? 0;
    this.#body = body;
    body.on("data", (piece: Buffer) => {
      // An empty chunk would be the last one.
      if (this.#body !== body || piece.length === 0) return;
      left -= piece.length;
      if (!chunked && left < 0) {
        this.#fail(new BodyMismatch("the request's body is longer than announced"));
        return;
      }
      if (chunked) {
        socket.cork();
        socket.write(`${piece.length.toString(16)}\r\n`, "latin1");
        socket.write(piece);
        socket.write("\r\n", "latin1");
        socket.uncork();
      } else socket.write(piece);
      if (socket.writableNeedDrain) body.pause();
    });
    body.once("end", () => {
      if (this.#body !== body) return;
      if (!chunked && left > 0) {
        this.#fail(new BodyMismatch("the request's body is shorter than announced"));
        return;
      }
      this.#body = undefined;
      if (chunked) socket.write("0\r\n\r\n", "latin1");
    });
    body.once("error", (error) => {
      if (this.#body === body) this.#fail(error);
    });
    body.once("close", () => {
      if (this.#body === body) this.#fail(new BodyMismatch("the request's body was given up"));
    });
  }
}

/** Where the next bytes go after the first `used` ones stay in use; no more than `most` bytes of memory. */
function rest(buffer: Buffer, used: number, most: number): Buffer {
  const { byteLength } = buffer.buffer;
  if (byteLength <= most && buffer.length - used >= READ_BYTES) return buffer.subarray(used);
  return Buffer.allocUnsafeSlow(Math.min(byteLength * 4, most));
}
