// An upstream that keeps the raw bytes of every connection and answers what a test tells it to, well-formed or not.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { allValues, firstValue, type Line, readRequest } from "./http-bytes.ts";
import { type Bytes, latin1 } from "./raw-client.ts";
import { modelsThatSeeAdmin, readAs } from "./upstream-models.ts";

/** One request as the upstream got it. */
export class SeenRequest {
  /** Number of the connection, from 1. */
  readonly connection: number;
  readonly method: string;
  readonly target: string;
  readonly headers: readonly Line[];
  readonly trailers: readonly Line[];
  readonly body: Buffer;
  readonly framing: string;
  /** Exact bytes. */
  readonly raw: Buffer;

  constructor(
    connection: number,
    raw: Buffer,
    message: NonNullable<ReturnType<typeof readRequest>>["message"],
  ) {
    const [method = "", target = ""] = message.start.split(" ");
    this.connection = connection;
    this.method = method;
    this.target = target;
    this.headers = message.headers;
    this.trailers = message.trailers;
    this.body = message.body;
    this.framing = message.framing;
    this.raw = raw;
  }

  /** First value of the field, or undefined. */
  header(name: string): string | undefined {
    return firstValue(this.headers, name);
  }

  /** Every value of the field. */
  all(name: string): string[] {
    return allValues(this.headers, name);
  }

  /** Lines that some family of servers would read as `name`, whatever their spelling. */
  readAs(name: string): Line[] {
    return readAs(name, this.headers);
  }
}

/** A connection to the upstream, in the hands of an answer. */
export interface Answering {
  readonly request: SeenRequest;
  readonly socket: Socket;
  /** Sends bytes with pauses; stops quietly when the peer is gone. */
  send(bytes: Bytes): Promise<void>;
  /** Bytes that came after the request (of a tunnel or a pipelined one), and those to come. */
  onData(listener: (chunk: Buffer) => void): void;
}

/** Decides what to answer. Bytes are sent as they are; a function has the connection to itself. */
export type Answer = Bytes | ((answering: Answering) => void | Promise<void>);

/** `HTTP/1.1 STATUS` with these header lines and this body, its length given. */
export function respond(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Buffer = "",
): Buffer {
  const bytes = latin1(body);
  const lines = Object.entries({ ...headers, "Content-Length": String(bytes.length) });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([latin1(`HTTP/1.1 ${status} Scripted\r\n${head}\r\n`), bytes]);
}

/** One chunk of a chunked body; an empty one ends it. */
export function chunk(data: string | Buffer): Buffer {
  const bytes = latin1(data);
  return Buffer.concat([latin1(`${bytes.length.toString(16)}\r\n`), bytes, latin1("\r\n")]);
}

/** The usual answer: what was seen, as JSON, marked with `X-Recorder`. */
export function echo({ request }: Answering): Buffer {
  const { method, target, headers, trailers, framing } = request;
  const seen = { method, target, headers, trailers, framing, body: request.body.toString("utf8", 0, 4_096) };
  const body = request.method === "HEAD" ? "" : JSON.stringify({ ...seen, bodyBytes: request.body.length });
  const length = request.method === "HEAD" ? { "X-Head": "1" } : {};
  return respond(
    200,
    { "Content-Type": "application/json", "X-Recorder": "1", ...length },
    Buffer.from(body),
  );
}

/** What had reached the upstream at some moment. */
export interface Mark {
  readonly requests: number;
  readonly connections: number;
  readonly bytes: number;
}

/** A running recorder. */
export class Recorder {
  readonly requests: SeenRequest[] = [];
  /** Raw bytes of each connection, in the order of acceptance. */
  readonly raw: Buffer[][] = [];
  connections = 0;
  bytes = 0;
  /** Connections that have ended so far. */
  ended = 0;
  /** Requests that some model reads as /admin although the gateway vouched for no admin. */
  readonly touchedAdmin: { readonly target: string; readonly models: readonly string[] }[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #answer: Answer | undefined;

  constructor() {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Starts listening on a free loopback port. */
  async start(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The newest request. */
  get last(): SeenRequest | undefined {
    return this.requests.at(-1);
  }

  /** Connections that stand now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Sets the answer to every request from now on; undefined goes back to the echo. */
  script(answer: Answer | undefined): void {
    this.#answer = answer;
  }

  /** Remembers what has reached the upstream until now. */
  mark(): Mark {
    return { requests: this.requests.length, connections: this.connections, bytes: this.bytes };
  }

  /** What has reached the upstream since `mark`. */
  since(mark: Mark): Mark {
    return {
      requests: this.requests.length - mark.requests,
      connections: this.connections - mark.connections,
      bytes: this.bytes - mark.bytes,
    };
  }

  /** Requests seen since `mark`. */
  seenSince(mark: Mark): readonly SeenRequest[] {
    return this.requests.slice(mark.requests);
  }

  #accept(socket: Socket): void {
    const number = ++this.connections;
    const kept: Buffer[] = [];
    this.raw.push(kept);
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.ended++;
      this.#sockets.delete(socket);
    });
    socket.on("end", () => socket.end());
    const state: Connection = { number, socket, pending: Buffer.alloc(0), answering: false, tap: undefined };
    socket.on("data", (data: Buffer) => {
      this.bytes += data.length;
      kept.push(data);
      if (state.tap !== undefined) state.tap(data);
      else {
        state.pending = state.pending.length === 0 ? data : Buffer.concat([state.pending, data]);
        if (!state.answering) void this.#serve(state);
      }
    });
  }

  async #serve(state: Connection): Promise<void> {
    state.answering = true;
    for (let read = readRequest(state.pending); read?.message.complete; read = readRequest(state.pending)) {
      const request = new SeenRequest(state.number, state.pending.subarray(0, read.used), read.message);
      state.pending = state.pending.subarray(read.used);
      this.requests.push(request);
      this.#judge(request);
      await this.#reply(state, request);
      if (state.tap !== undefined) return;
    }
    state.answering = false;
  }

  #judge(request: SeenRequest): void {
    const models = modelsThatSeeAdmin(request.target);
    if (models.length === 0) return;
    const scopes = request.readAs("X-User-Scopes");
    const vouched = scopes.length === 1 && scopes[0]?.[1].split(" ").includes("admin");
    if (vouched !== true) this.touchedAdmin.push({ target: request.target, models });
  }

  async #reply(state: Connection, request: SeenRequest): Promise<void> {
    const { socket } = state;
    const answering: Answering = {
      request,
      socket,
      async send(bytes) {
        for (const part of typeof bytes === "string" || Buffer.isBuffer(bytes) ? [bytes] : bytes) {
          if (typeof part === "number") await sleep(part);
          else if (socket.writable && !socket.write(latin1(part))) {
            await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => undefined);
          }
        }
      },
      onData(listener) {
        state.tap = listener;
        if (state.pending.length > 0) listener(state.pending);
        state.pending = Buffer.alloc(0);
      },
    };
    const answer = this.#answer ?? echo(answering);
    if (typeof answer === "function") await answer(answering);
    else await answering.send(answer);
  }

  /** Ends every connection that stands, with a reset. */
  dropAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Ends every connection and stops listening. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

interface Connection {
  readonly number: number;
  readonly socket: Socket;
  pending: Buffer;
  answering: boolean;
  tap: ((chunk: Buffer) => void) | undefined;
}

/** Starts a recorder on a free port. */
export function startRecorder(): Promise<Recorder> {
  return new Recorder().start();
}
