// Streams of any length: nothing is collected on the way, a slow side slows the other one down, and whoever leaves takes
// the other side along. The backend and the clients speak raw TCP where only the number of bytes matters, since a gigabyte
// through a second HTTP parser would measure that parser.

import { hash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { eventually, startUpstream, type TestUpstream } from "./upstream.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
// V8 frees buffers outside its heap once some 64 MiB of them have piled up, and on a busy machine that takes a while. What
// counts is that the growth is bounded, far below what passes through.
const MOST_GROWTH_KIB = 128 * 1024;
const CAN_MEASURE = existsSync("/proc/self/status");
const BLOCK = Buffer.alloc(256 * 1024, 0x67);

/** Resolves when `socket` takes more, or has ended. */
function drained(socket: Socket, closed: Promise<unknown>): Promise<unknown> {
  return Promise.race([new Promise((resolve) => socket.once("drain", resolve)), closed]);
}

/** A backend that counts bytes and pours them, over bare sockets. */
class Bulk {
  readonly server: Server;
  /** Body bytes of the newest upload. */
  received = 0;
  /** Body bytes of the newest download that were handed to the kernel. */
  sent = 0;
  socket: Socket | undefined;
  /** Uploads are not read while this is set. */
  holding = false;

  constructor() {
    this.server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    let head = "";
    let length = -1;
    socket.on("data", (data: Buffer) => {
      if (length !== -1) {
        this.#take(socket, data.length, length);
        return;
      }
      head += data.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) return;
      this.socket = socket;
      const download = /^GET \/\S*?([0-9]+) /.exec(head);
      if (download !== null) {
        head = "";
        void this.#pour(socket, Number(download[1]));
        return;
      }
      length = Number(/content-length: ([0-9]+)/i.exec(head)?.[1] ?? 0);
      this.received = 0;
      if (this.holding) socket.pause();
      this.#take(socket, head.length - end - 4, length);
    });
  }

  #take(socket: Socket, bytes: number, length: number): void {
    this.received += bytes;
    if (this.received === length)
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  }

  async #pour(socket: Socket, length: number): Promise<void> {
    this.sent = 0;
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\nContent-Type: application/octet-stream\r\n\r\n`,
    );
    const gone = once(socket, "close").catch(() => {});
    while (this.sent < length && !socket.destroyed) {
      const part = BLOCK.subarray(0, Math.min(BLOCK.length, length - this.sent));
      this.sent += part.length;
      if (!socket.write(part)) await drained(socket, gone);
    }
  }
}

let bulk: Bulk;
let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  bulk = new Bulk();
  bulk.server.listen(0, "127.0.0.1");
  await once(bulk.server, "listening");
  upstream = await startUpstream();
  gateway = await startGateway(`listen: 127.0.0.1:0
limits: { body: 2GiB, requestTimeout: 120s }
drain: { timeout: 1s }
apiKeys:
  - { id: caller, hash: "sha256:${hash("sha256", "a key that nobody sends", "hex")}", scopes: [write] }
upstreams:
  bulk: ${bulk.url}
  app: ${upstream.url}
routes:
  - { match: /bulk/*, to: bulk, public: true }
  - { match: /app/*, to: app, public: true }
  - { match: /keyed/*, to: app, auth: [apiKey], scopes: [write] }
`);
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  bulk?.server.close();
});

/** Highest resident size of the gateway while `work` runs, against the size before; in KiB. */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const before = await residentKiB();
  let highest = before;
  const timer = setInterval(() => {
    void residentKiB().then((size) => {
      highest = Math.max(highest, size);
    });
  }, 25);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(highest, await residentKiB()) - before;
}

async function residentKiB(): Promise<number> {
  const status = await readFile(`/proc/${gateway.pid}/status`, "utf8");
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1]);
}

/** A client connection that has sent this request. */
function begin(request: string): Socket {
  const socket = connect({ port: gateway.port, host: "127.0.0.1", noDelay: true });
  socket.on("error", () => socket.destroy());
  socket.write(request);
  return socket;
}

async function upload(bytes: number): Promise<string> {
  const socket = begin(
    `POST /bulk/in HTTP/1.1\r\nHost: t\r\nContent-Length: ${bytes}\r\nConnection: close\r\n\r\n`,
  );
  let answer = "";
  socket.setEncoding("latin1").on("data", (text: string) => {
    answer += text;
  });
  const closed = once(socket, "close");
  for (let sent = 0; sent < bytes && !socket.destroyed; sent += BLOCK.length) {
    if (!socket.write(BLOCK.subarray(0, Math.min(BLOCK.length, bytes - sent)))) await drained(socket, closed);
  }
  await closed;
  return answer;
}

/** Body bytes that arrive of an answer of `bytes`. */
async function download(bytes: number): Promise<number> {
  const socket = begin(`GET /bulk/${bytes} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n`);
  return bodyBytes(socket);
}

function bodyBytes(socket: Socket): Promise<number> {
  return new Promise((resolve) => {
    let headed = false;
    let bytes = 0;
    socket.on("data", (data: Buffer) => {
      bytes += data.length;
      if (headed) return;
      headed = true;
      bytes -= data.indexOf("\r\n\r\n") + 4;
    });
    socket.on("close", () => resolve(bytes));
  });
}

describe.runIf(CAN_MEASURE)("a gigabyte", () => {
  beforeAll(async () => {
    // The first megabytes fill buffer pools and wake the compiler up.
    await upload(128 * MIB);
    await download(128 * MIB);
  });

  test("goes up whole while the gateway's memory stays bounded", async () => {
    let answer = "";
    const growth = await growthDuring(async () => {
      answer = await upload(GIB);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*ok$/);
    expect(bulk.received).toBe(GIB);
    expect(growth).toBeLessThan(MOST_GROWTH_KIB);
  }, 60_000);

  test("comes down whole while the gateway's memory stays bounded", async () => {
    let bytes = 0;
    const growth = await growthDuring(async () => {
      bytes = await download(GIB);
    });
    expect(bytes).toBe(GIB);
    expect(growth).toBeLessThan(MOST_GROWTH_KIB);
  }, 60_000);
});

describe.runIf(CAN_MEASURE)("a slow side", () => {
  const largest = (file: string): number =>
    existsSync(file) ? Number(readFileSync(file, "utf8").trim().split(/\s+/).at(-1)) : 4 * MIB;
  // What the kernel may hold for two connections on this machine, and the gateway's own small buffers.
  const MOST_UNDERWAY =
    2 * (largest("/proc/sys/net/ipv4/tcp_rmem") + largest("/proc/sys/net/ipv4/tcp_wmem")) + 8 * MIB;
  const BODY = Math.ceil((4 * MOST_UNDERWAY) / BLOCK.length) * BLOCK.length;

  /** Waits until `count` stands still. */
  async function still(count: () => number): Promise<number> {
    for (let before = -1; before !== count(); await sleep(150)) before = count();
    return count();
  }

  test("that stops reading stops the backend, costs no memory, and gets the rest when it goes on", async () => {
    const growth = await growthDuring(async () => {
      const socket = begin(`GET /bulk/slow-${BODY} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n`).pause();
      await eventually("the backend has begun", () => bulk.sent > 0);
      expect(await still(() => bulk.sent - (bulk.socket?.writableLength ?? 0))).toBeLessThan(MOST_UNDERWAY);
      const body = bodyBytes(socket);
      socket.resume();
      expect(await body).toBe(BODY);
    });
    expect(growth).toBeLessThan(MOST_GROWTH_KIB);
  });

  test("that takes no upload stops the client, costs no memory, and gets the rest when it goes on", async () => {
    bulk.holding = true;
    const growth = await growthDuring(async () => {
      const socket = begin(
        `POST /bulk/in HTTP/1.1\r\nHost: t\r\nContent-Length: ${BODY}\r\nConnection: close\r\n\r\n`,
      );
      const closed = once(socket, "close");
      let given = 0;
      const writing = (async () => {
        for (; given < BODY; given += BLOCK.length) if (!socket.write(BLOCK)) await drained(socket, closed);
      })();
      await eventually("the backend has begun", () => bulk.socket?.isPaused() === true && given > 0);
      expect(await still(() => given)).toBeLessThan(MOST_UNDERWAY);
      bulk.holding = false;
      bulk.socket?.resume();
      const body = bodyBytes(socket);
      await writing;
      expect(await body).toBe(2);
      expect(bulk.received).toBe(BODY);
    });
    expect(growth).toBeLessThan(MOST_GROWTH_KIB);
  });
});

describe("a client that sends all of its body before it looks for an answer", () => {
  const sendsFirst = async (path: string, connection: string): Promise<string> => {
    const socket = begin(
      `POST ${path} HTTP/1.1\r\nHost: t\r\nConnection: ${connection}\r\nContent-Length: ${16 * MIB}\r\n\r\n`,
    ).pause();
    let text = "";
    socket.setEncoding("latin1").on("data", (part: string) => {
      text += part;
    });
    socket.write(Buffer.alloc(16 * MIB, "b"));
    // The answer is out by now, and the client still has megabytes to send.
    await sleep(300);
    socket.resume();
    await Promise.race([once(socket, "close"), sleep(200)]);
    socket.destroy();
    return text.slice(0, 12);
  };

  test.each([
    ["the upstream's early answer", "/app/early", "keep-alive", "HTTP/1.1 409"],
    ["the upstream's early answer", "/app/early", "close", "HTTP/1.1 409"],
    ["a refusal", "/keyed/x", "keep-alive", "HTTP/1.1 401"],
    ["a refusal", "/keyed/x", "close", "HTTP/1.1 401"],
  ])("finds %s (%s, Connection: %s), not a reset", async (_, path, connection, status) => {
    upstream.handler = (_request, response) => void response.writeHead(409).end("enough");
    expect(await sendsFirst(path, connection)).toBe(status);
  });
});

describe("an event stream", () => {
  afterEach(() => {
    upstream.handler = (_, response) => void response.end();
  });

  /** Lets the backend open a stream and gives it into the test's hands. */
  function scripted(): Promise<{ say(text: string): void; closed: Promise<unknown> }> {
    return new Promise((resolve) => {
      upstream.handler = (_, response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
        response.flushHeaders();
        resolve({ say: (text) => void response.write(text), closed: once(response, "close") });
      };
    });
  }

  test("gives events to a reader within 100 ms and breaks none up", async () => {
    const opened = scripted();
    const response = await fetch(`${gateway.url}/app/events`, { headers: { Accept: "text/event-stream" } });
    const stream = await opened;
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const delays: number[] = [];
    for (let index = 0; index < 7; index++) {
      const event = `id: ${index}\ndata: event ${index} – ünïcode\n\n`;
      const started = performance.now();
      stream.say(event);
      expect((await reader?.read())?.value).toBe(event);
      delays.push(performance.now() - started);
      await sleep(20);
    }
    // The middle one: a machine that is busy with other tests may hold up one or another.
    expect(delays.sort((a, b) => a - b)[3]).toBeLessThan(100);
    await reader?.cancel();
    await stream.closed;
  });

  test("ends at the backend within a second after the reader has left", async () => {
    const opened = scripted();
    const abort = new AbortController();
    const response = await fetch(`${gateway.url}/app/events`, { signal: abort.signal });
    const stream = await opened;
    stream.say("data: one\n\n");
    expect(response.status).toBe(200);
    const left = performance.now();
    abort.abort();
    await stream.closed;
    expect(performance.now() - left).toBeLessThan(1_000);
  });
});

describe("a hundred clients that leave in the middle", () => {
  const leave = async (request: string, until: () => boolean): Promise<void> => {
    const clients = Array.from({ length: 100 }, () => begin(request));
    await eventually("all exchanges are under way", until, 5_000);
    for (const [index, socket] of clients.entries()) {
      if (index % 2 === 0) socket.resetAndDestroy();
      else socket.destroy();
    }
    await eventually("no exchange is left at the backend", () => upstream.openExchanges === 0, 3_000);
  };

  test("of their uploads leave no request and no connection behind", async () => {
    upstream.handler = (request) => void request.resume();
    await leave(
      "POST /app/in HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nonly the beginning",
      () => upstream.openExchanges === 100,
    );
    expect(upstream.openConnections).toBe(0);
  });

  test("of their downloads leave no request and no connection behind", async () => {
    upstream.handler = (_, response) => {
      response.writeHead(200, { "Content-Type": "application/octet-stream" });
      response.write(BLOCK);
    };
    await leave("GET /app/out HTTP/1.1\r\nHost: t\r\n\r\n", () => upstream.openExchanges === 100);
    expect(upstream.openConnections).toBe(0);
  });

  test("while the backend still thinks leave no request and no connection behind", async () => {
    upstream.handler = () => undefined;
    await leave("GET /app/silent HTTP/1.1\r\nHost: t\r\n\r\n", () => upstream.openExchanges === 100);
    expect(upstream.openConnections).toBe(0);
  });

  test("leave a gateway that serves on and has logged no defect", async () => {
    upstream.handler = (_, response) => void response.end("fine");
    expect(await (await fetch(`${gateway.url}/app/after`)).text()).toBe("fine");
    expect(gateway.logs.filter((line) => line.event === "defect")).toEqual([]);
    expect(gateway.stderr).toBe("");
  });
});
