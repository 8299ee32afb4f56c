// What is remembered of one client connection, and how a connection ends that can't be used again.

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { canonicalAddress } from "../core/address.ts";
import type { Listed } from "../core/live-list.ts";
import type { Arrival } from "../pipeline/arrival.ts";

export interface Connection extends Listed {
  readonly socket: Socket;
  /** Peer address in canonical spelling. */
  readonly peerAddress: string;
  /** Nothing more is taken from this connection. */
  closing: boolean;
  /** Requests on it that are not answered to the last byte, and tunnels. */
  busy: number;
  /** Bytes that had come when it last became idle. */
  readUntilIdle: number;
  /** How often it was found idle since. */
  idleChecks: number;
}

// An answer that came early leaves part of a body unread; this much of it is read on, so that the client gets to see the
// answer instead of a reset (RFC 9112 section 9.6). A client that sends more is not read any further, and is cut when the
// time is over: cut at once, it would see its write fail before it looks for the answer.
const LINGER_BYTES = 256 * 1024;
const LINGER_MS = 1_000;

const connections = new WeakMap<Socket, Connection>();

/** The record of the connection that `socket` is. */
export function connectionOf(socket: Socket): Connection {
  const known = connections.get(socket);
  if (known !== undefined) return known;
  const made: Connection = {
    slot: -1,
    socket,
    peerAddress: canonicalAddress(socket.remoteAddress ?? ""),
    closing: false,
    busy: 0,
    readUntilIdle: 0,
    idleChecks: 0,
  };
  connections.set(socket, made);
  return made;
}

/** The request as it arrived, under the id that the gateway gave it. */
export function arrivalOf(incoming: IncomingMessage, id: string, upgrade = false): Arrival {
  return {
    id,
    method: incoming.method ?? "",
    rawTarget: incoming.url ?? "",
    rawFields: incoming.rawHeaders,
    httpVersion: incoming.httpVersion,
    scheme: "http",
    peerAddress: connectionOf(incoming.socket).peerAddress,
    upgrade,
  };
}

/** A request or tunnel begins on the connection; `release` ends it. */
export function hold(socket: Socket): Connection {
  const connection = connectionOf(socket);
  connection.busy += 1;
  return connection;
}

/** What `hold` began is over, its answer sent to the last byte or given up. */
export function release(socket: Socket): void {
  const connection = connectionOf(socket);
  connection.busy -= 1;
  connection.readUntilIdle = socket.bytesRead;
  connection.idleChecks = 0;
}

/** Whether nothing is under way on the connection, not even a request that has begun to arrive. */
export function isIdle({ busy, readUntilIdle, socket }: Connection): boolean {
  return busy === 0 && readUntilIdle === socket.bytesRead;
}

/**
 * Reads on what is left of a body whose answer is complete already, within small bounds: then the connection lives on.
 * A longer rest costs the connection, but not before the client had time to read the answer.
 */
export function readRest(incoming: IncomingMessage): void {
  const { socket } = incoming;
  const connection = connectionOf(socket);
  connection.closing = true;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  dropRest(incoming);
  incoming.once("end", () => {
    clearTimeout(timer);
    connection.closing = false;
  });
  incoming.resume();
}

/**
 * Lets the connection end after the answer under way: what the client still sends is read and dropped within small
 * bounds and never parsed as another request.
 */
export function closeAfterAnswer(incoming: IncomingMessage): void {
  connectionOf(incoming.socket).closing = true;
  dropRest(incoming);
  lingerAtClose(incoming);
}

/** If the connection ends with the answer to this request, it ends so that a client that is still sending can read it. */
export function lingerAtClose(incoming: IncomingMessage): void {
  const { socket } = incoming;
  // Node ends the connection by this call once the answer is out; ending only the sending side lets the client read it.
  socket.destroySoon = () => {
    if (incoming.complete || socket.destroyed) {
      socket.end(() => socket.destroy());
      return;
    }
    socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
    incoming.once("end", () => socket.destroy());
    incoming.resume();
  };
}

function dropRest(incoming: IncomingMessage): void {
  let left = LINGER_BYTES;
  incoming.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) incoming.pause();
  });
}
