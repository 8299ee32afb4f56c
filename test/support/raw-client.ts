// A client that sends exact bytes over TCP and reports exactly what came back, framing and connection end included.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { allValues, firstValue, type Line, readResponse, statusOf } from "./http-bytes.ts";

/** One response as it was on the wire. */
export class RawResponse {
  readonly status: number;
  readonly start: string;
  readonly headers: readonly Line[];
  readonly body: Buffer;
  readonly trailers: readonly Line[];
  /** The framing says that the body ended, rather than the connection. */
  readonly complete: boolean;
  readonly framing: "none" | "length" | "chunked" | "close";

  constructor(message: {
    start: string;
    headers: readonly Line[];
    body: Buffer;
    trailers: readonly Line[];
    complete: boolean;
    framing: "none" | "length" | "chunked" | "close";
  }) {
    this.status = statusOf(message.start);
    this.start = message.start;
    this.headers = message.headers;
    this.body = message.body;
    this.trailers = message.trailers;
    this.complete = message.complete;
    this.framing = message.framing;
  }

  /** First value of the field, or undefined. */
  header(name: string): string | undefined {
    return firstValue(this.headers, name);
  }

  /** Every value of the field. */
  all(name: string): string[] {
    return allValues(this.headers, name);
  }

  /** Body as UTF-8. */
  get text(): string {
    return this.body.toString("utf8");
  }

  /** Body as JSON; an empty object when it isn't JSON. */
  get json(): Readonly<Record<string, unknown>> {
    try {
      return JSON.parse(this.text) as Record<string, unknown>;
    } catch {
      return {};
    }
  }
}

/** How a connection stands: still open, ended by the peer with FIN, or reset. */
export type ConnectionEnd = "open" | "fin" | "reset";

/** What is sent: bytes (a string is Latin-1) or a list of them with pauses in milliseconds between. */
export type Bytes = string | Buffer | readonly (string | Buffer | number)[];

/** Latin-1 text as bytes. */
export function latin1(text: string | Buffer): Buffer {
  return typeof text === "string" ? Buffer.from(text, "latin1") : text;
}

/** One TCP connection under full control of the test. */
export class RawConnection {
  readonly socket: Socket;
  readonly opened: Promise<void>;
  #chunks: Buffer[] = [];
  #end: ConnectionEnd = "open";
  #waiters: (() => void)[] = [];

  constructor(port: number, host = "127.0.0.1", localAddress?: string) {
    this.socket = connect(localAddress === undefined ? { port, host } : { port, host, localAddress });
    this.socket.setNoDelay(true);
    // A peer may accept and reset at once; that is an end like any other, a refused connection isn't.
    this.opened = once(this.socket, "connect").then(
      () => undefined,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== "ECONNRESET") throw error;
      },
    );
    this.opened.catch(() => undefined);
    this.socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#wake();
    });
    this.socket.on("error", () => {
      this.#end = "reset";
      this.#wake();
    });
    this.socket.on("end", () => {
      if (this.#end === "open") this.#end = "fin";
      this.#wake();
    });
    this.socket.on("close", () => {
      if (this.#end === "open") this.#end = "fin";
      this.#wake();
    });
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  /** How the connection stands now. */
  get end(): ConnectionEnd {
    return this.#end;
  }

  /** All bytes received so far. */
  get received(): Buffer {
    const [first, ...more] = this.#chunks;
    if (first === undefined) return Buffer.alloc(0);
    if (more.length > 0) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? first;
  }

  /** Sends bytes, with the pauses that the list holds. Writing to a connection that the peer has closed is no error. */
  async send(bytes: Bytes): Promise<void> {
    const parts = typeof bytes === "string" || Buffer.isBuffer(bytes) ? [bytes] : bytes;
    for (const part of parts) {
      if (!this.socket.writable) return;
      if (typeof part === "number") await sleep(part);
      else this.socket.write(latin1(part));
    }
  }

  /** Waits until `done` holds; false when `timeoutMs` passed first. */
  async until(done: () => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!done()) {
      const left = deadline - performance.now();
      if (left <= 0) return false;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, left);
        this.#waiters.push(resolve);
      });
      clearTimeout(timer);
    }
    return true;
  }

  /** Waits for the peer to end the connection. */
  closed(timeoutMs = 2_000): Promise<boolean> {
    return this.until(() => this.#end !== "open", timeoutMs);
  }

  /** The responses in what was received; `heads` tells which requests were HEAD, by position among final responses. */
  responses(heads: readonly boolean[] = []): {
    final: RawResponse[];
    informational: RawResponse[];
    rest: Buffer;
  } {
    const final: RawResponse[] = [];
    const informational: RawResponse[] = [];
    let rest = this.received;
    for (;;) {
      const read = readResponse(rest, heads[final.length] ?? false);
      if (read === undefined) return { final, informational, rest };
      const response = new RawResponse(read.message);
      const list =
        response.status >= 100 && response.status < 200 && response.status !== 101 ? informational : final;
      list.push(response);
      rest = rest.subarray(read.used);
      if (response.status === 101) return { final, informational, rest };
    }
  }

  /** Waits until `count` final responses are complete or the connection ended, and returns those that are there. */
  async receive(count = 1, timeoutMs = 5_000, heads: readonly boolean[] = []): Promise<RawResponse[]> {
    const enough = (): boolean => {
      if (this.#end !== "open") return true;
      const { final } = this.responses(heads);
      return final.length >= count && final.slice(0, count).every((one) => one.complete);
    };
    await this.until(enough, timeoutMs);
    return this.responses(heads).final;
  }

  /** Half-closes: sends FIN and goes on reading. */
  halfClose(): void {
    this.socket.end();
  }

  /** Ends the connection with a reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.destroy();
  }
}

/** What one exchange on its own connection brought. */
export interface Exchange {
  /** Final responses in order. */
  readonly responses: readonly RawResponse[];
  readonly informational: readonly RawResponse[];
  /** Bytes after the last response that could be read. */
  readonly rest: Buffer;
  readonly raw: Buffer;
  readonly end: ConnectionEnd;
  readonly elapsedMs: number;
}

/** Settings of one exchange. */
export interface ExchangeOptions {
  /** Final responses to wait for; 1 unless given. */
  readonly responses?: number;
  /** Wait for the peer to end the connection, too. */
  readonly untilClose?: boolean;
  readonly timeoutMs?: number;
  /** Which of the requests are HEAD. */
  readonly heads?: readonly boolean[];
  /** Send one byte at a time. */
  readonly byteByByte?: boolean;
  /** Send FIN after the last byte. */
  readonly halfClose?: boolean;
  readonly localAddress?: string;
}

/** Opens a connection, sends `bytes`, collects the answers, and closes it. */
export async function exchange(port: number, bytes: Bytes, options: ExchangeOptions = {}): Promise<Exchange> {
  const started = performance.now();
  const connection = new RawConnection(port, "127.0.0.1", options.localAddress);
  try {
    await connection.opened;
    await connection.send(options.byteByByte === true ? singleBytes(bytes) : bytes);
    if (options.halfClose === true) connection.halfClose();
    const timeoutMs = options.timeoutMs ?? 5_000;
    if ((options.responses ?? 1) > 0)
      await connection.receive(options.responses ?? 1, timeoutMs, options.heads);
    if (options.untilClose === true) await connection.closed(timeoutMs);
    const { final, informational, rest } = connection.responses(options.heads);
    return {
      responses: final,
      informational,
      rest,
      raw: connection.received,
      end: connection.end,
      elapsedMs: performance.now() - started,
    };
  } finally {
    connection.destroy();
  }
}

function singleBytes(bytes: Bytes): (string | Buffer | number)[] {
  const parts = typeof bytes === "string" || Buffer.isBuffer(bytes) ? [bytes] : bytes;
  return parts.flatMap((part) =>
    typeof part === "number" ? [part] : [...latin1(part)].flatMap((byte) => [Buffer.from([byte]), 0]),
  );
}
