// WebSocket tunnels: the handshake meets the same decision as any request, and a tunnel never outlives either end.

import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Case, expectAlive, runCases } from "../support/cases.ts";
import { RawConnection } from "../support/raw-client.ts";
import type { Answer, Answering } from "../support/recorder.ts";
import { respond } from "../support/recorder.ts";
import { FORGED, type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    upstreams: `
  dead: { url: "http://127.0.0.1:1", timeouts: { connect: 300ms } }`,
    routes: `
  - { match: /dead/*, to: dead, public: true }
  - { match: POST /only-post/*, to: app, public: true }
`,
  });
});
afterAll(() => rig?.stop());
afterEach(() => rig.recorder.script(undefined));

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": KEY,
} as const;

function accept(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

const SWITCH = (key: string): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept(key)}\r\n\r\n`;

/** The upstream's side of the newest tunnel. */
let upstreamSide: Answering | undefined;
const tunnel: Answer = async (answering) => {
  upstreamSide = answering;
  answering.onData((data) => answering.socket.write(data));
  await answering.send(SWITCH(answering.request.header("sec-websocket-key") ?? ""));
};

function handshake(target: string, headers: Readonly<Record<string, string>> = {}): Buffer {
  return requestBytes({ target, headers: { ...UPGRADE, ...headers } });
}

let opening = 0;
/** Opens a tunnel through the gateway. */
async function open(target: string, headers: Readonly<Record<string, string>> = {}): Promise<RawConnection> {
  opening++;
  rig.recorder.script(tunnel);
  const connection = new RawConnection(rig.port);
  await connection.send(handshake(target, headers));
  const [response] = await connection.receive(1);
  expect(response?.status).toBe(101);
  if (--opening === 0) rig.recorder.script(undefined);
  return connection;
}

const refusals: readonly (readonly [string, Case["request"], number])[] = [
  ["no credential", { target: "/admin/ws", headers: UPGRADE }, 401],
  ["a bad token", { target: "/admin/ws", headers: { ...UPGRADE, Authorization: "Bearer a.b.c" } }, 401],
  [
    "a token without the scope",
    (one) => ({ target: "/admin/ws", headers: { ...UPGRADE, ...one.bearer() } }),
    403,
  ],
  ["an unknown route", { target: "/nothing", headers: UPGRADE }, 404],
  ["a path that climbs", { target: "/public/../admin/ws", headers: UPGRADE }, 400],
  ["a route of another method", { target: "/only-post/ws", headers: UPGRADE }, 405],
  [
    "two Authorization lines",
    (one) => ({
      target: "/admin/ws",
      headers: [...Object.entries(UPGRADE), ...Object.entries(one.bearer()), ...Object.entries(one.bearer())],
    }),
    400,
  ],
];

runCases(
  () => rig,
  [
    ...refusals.map(
      ([title, request, status]): Case => ({
        id: "★W01",
        title: `answers an upgrade with ${title} by ${status}, never by 101`,
        request: request as NonNullable<Case["request"]>,
        answer: tunnel,
        expect: { status, closed: true, upstream: "untouched" },
        also: ({ first }) => expect(first?.header("content-type")).toBe("application/problem+json"),
      }),
    ),
    {
      id: "★W01",
      title: "sends the caller's identity with the handshake, and no forged one",
      request: (one) => ({
        target: "/api/ws?q=1",
        headers: {
          ...UPGRADE,
          ...one.bearer(),
          "X-User-Id": FORGED,
          X_User_Scopes: FORGED,
          "X-Forwarded-For": "10.0.0.1",
        },
      }),
      answer: tunnel,
      expect: { status: 101, upstream: 1 },
      also: ({ seen }) => {
        const [one] = seen;
        expect([
          one?.target,
          one?.all("x-user-id"),
          one?.all("authorization"),
          one?.all("x-forwarded-for"),
        ]).toEqual(["/api/ws?q=1", ["user-1"], [], ["127.0.0.1"]]);
        expect([one?.header("sec-websocket-key"), one?.header("sec-websocket-version")]).toEqual([KEY, "13"]);
      },
    },
    ...[200, 403, 426, 500].map(
      (status): Case => ({
        id: "★W03",
        title: `relays a ${status} to the handshake and leaves no tunnel behind it`,
        bytes: Buffer.concat([handshake("/public/ws"), requestBytes({ target: "/admin/x" })]),
        answer: respond(status, { "X-Said": "no" }, "said no"),
        options: { untilClose: true },
        expect: { status, closed: true, upstream: 1 },
        also: ({ first, responses }) => {
          expect([first?.header("x-said"), responses.length]).toEqual(["no", 1]);
        },
      }),
    ),
    ...[
      ["a wrong Sec-WebSocket-Accept", SWITCH("AAAAAAAAAAAAAAAAAAAAAA==")],
      [
        "no Sec-WebSocket-Accept",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      ],
      [
        "another protocol",
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: ${accept(KEY)}\r\n\r\n`,
      ],
    ].map(
      ([title, bytes]): Case => ({
        id: "★W03",
        title: `opens no tunnel on a 101 with ${title}`,
        request: { target: "/public/ws", headers: UPGRADE },
        answer: bytes as string,
        expect: { status: 502, closed: true, upstream: 1 },
        also: ({ raw }) => expect(raw.includes("101 Switching")).toBe(false),
      }),
    ),
    ...[
      ["version 9", { ...UPGRADE, "Sec-WebSocket-Version": "9" }],
      ["a bad key", { ...UPGRADE, "Sec-WebSocket-Key": "short" }],
      ["no key", { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" }],
      ["a list of protocols", { ...UPGRADE, Upgrade: "websocket, h2c" }],
      ["Connection: keep-alive only", { ...UPGRADE, Connection: "keep-alive" }],
    ].map(
      ([title, headers]): Case => ({
        id: "W04",
        title: `opens no tunnel for a handshake with ${title}`,
        request: { target: "/public/ws", headers: headers as Record<string, string> },
        expect: { status: [200, 400, 426], upstream: 1 },
        also: ({ seen }) => expect(seen[0]?.raw.toString() ?? "").not.toMatch(/^upgrade:/im),
      }),
    ),
    {
      id: "W04",
      title: "opens no tunnel for a POST",
      request: { method: "POST", target: "/public/ws", headers: UPGRADE, body: "x" },
      expect: { status: [200, 400, 426], upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.raw.toString() ?? "").not.toMatch(/^upgrade:/im),
    },
    {
      id: "★W06",
      title: "answers 502 when the upstream refuses",
      request: { target: "/dead/ws", headers: UPGRADE },
      expect: { status: 502, closed: true, upstream: "untouched" },
    },
    {
      id: "★W06",
      title: "answers 504 when the upstream never does",
      request: { target: "/public/ws", headers: UPGRADE },
      answer: () => undefined,
      expect: { status: [502, 504], closed: true, upstream: 1 },
    },
    {
      id: "★W06",
      title: "survives an upstream that resets during the handshake",
      request: { target: "/public/ws", headers: UPGRADE },
      answer: ({ socket }) => void socket.resetAndDestroy(),
      expect: { status: 502, closed: true, upstream: 1 },
    },
    {
      id: "W08",
      title: "takes no token from the URL of a handshake",
      request: (one) => ({ target: `/api/ws?access_token=${one.token()}`, headers: UPGRADE }),
      expect: { status: 401, upstream: "untouched" },
    },
  ],
);

describe("an open tunnel", () => {
  test("W05 carries bytes both ways, those sent before the 101 first and once", async () => {
    rig.recorder.script(async (answering) => {
      await sleep(30);
      await (tunnel as (one: Answering) => Promise<void>)(answering);
    });
    const connection = new RawConnection(rig.port);
    await connection.send([handshake("/public/ws"), "early-1;", 5, "early-2;", 60, "late;"]);
    await connection.until(() => connection.responses().rest.toString().endsWith("late;"), 2_000);
    rig.recorder.script(undefined);
    expect(connection.responses().rest.toString()).toBe("early-1;early-2;late;");
    connection.destroy();
    await expectAlive(rig);
  });

  const endings: readonly (readonly [string, (connection: RawConnection) => void])[] = [
    ["the upstream resets", () => upstreamSide?.socket.resetAndDestroy()],
    ["the upstream ends", () => upstreamSide?.socket.end()],
    ["the client resets", (connection) => connection.reset()],
    ["the client ends", (connection) => connection.halfClose()],
  ];

  test.each(endings)("★W06 both ends are closed within a second after %s", async (_, finish) => {
    const connection = await open("/public/ws");
    await connection.send("ping");
    await connection.until(() => connection.responses().rest.length === 4, 1_000);
    const upstreamEnded = new Promise((resolve) => upstreamSide?.socket.once("close", resolve));
    finish(connection);
    await Promise.race([upstreamEnded, sleep(1_500, "late").then((late) => expect.fail(late))]);
    expect(await connection.closed(1_500)).toBe(true);
    await expectAlive(rig);
  });

  test("★W06 a hundred tunnels that break in every way leave the gateway alive and empty", async () => {
    for (let round = 0; round < 25; round++) {
      const four = await Promise.all([1, 2, 3, 4].map(() => open("/public/ws")));
      for (const [index, connection] of four.entries()) {
        if (index % 2 === 0) connection.reset();
        else connection.halfClose();
      }
      if (round % 5 === 0) rig.recorder.dropAll();
      for (const connection of four) connection.destroy();
    }
    await sleep(50);
    await expectAlive(rig);
  });

  test("★W07 ends with 1008 when the credential ends", async () => {
    const exp = Math.ceil(Date.now() / 1_000) + 1;
    const connection = await open("/api/ws", rig.bearer({ exp }));
    expect(await connection.closed(3_500)).toBe(true);
    expect(Date.now() / 1_000).toBeGreaterThanOrEqual(exp - 0.05);
    const frame = connection.responses().rest;
    expect([frame[0], frame.readUInt16BE(2)]).toEqual([0x88, 1_008]);
    connection.destroy();
    await expectAlive(rig);
  });

  test("W13 a client that reads nothing holds its upstream back", async () => {
    const connection = await open("/public/ws");
    connection.socket.pause();
    const block = Buffer.alloc(64 * 1_024, 0x61);
    const socket = upstreamSide?.socket;
    let written = 0;
    const started = performance.now();
    while (performance.now() - started < 400 && socket !== undefined) {
      if (socket.writableLength < 1_048_576) {
        socket.write(block);
        written += block.length;
      } else await sleep(5);
    }
    const delivered = written - (socket?.writableLength ?? 0);
    // The kernel's buffers on four ends, not the gateway's memory.
    expect(delivered).toBeLessThan(40 * 1_048_576);
    connection.reset();
    await expectAlive(rig);
  });
});

test("★W11 on SIGTERM open tunnels get a close frame with 1001 and the process still ends in time", async () => {
  const own = await startRig({ sections: "drain: { delay: 0s, timeout: 500ms }" });
  own.recorder.script(tunnel);
  const tunnels = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const connection = new RawConnection(own.port);
      await connection.send(handshake("/public/ws"));
      expect((await connection.receive(1))[0]?.status).toBe(101);
      return connection;
    }),
  );
  const started = performance.now();
  expect(await own.gateway.signal("SIGTERM")).toBe(0);
  expect(performance.now() - started).toBeLessThan(2_500);
  for (const connection of tunnels) {
    await connection.closed(500);
    const frame = connection.responses().rest;
    expect([frame[0], frame.length >= 4 ? frame.readUInt16BE(2) : 0]).toEqual([0x88, 1_001]);
  }
  await own.stop();
});
