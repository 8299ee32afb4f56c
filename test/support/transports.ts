// Both sides of the client of upstreams: receivers that note what they are told, upstreams in the hands of a test, and a
// watch over what must never happen to either.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { HttpTransport } from "../../src/upstream/http-transport.ts";
import type { AnswerSink, FlowControl } from "../../src/upstream/http1/connection.ts";
import type { ResponseHead } from "../../src/upstream/http1/response-head.ts";
import { type Answering, Recorder, respond } from "./recorder.ts";

/** What a receiver does in the middle of being told something. */
export interface Habits {
  readonly onStart?: (receiver: Receiver) => void;
  readonly onHead?: (receiver: Receiver) => void;
  /** @returns whether the memory of the piece stays in use; it does unless said. */
  readonly onData?: (receiver: Receiver, piece: Buffer) => boolean;
  readonly onEnd?: (receiver: Receiver) => void;
}

/** Notes all that it is told, and keeps every piece in the memory that it came in. */
export class Receiver implements AnswerSink {
  over = false;
  readonly events: string[] = [];
  readonly pieces: Buffer[] = [];
  /** What must never happen to a receiver. */
  readonly faults: string[] = [];
  head: ResponseHead | undefined;
  code = "";
  unanswered: boolean | undefined;
  readonly #habits: Habits;
  readonly #final = Promise.withResolvers<Receiver>();
  #control: FlowControl | undefined;
  #closed = false;

  constructor(habits: Habits = {}) {
    this.#habits = habits;
  }

  /** The answer is complete, or has failed. */
  get done(): Promise<Receiver> {
    return this.#final.promise;
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString("latin1");
  }

  get control(): FlowControl {
    if (this.#control === undefined) throw new Error("the request has not started");
    return this.#control;
  }

  /** Gives up; from now on nothing may be reported. */
  abort(): void {
    this.over = true;
    this.#closed = true;
    this.#control?.abort();
  }

  onStart(control: FlowControl): void {
    this.#control = control;
    this.#note("start");
    this.#habits.onStart?.(this);
  }

  onHead(head: ResponseHead): void {
    this.head = head;
    this.#note(String(head.status));
    this.#habits.onHead?.(this);
  }

  onData(piece: Buffer): boolean {
    if (this.events.at(-1) !== "data" || this.#closed) this.#note("data");
    const kept = this.#habits.onData?.(this, piece) ?? true;
    this.pieces.push(kept ? piece : Buffer.from(piece));
    return kept;
  }

  onEnd(): void {
    this.#note("end");
    this.#closed = true;
    this.#final.resolve(this);
    this.#habits.onEnd?.(this);
  }

  onError(error: unknown, unanswered: boolean): void {
    this.#note("error");
    this.#closed = true;
    this.code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    this.unanswered = unanswered;
    this.#final.resolve(this);
  }

  #note(event: string): void {
    if (this.#closed) this.faults.push(`${event} after the end`);
    this.events.push(event);
  }
}

/** A TCP server whose connections a test has in its hands, in the order of acceptance. */
export class RawUpstream {
  readonly sockets: Socket[] = [];
  open = 0;
  readonly #server: Server;

  constructor(onConnection: (socket: Socket, number: number) => void, pauseOnConnect = false) {
    this.#server = createServer({ noDelay: true, pauseOnConnect }, (socket) => {
      this.open += 1;
      socket.on("error", () => undefined);
      // An end is seen by those who read on alone.
      socket.on("data", () => undefined);
      socket.on("close", () => {
        this.open -= 1;
      });
      onConnection(socket, this.sockets.push(socket));
    });
  }

  async start(host = "127.0.0.1"): Promise<this> {
    this.#server.listen(0, host);
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The connection that was accepted last. */
  get last(): Socket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("nothing was accepted");
    return socket;
  }

  /** Ends every connection and stops listening; a second call does nothing. */
  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A body in pieces, and how much of it was asked for. */
export class Pieces extends Readable {
  produced = 0;
  readonly #data: Buffer;
  readonly #size: number;

  constructor(data: Buffer, size: number) {
    super({ highWaterMark: 64 * 1024 });
    this.#data = data;
    this.#size = size;
  }

  override _read(): void {
    const piece = this.#data.subarray(this.produced, this.produced + this.#size);
    this.produced += piece.length;
    this.push(piece.length === 0 ? null : piece);
  }
}

/** SHA-256 of some bytes. */
export function digest(data: Buffer | readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const piece of Buffer.isBuffer(data) ? [data] : data) hash.update(piece);
  return hash.digest("hex");
}

/** How a request is sent, and what its receiver does. */
export interface Sending extends Habits {
  readonly method?: string;
  readonly host?: string;
  readonly body?: Readable;
  readonly bodyLength?: number;
}

/** The transports and upstreams of one test. */
export class TransportRig {
  readonly #transports: HttpTransport[] = [];
  readonly #receivers: Receiver[] = [];
  readonly #upstreams: RawUpstream[] = [];
  /** An upstream that answers each request with its own path, until it is told otherwise. */
  readonly recorder = new Recorder();
  readonly #faults: string[] = [];
  readonly #onCrash = (error: unknown): void => void this.#faults.push(`uncaught: ${String(error)}`);

  constructor() {
    process.on("uncaughtException", this.#onCrash);
  }

  /** Makes the recorder answer. */
  async start(): Promise<this> {
    await this.recorder.start();
    this.recorder.script(ownPath);
    return this;
  }

  /** A transport that is closed with the rig. */
  to(origin: string = this.recorder.url, { connections = 4, connectMs = 5_000 } = {}): HttpTransport {
    const timeouts = { connectMs, headersMs: 5_000, idleMs: 5_000, totalMs: 0 };
    const transport = new HttpTransport(
      { name: "app", origin, basePath: "", timeouts, hostHeader: "target" },
      connections,
    );
    this.#transports.push(transport);
    return transport;
  }

  /** Sends a request whose receiver is watched. */
  send(transport: HttpTransport, path: string, sending: Sending = {}): Receiver {
    const receiver = new Receiver(sending);
    this.#receivers.push(receiver);
    transport.send(
      {
        method: sending.method ?? (sending.body === undefined ? "GET" : "POST"),
        path,
        fields: ["Host", sending.host ?? "app.test"],
        body: sending.body ?? null,
        bodyLength: sending.bodyLength,
      },
      receiver,
    );
    return receiver;
  }

  /** A request of its own shows that nothing of what was before is left: it gets its own answer. */
  async expectServed(transport: HttpTransport, path = "/served"): Promise<void> {
    const served = await this.send(transport, path).done;
    expect([served.code, served.head?.status, served.text]).toEqual(["", 200, path]);
  }

  /** An upstream that does nothing of its own; with `pauseOnConnect` it doesn't read either. */
  async raw(
    onConnection: (socket: Socket, number: number) => void,
    { host = "127.0.0.1", pauseOnConnect = false } = {},
  ): Promise<RawUpstream> {
    const upstream = await new RawUpstream(onConnection, pauseOnConnect).start(host);
    this.#upstreams.push(upstream);
    return upstream;
  }

  /** Ends everything. @returns what must not have happened */
  async end(): Promise<readonly string[]> {
    for (const transport of this.#transports) transport.close();
    await Promise.all([...this.#upstreams, this.recorder].map((upstream) => upstream.stop()));
    await turn();
    process.off("uncaughtException", this.#onCrash);
    return [...this.#faults, ...this.#receivers.flatMap(({ faults }) => faults)];
  }
}

/** Waits for the end or the failure of each. */
export async function all(receivers: readonly Receiver[]): Promise<void> {
  await Promise.all(receivers.map(({ done }) => done));
}

/** Lets the event loop look at all sockets a few times. */
export async function turns(count = 3): Promise<void> {
  for (let index = 0; index < count; index++) await turn();
}

/** A well-formed answer with this body. */
export function reply(body: string | Buffer): Buffer {
  return respond(200, {}, body);
}

/** A recorder's answer that tells a request from all others. */
export function ownPath({ request, send }: Answering): Promise<void> {
  return send(reply(request.target));
}
