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
  sentAt: number;
  received: string;
}

/**
 * Requests `path` with each header line in turn, `rate` times a second; throws on any other status than 200, on a lost
 * connection, and when answers come so late that all 64 connections are taken.
 */
export async function steadyLatency(
  port: number,
  path: string,
  headerLines: readonly string[],
  rate: number,
  seconds: number,
): Promise<Latency> {
  const requests = headerLines.map((line) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${line}\r\n`);
  const times: number[] = [];
  const free: Lane[] = [];
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
  };
  const lanes = await Promise.all(Array.from({ length: CONNECTIONS }, () => openLane(port)));
  for (const lane of lanes) {
    free.push(lane);
    lane.socket.on("error", fail);
    lane.socket.on("close", () => fail(new Error("the target closed a connection")));
    lane.socket.on("data", (chunk) => {
      lane.received += chunk;
      if (!isWholeAnswer(lane.received)) return;
      times.push(performance.now() - lane.sentAt);
      if (!lane.received.startsWith("HTTP/1.1 200 "))
        fail(new Error(`answered ${lane.received.slice(0, 20)}`));
      lane.received = "";
      free.push(lane);
    });
  }
  const start = performance.now();
  const total = rate * seconds;
  for (let sent = 0; sent < total && failure === undefined; ) {
    const due = Math.min(total, Math.floor(((performance.now() - start) * rate) / 1_000));
    for (; sent < due; sent++) {
      const lane = free.shift();
      if (lane === undefined) {
        fail(new Error(`${rate} requests a second are too many: all connections are waiting`));
        break;
      }
      lane.sentAt = performance.now();
      lane.socket.write(requests[sent % requests.length] ?? "");
    }
    await sleep(1);
  }
  await sleep(100);
  const found = failure;
  for (const { socket } of lanes) socket.destroy();
  if (found !== undefined) throw found;
  return summary(times);
}

function openLane(port: number): Promise<Lane> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true).setEncoding("latin1");
    socket.once("error", reject);
    socket.once("connect", () => resolve({ socket, sentAt: 0, received: "" }));
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
