// Sends requests at a fixed rate whatever the answers do, and tells how long they took.

import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const CONNECTIONS = 64;
const END_OF_HEAD = "\r\n\r\n";

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
}

interface Lane {
  readonly socket: Socket;
  dueAt: number;
  received: string;
}

/**
 * Requests `path` with each header line in turn, `rate` times a second. A request that finds all 64 connections taken
 * waits, and its time counts from when it was due. Throws on any other status than 200 and on a lost connection, and
 * when a whole second of requests is waiting.
 */
export async function steadyLatency(
  port: number,
  path: string,
  headerLines: readonly string[],
  rate: number,
  seconds: number,
): Promise<Latency> {
  const requests = headerLines.map((line) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${line}\r\n`);
  const lanes = await Promise.all(Array.from({ length: CONNECTIONS }, () => openLane(port)));
  const run = new SteadyRun(lanes, requests);
  const start = performance.now();
  const total = rate * seconds;
  for (let sent = 0; sent < total && run.failure === undefined; ) {
    const due = Math.min(total, Math.floor(((performance.now() - start) * rate) / 1_000));
    for (; sent < due; sent++) run.send();
    if (run.waiting > rate) run.fail(new Error(`${rate} requests a second are too many`));
    await sleep(1);
  }
  for (let n = 0; n < 100 && run.times.length < total && run.failure === undefined; n++) await sleep(10);
  const { failure } = run;
  for (const { socket } of lanes) socket.destroy();
  if (failure !== undefined) throw failure;
  return summary(run.times);
}

/** The connections of one measurement, the requests that wait for one, and the times so far. */
class SteadyRun {
  /** Milliseconds per answered request. */
  readonly times: number[] = [];
  failure: Error | undefined;
  readonly #requests: readonly string[];
  readonly #free: Lane[];
  readonly #waiting: number[] = [];
  #next = 0;

  constructor(lanes: readonly Lane[], requests: readonly string[]) {
    this.#requests = requests;
    this.#free = [...lanes];
    for (const lane of lanes) {
      lane.socket.on("error", (error) => this.fail(error));
      lane.socket.on("close", () => this.fail(new Error("the target closed a connection")));
      lane.socket.on("data", (chunk) => this.#receive(lane, chunk.toString()));
    }
  }

  /** Requests that are due and not sent. */
  get waiting(): number {
    return this.#waiting.length;
  }

  fail(error: Error): void {
    this.failure ??= error;
  }

  /** Sends one request, or lets it wait for a connection. */
  send(): void {
    const now = performance.now();
    const lane = this.#free.shift();
    if (lane === undefined) this.#waiting.push(now);
    else this.#write(lane, now);
  }

  #write(lane: Lane, dueAt: number): void {
    lane.dueAt = dueAt;
    lane.socket.write(this.#requests[this.#next++ % this.#requests.length] ?? "");
  }

  #receive(lane: Lane, text: string): void {
    lane.received += text;
    if (!isWholeAnswer(lane.received)) return;
    this.times.push(performance.now() - lane.dueAt);
    if (!lane.received.startsWith("HTTP/1.1 200 "))
      this.fail(new Error(`answered ${lane.received.slice(0, 20)}`));
    lane.received = "";
    const dueAt = this.#waiting.shift();
    if (dueAt === undefined) this.#free.push(lane);
    else this.#write(lane, dueAt);
  }
}

function openLane(port: number): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true).setEncoding("latin1");
    socket.once("error", reject);
    socket.once("connect", () => resolve({ socket, dueAt: 0, received: "" }));
  });
}

function isWholeAnswer(text: string): boolean {
  const end = text.indexOf(END_OF_HEAD);
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  if (length === undefined) return text.endsWith("0\r\n\r\n");
  return text.length >= end + END_OF_HEAD.length + Number(length);
}

function summary(times: readonly number[]): Latency {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99), requests: sorted.length };
}
