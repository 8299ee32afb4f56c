// What a gateway takes that does nothing: time to start, resident memory, memory per idle WebSocket.

import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { memoryMiB } from "../measure.ts";
import { freePort } from "../process.ts";
import { rowOf } from "../rows.ts";
import type { Running } from "../target.ts";
import type { Probe, ProbeResult } from "./probe.ts";

const STARTS = 5;
const SETTLE_MS = 2_000;
const FIRST_SOCKETS = 200;
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const HANDSHAKE =
  "GET /modules HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

export const idle: Probe = {
  id: "idle",
  rows: [rowOf("gatewarden-hs256")],
  run: async (session, quick) => {
    const row = rowOf("gatewarden-hs256");
    const starts: number[] = [];
    const sizes: number[] = [];
    for (let n = 0; n < (quick ? 1 : STARTS); n++) {
      const target = await row.peer.start(await session.scenario(row));
      starts.push(target.startMs);
      await sleep(SETTLE_MS / 2);
      sizes.push(memoryMiB(target.pid));
      await target.stop();
    }
    return [
      {
        title: "Gatewarden: start to ready, median",
        value: median(starts),
        unit: "ms",
        goal: { atMost: 300 },
      },
      { title: "Gatewarden: resident memory, idle", value: median(sizes), unit: "MiB", goal: { atMost: 90 } },
    ];
  },
};

export const webSockets: Probe = {
  id: "websockets",
  rows: [rowOf("gatewarden-plain")],
  run: async (session, quick) => {
    const count = quick ? 1_000 : 5_000;
    const upstream = await startWebSocketUpstream();
    const row = rowOf("gatewarden-plain");
    try {
      const target = await row.peer.start(await session.scenario(row, { upstreamPort: upstream.port }));
      try {
        return [await perSocket(target, count)];
      } finally {
        await target.stop();
      }
    } finally {
      upstream.stop();
    }
  },
};

async function perSocket(target: Running, count: number): Promise<ProbeResult> {
  const sockets: Socket[] = [];
  const open = async (upTo: number): Promise<number> => {
    while (sockets.length < upTo) sockets.push(await openWebSocket(target.port));
    await sleep(SETTLE_MS);
    return memoryMiB(target.pid);
  };
  try {
    const before = await open(FIRST_SOCKETS);
    const after = await open(FIRST_SOCKETS + count);
    const value = ((after - before) * 1_024) / count;
    const title = `Gatewarden: memory per idle WebSocket, of ${count.toLocaleString("en")}`;
    return { title, value, unit: "KiB", goal: { atMost: 40 } };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function openWebSocket(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(HANDSHAKE));
    socket.on("error", reject);
    socket.once("data", (chunk) => {
      if (chunk.toString("latin1").startsWith("HTTP/1.1 101 ")) resolve(socket);
      else reject(new Error(`the WebSocket was answered with ${chunk.toString("latin1").slice(0, 30)}`));
    });
  });
}

async function startWebSocketUpstream(): Promise<{ readonly port: number; stop(): void }> {
  const port = await freePort();
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((_, response) => response.end());
  server.on("upgrade", (_, socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
    );
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}
