// WebSocket with the client and the server that people use (`ws`) on both sides of the gateway.

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";
import { eventually } from "./upstream.ts";

/** A backend that echoes every message, with everything that a test asks about it. */
class EchoServer {
  readonly http: Server = createServer((_, response) => void response.end("no handshake"));
  readonly sockets: WebSocketServer;
  /** Header sections of the handshakes that arrived. */
  readonly handshakes: IncomingHttpHeaders[] = [];
  /** When set, handshakes are answered with this status instead. */
  refusal: number | undefined;
  #connections = 0;

  constructor() {
    this.sockets = new WebSocketServer({
      noServer: true,
      maxPayload: 64 * 1_048_576,
      handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
    });
    this.http.on("connection", () => {
      this.#connections++;
    });
    this.http.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
      this.handshakes.push(request.headers);
      socket.on("error", () => socket.destroy());
      if (this.refusal === undefined) this.sockets.handleUpgrade(request, socket, head, (one) => echo(one));
      else
        socket.end(
          `HTTP/1.1 ${this.refusal} Refused\r\nX-Reason: full\r\nX-Units: 4\r\nRateLimit-Limit: 98\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfull`,
        );
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** Connections accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** Tunnels that stand now. */
  get open(): number {
    return this.sockets.clients.size;
  }
}

function echo(socket: WebSocket): void {
  socket.on("error", () => socket.terminate());
  socket.on("message", (data, isBinary) => {
    socket.send(data, { binary: isBinary });
  });
}

let backend: EchoServer;
let rig: Rig;

beforeAll(async () => {
  backend = new EchoServer();
  backend.http.listen(0, "127.0.0.1");
  await once(backend.http, "listening");
  backend.sockets.on("headers", (lines) => {
    lines.push("RateLimit-Limit: 99", "X-Units: 3", "Vary: Accept");
  });
  rig = await startRig({
    upstream: backend.url,
    timeouts: "{ connect: 1s, headers: 2s }",
    routes: `  - match: /metered/*
    to: app
    public: true
    limit: { rate: 10/h, per: ip, costFrom: "responseHeader:X-Units" }
    cors: { origins: [https://app.example.com] }`,
  });
});
afterAll(async () => {
  await rig?.stop();
  for (const socket of backend.sockets.clients) socket.terminate();
  backend.http.closeAllConnections();
  backend.http.close();
});
afterEach(() => {
  backend.refusal = undefined;
});

/** Addresses of the gateway for `ws`. */
const address = (path: string, one: Rig = rig): string => `${one.gateway.url.replace("http:", "ws:")}${path}`;

interface DialOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocols?: readonly string[];
  readonly rig?: Rig;
}

/** An open tunnel; throws when the handshake fails. */
async function dial(path: string, options: DialOptions = {}): Promise<WebSocket> {
  const socket = new WebSocket(address(path, options.rig), [...(options.protocols ?? [])], {
    headers: { ...options.headers },
    perMessageDeflate: false,
  });
  socket.on("error", () => undefined);
  await once(socket, "open");
  return socket;
}

/** Status and fields of the refusal of a handshake. */
function refusalOf(path: string, headers: Readonly<Record<string, string>> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(address(path), { headers });
    socket.on("unexpected-response", (request, response) => {
      response.resume();
      response.on("end", () => {
        request.destroy();
        resolve(response);
      });
    });
    socket.on("open", () => {
      socket.terminate();
      reject(new Error("the handshake was accepted"));
    });
    socket.on("error", () => undefined);
  });
}

/** The next message. */
async function next(socket: WebSocket): Promise<{ readonly data: Buffer; readonly isBinary: boolean }> {
  const [data, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
  return { data, isBinary };
}

/** Code with which the tunnel ends. */
async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, "close")) as [number];
  return code;
}

describe("an open tunnel", () => {
  test("echoes text and binary messages, each as what it is", async () => {
    const socket = await dial("/public/ws");
    socket.send("grüße");
    expect(await next(socket)).toEqual({ data: Buffer.from("grüße"), isBinary: false });
    socket.send(Buffer.from([0, 1, 254, 255]));
    expect(await next(socket)).toEqual({ data: Buffer.from([0, 1, 254, 255]), isBinary: true });
    socket.send("");
    expect((await next(socket)).data.length).toBe(0);
    socket.close();
    expect(await closeCode(socket)).toBe(1005);
  });

  test("carries a message of a megabyte and one in fragments", async () => {
    const socket = await dial("/public/ws");
    const large = Buffer.alloc(1_048_576, "0123456789");
    socket.send(large);
    expect((await next(socket)).data.equals(large)).toBe(true);
    socket.send("one, ", { fin: false });
    socket.send("two, ", { fin: false });
    socket.send("three", { fin: true });
    expect((await next(socket)).data.toString()).toBe("one, two, three");
    socket.terminate();
  });

  test("keeps a thousand messages in order", async () => {
    const socket = await dial("/public/ws");
    const seen: string[] = [];
    socket.on("message", (data: Buffer) => seen.push(data.toString()));
    for (let index = 0; index < 1_000; index++) socket.send(String(index));
    await eventually("all echoes are back", () => seen.length === 1_000, 5_000);
    expect(seen).toEqual(Array.from({ length: 1_000 }, (_, index) => String(index)));
    socket.terminate();
  });

  test("carries pings, pongs and the other side's close code with its reason", async () => {
    const socket = await dial("/public/ws");
    socket.ping("there?");
    expect(((await once(socket, "pong")) as [Buffer])[0].toString()).toBe("there?");
    for (const one of backend.sockets.clients) one.close(4_001, "moved away");
    const [code, reason] = (await once(socket, "close")) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([4_001, "moved away"]);
  });

  test("speaks the subprotocol that the backend has chosen", async () => {
    const socket = await dial("/public/ws", { protocols: ["chat.v1", "chat.v2"] });
    expect(socket.protocol).toBe("chat.v2");
    socket.terminate();
  });

  test("uses compression when both sides agree on it", async () => {
    const socket = new WebSocket(address("/public/ws"));
    await once(socket, "open");
    socket.send("a".repeat(10_000));
    expect((await next(socket)).data.length).toBe(10_000);
    socket.terminate();
  });

  test("knows the caller: identity arrives with the handshake and nothing forged or secret does", async () => {
    const socket = await dial("/api/ws?room=7", {
      headers: { ...rig.bearer(), "X-User-Id": "forged", "X-User-Roles": "admin" },
    });
    const fields = backend.handshakes.at(-1);
    expect([fields?.["x-user-id"], fields?.["x-user-scopes"], fields?.["x-auth-method"]]).toEqual([
      "user-1",
      "read",
      "jwt",
    ]);
    expect([fields?.["x-user-roles"], fields?.authorization]).toEqual([undefined, undefined]);
    socket.terminate();
  });
});

describe("a handshake", () => {
  const refusals: readonly (readonly [string, number, string, () => Readonly<Record<string, string>>])[] = [
    ["without a credential", 401, "/api/ws", () => ({})],
    ["with a bad token", 401, "/api/ws", () => ({ Authorization: "Bearer a.b.c" })],
    ["with a wrong API key", 401, "/api/ws", () => ({ "X-API-Key": "no such key" })],
    ["with an expired token", 401, "/api/ws", () => rig.bearer({ exp: 1_600_000_000 })],
    ["without the scope", 403, "/admin/ws", () => rig.bearer()],
    ["of an unknown route", 404, "/nowhere", () => ({})],
  ];

  test.each(
    refusals,
  )("%s is answered with %i before the backend hears of it", async (_, status, path, headers) => {
    const before = backend.connections;
    const response = await refusalOf(path, headers());
    expect(response.statusCode).toBe(status);
    expect(response.headers["content-type"]).toBe("application/problem+json");
    if (status === 401) expect(response.headers["www-authenticate"]).toMatch(/^(?:Bearer|ApiKey)/);
    expect(backend.connections).toBe(before);
  });

  test("that the backend refuses is answered with the backend's own answer", async () => {
    backend.refusal = 403;
    const response = await refusalOf("/public/ws");
    expect([response.statusCode, response.headers["x-reason"]]).toEqual([403, "full"]);
  });

  test("on a limited route is answered with the gateway's own fields, and costs what the backend says", async () => {
    const headers = { Origin: "https://app.example.com" };
    const socket = new WebSocket(address("/metered/ws"), { headers });
    const [response] = (await once(socket, "upgrade")) as [IncomingMessage];
    expect(response.headers).toMatchObject({
      "ratelimit-limit": "10",
      "ratelimit-remaining": "9",
      "access-control-allow-origin": "https://app.example.com",
      "x-request-id": expect.stringMatching(/./),
      vary: "Accept, Origin",
    });
    expect(response.headers["x-units"]).toBeUndefined();
    socket.terminate();

    backend.refusal = 403;
    const refused = await refusalOf("/metered/ws", headers);
    expect(refused.statusCode).toBe(403);
    // Three of the first handshake, and one of this.
    expect(refused.headers).toMatchObject({ "ratelimit-limit": "10", "ratelimit-remaining": "6" });
    expect(refused.headers["x-units"]).toBeUndefined();
    const last = await refusalOf("/metered/ws", headers);
    expect(last.headers["ratelimit-remaining"]).toBe("2");
  });

  test("towards h2c is served as the plain request that it also is", async () => {
    const answer = await rig.call({
      target: "/public/plain",
      headers: {
        Connection: "Upgrade, HTTP2-Settings",
        Upgrade: "h2c",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
      },
    });
    expect([answer.status, answer.text]).toEqual([200, "no handshake"]);
    expect(answer.header("upgrade")).toBeUndefined();
  });
});

describe("the end of a tunnel", () => {
  test("by a reset of the backend ends the client's side, too", async () => {
    const socket = await dial("/public/ws");
    const closed = closeCode(socket);
    for (const one of backend.sockets.clients) one.terminate();
    expect(await closed).toBe(1006);
  });

  test("by a client that vanishes ends the backend's side within a second", async () => {
    const socket = await dial("/public/ws");
    await eventually("the backend has the tunnel", () => backend.open === 1);
    socket.terminate();
    await eventually("the backend's side has ended", () => backend.open === 0, 1_000);
  });

  test("comes with 1008 when the token expires, and not before", async () => {
    const exp = Math.ceil(Date.now() / 1_000) + 1;
    const socket = await dial("/api/ws", { headers: rig.bearer({ exp }) });
    const closed = closeCode(socket);
    socket.send("still here");
    expect((await next(socket)).data.toString()).toBe("still here");
    expect(await closed).toBe(1008);
    expect(Date.now() / 1_000).toBeGreaterThanOrEqual(exp - 0.05);
    await eventually("the backend's side has ended", () => backend.open === 0);
  });

  test("comes with 1001 when the gateway is told to stop, which then ends with 0", async () => {
    const own = await startRig({
      upstream: backend.url,
      sections: "drain: { delay: 0s, timeout: 300ms }",
    });
    const sockets = await Promise.all(Array.from({ length: 5 }, () => dial("/public/ws", { rig: own })));
    const closed = Promise.all(sockets.map((socket) => closeCode(socket)));
    await own.stop();
    expect(await closed).toEqual([1001, 1001, 1001, 1001, 1001]);
  });
});

test("plain requests and tunnels share the gateway without noticing each other", async () => {
  const socket = await dial("/public/ws");
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => rig.exchange(requestBytes({ target: "/public/plain" }))),
  );
  expect(answers.every(({ responses }) => responses[0]?.status === 200)).toBe(true);
  socket.send("after them");
  expect((await next(socket)).data.toString()).toBe("after them");
  socket.terminate();
  expect(rig.gateway.logs.filter((line) => line.event === "defect")).toEqual([]);
});
