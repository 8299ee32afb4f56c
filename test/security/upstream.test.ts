// Faulty and hostile upstreams: the client sees an honest answer or an honest failure, and the gateway lives on.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, expectAlive, runCases } from "../support/cases.ts";
import { exchange } from "../support/raw-client.ts";
import { type Answer, chunk, respond } from "../support/recorder.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
/** An upstream that answers before it has read the body. */
let hasty: Server;
beforeAll(async () => {
  hasty = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    // Answers what it has seen the head of, and wants no more.
    socket.once("data", () => socket.end(respond(413, { Connection: "close" }, "too much")));
  }).listen(0, "127.0.0.1");
  await once(hasty, "listening");
  const hastyPort = (hasty.address() as AddressInfo).port;
  rig = await startRig({
    // Nothing listens on port 1 of the loopback interface.
    upstreams: `
  dead: { url: "http://127.0.0.1:1", timeouts: { connect: 300ms } }
  nameless: { url: "http://no-such-host.invalid", timeouts: { connect: 500ms } }
  hasty: { url: "http://127.0.0.1:${hastyPort}", timeouts: { headers: 1s } }`,
    routes: `
  - { match: /dead/*, to: dead, public: true }
  - { match: /nameless/*, to: nameless, public: true }
  - { match: /hasty/*, to: hasty, public: true }
  - { match: /limited/*, to: app, public: true, limit: 1000/h per route }
`,
  });
});
afterAll(async () => {
  hasty.close();
  await rig?.stop();
});

const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n`;

/** Sends these bytes and ends the connection. */
function cut(bytes: string | Buffer, how: "fin" | "reset"): Answer {
  return async ({ send, socket }) => {
    await send([bytes, 15]);
    if (how === "fin") socket.end();
    else socket.resetAndDestroy();
  };
}

function truncated(title: string, bytes: string, how: "fin" | "reset"): Case {
  return {
    id: "★F02",
    title: `never makes ${title} look whole (${how})`,
    request: { target: "/public/x" },
    answer: cut(bytes, how),
    options: { untilClose: true },
    expect: { status: [200, 502], closed: true, upstream: 1 },
    also: ({ first }) => {
      if (first?.status === 200) expect(first.complete).toBe(false);
    },
  };
}

runCases(
  () => rig,
  [
    {
      id: "★F01",
      title: "answers 502 when the upstream refuses",
      request: { target: "/dead/x" },
      expect: { status: 502, code: "upstream_unreachable", upstream: "untouched" },
      also: ({ elapsedMs }) => expect(elapsedMs).toBeLessThan(1_000),
    },
    {
      id: "★F01",
      title: "answers 502 when the upstream has no address",
      request: { target: "/nameless/x" },
      expect: { status: [502, 504], upstream: "untouched" },
    },
    ...(["fin", "reset"] as const).flatMap((how) => [
      truncated("a chunked answer cut between chunks", `${CHUNKED}\r\n5\r\nhello\r\n`, how),
      truncated("a chunked answer cut in a chunk", `${CHUNKED}\r\n50\r\nhello`, how),
      truncated(
        "a chunked answer that says close, cut between chunks",
        `${CHUNKED}Connection: close\r\n\r\n5\r\nhello\r\n`,
        how,
      ),
      truncated(
        "a chunked answer that says close, cut in a chunk",
        `${CHUNKED}Connection: close\r\n\r\n50\r\nhello`,
        how,
      ),
      truncated(
        "a chunked answer without its last line",
        `${CHUNKED}Connection: close\r\n\r\n5\r\nhello\r\n0\r\n`,
        how,
      ),
      truncated("a sized answer that ends early", `${OK}Content-Length: 10\r\n\r\nhello`, how),
      truncated(
        "a sized answer that says close and ends early",
        `${OK}Content-Length: 10\r\nConnection: close\r\n\r\nhello`,
        how,
      ),
    ]),
    ...["", "HTTP/1.1 ", `${OK}X-Half: `].map(
      (bytes): Case => ({
        id: "F04",
        title: `answers 502 when the upstream ends after ${JSON.stringify(bytes)}`,
        request: { method: "POST", target: "/public/x", body: "once" },
        answer: cut(bytes, "fin"),
        expect: { status: 502, upstream: 1 },
      }),
    ),
    {
      id: "F04",
      title: "sends a POST once, although its connection was reset",
      request: { method: "POST", target: "/public/x", body: "once" },
      answer: ({ socket }) => void socket.resetAndDestroy(),
      expect: { status: 502, code: "upstream_unreachable", upstream: 1 },
    },
    {
      id: "★F05",
      title: "answers 504 when the upstream never does",
      request: { target: "/public/x" },
      answer: () => undefined,
      expect: { status: 504, code: "upstream_timeout", upstream: 1 },
      also: ({ elapsedMs }) => expect(elapsedMs).toBeLessThan(1_500),
    },
    {
      id: "★F05",
      title: "answers 504 when the upstream's head comes a byte at a time",
      request: { target: "/public/x" },
      answer: ({ send }) => send([...`${OK}X-Slow: ${"s".repeat(40)}\r\n\r\n`].flatMap((byte) => [byte, 40])),
      expect: { status: [502, 504], upstream: 1 },
    },
    {
      id: "★F05",
      title: "cuts an answer that stalls",
      request: { target: "/public/x" },
      answer: ({ send }) => send(`${OK}Content-Length: 10\r\n\r\nhello`),
      options: { untilClose: true },
      expect: { status: 200, closed: true, upstream: 1 },
      also: ({ first, elapsedMs }) => {
        expect(first?.complete).toBe(false);
        expect(elapsedMs).toBeLessThan(1_900);
      },
    },
    ...[
      ["a status below 100", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"],
      ["status 999", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"],
      ["status 600", "HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n"],
      ["a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
      ["a status in letters", "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"],
      ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
      ["a name with a space", `${OK}X Odd: 1\r\nContent-Length: 0\r\n\r\n`],
      ["a line without a colon", `${OK}nothing\r\nContent-Length: 0\r\n\r\n`],
      ["two different lengths", `${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
      ["a length and chunks", `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
      ["a length that is none", `${OK}Content-Length: x\r\n\r\n`],
      ["a head of 200 KiB", `${OK}X: ${"x".repeat(200_000)}\r\n\r\n`],
      ["a NUL in a value", `${OK}X: a\0b\r\nContent-Length: 0\r\n\r\n`],
      [
        "an unasked 101",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
      ],
    ].map(
      ([title, bytes]): Case => ({
        id: "★F07",
        title: `answers 502 to ${title}`,
        request: { target: "/public/x" },
        answer: bytes as string,
        expect: { status: 502, upstream: 1 },
      }),
    ),
    ...[
      ["control bytes in the reason", "HTTP/1.1 200 a\x01b\x7f\r\nContent-Length: 2\r\n\r\nok"],
      ["a reason in Latin-1", "HTTP/1.1 200 caf\xe9\r\nContent-Length: 2\r\n\r\nok"],
      ["no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"],
      ["a reason of 20 KiB", `HTTP/1.1 200 ${"r".repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`],
      ["Latin-1 in a value", `${OK}X: caf\xe9\r\nContent-Length: 2\r\n\r\nok`],
      ["control characters in a value", `${OK}X: a\x01b\r\nContent-Length: 2\r\n\r\nok`],
    ].map(
      ([title, bytes]): Case => ({
        id: "★F07",
        title: `survives ${title}`,
        request: { target: "/public/x" },
        answer: bytes as string,
        expect: { status: [200, 502], upstream: 1 },
        also: ({ first, raw }) => {
          if (first?.status === 200) expect(first.text).toBe("ok");
          expect(raw.includes("\x01") || raw.includes("\x7f")).toBe(false);
        },
      }),
    ),
    ...[100, 102, 103].map(
      (status): Case => ({
        id: "F08",
        title: `takes an interim ${status} for no final answer`,
        request: { target: "/public/x" },
        answer: [
          `HTTP/1.1 ${status} Interim\r\n${status === 103 ? "Link: </a.css>\r\n" : ""}\r\n`,
          10,
          respond(200, {}, "final"),
        ],
        // A 100 that nobody asked for is no conforming answer; the others are.
        expect: { status: status === 100 ? [200, 502] : 200, upstream: 1 },
        also: ({ first }) => expect(first?.status === 502 ? "final" : first?.text).toBe("final"),
      }),
    ),
    {
      id: "F08",
      title: "stops a flood of interim answers",
      request: { target: "/public/x" },
      answer: "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000) + respond(200, {}, "final").toString(),
      expect: { status: 502, code: "upstream_invalid", upstream: 1 },
      also: ({ informational }) => expect(informational.length).toBeLessThan(100),
    },
    {
      id: "★F13",
      title: "passes compressed bytes and their fields through untouched",
      request: { target: "/public/x" },
      answer: respond(
        200,
        { "Content-Encoding": "gzip", "Content-Type": "text/plain", ETag: '"z"' },
        gzipSync("hello"),
      ),
      expect: { status: 200, upstream: 1 },
      also: ({ first, seen }) => {
        expect(first?.body).toEqual(gzipSync("hello"));
        expect([first?.header("content-encoding"), first?.header("content-length")]).toEqual([
          "gzip",
          String(gzipSync("hello").length),
        ]);
        expect(seen[0]?.all("accept-encoding")).toEqual([]);
      },
    },
    {
      id: "★F13",
      title: "passes Accept-Encoding as it came",
      request: { target: "/public/x", headers: { "Accept-Encoding": "gzip;q=0.5, br" } },
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.all("accept-encoding")).toEqual(["gzip;q=0.5, br"]),
    },
    ...[301, 302, 307].map(
      (status): Case => ({
        id: "★F14",
        title: `passes a ${status} to the client and follows it nowhere`,
        request: (one) => ({ target: "/api/x", headers: one.bearer() }),
        answer: ({ send, request }) =>
          send(
            respond(status, {
              Location: `http://${request.header("host") === undefined ? "" : "127.0.0.1:1"}/internal`,
            }),
          ),
        expect: { status, upstream: 1 },
        also: ({ first }) => expect(first?.header("location")).toBe("http://127.0.0.1:1/internal"),
      }),
    ),
    {
      id: "F16",
      title: "removes the hop-by-hop fields of an answer and what its Connection names",
      request: { target: "/public/x" },
      answer: respond(
        200,
        {
          Connection: "X-Secret, keep-alive",
          "X-Secret": "s3cret-value",
          "Keep-Alive": "timeout=9",
          "Proxy-Authenticate": "Basic",
          Upgrade: "h2c",
          Trailer: "X-T",
          TE: "x",
          "Proxy-Connection": "close",
        },
        "ok",
      ),
      expect: { status: 200, upstream: 1 },
      also: ({ first, raw }) => {
        expect(raw.toString()).not.toMatch(/s3cret-value|timeout=9|proxy-|h2c|^trailer|^te:/im);
        expect(first?.text).toBe("ok");
      },
    },
    {
      id: "F17",
      title: "adds no Content-Type where the upstream has none",
      request: { target: "/public/x" },
      answer: respond(200, {}, "ok"),
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => expect(first?.all("content-type")).toEqual([]),
    },
    {
      id: "F17",
      title: "keeps repeated fields apart and in order",
      request: { target: "/public/x" },
      answer: `${OK}Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n`,
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => expect(first?.all("set-cookie")).toEqual(["a=1", "b=2"]),
    },
    ...["/dead/x", "/nameless/x"].map(
      (target): Case => ({
        id: "F19",
        title: `names neither the upstream nor the error in the refusal of ${target}`,
        request: { target },
        expect: { status: [502, 504], upstream: "untouched" },
        also: ({ first }) => {
          expect(first?.header("content-type")).toBe("application/problem+json");
          expect(first?.text).not.toMatch(
            /127\.0\.0\.1|invalid"|no-such|ECONN|ENOTFOUND|dead|nameless|at .*\.ts/,
          );
          expect(first?.json.requestId).toEqual(expect.any(String));
        },
      }),
    ),
    ...[204, 304].map(
      (status): Case => ({
        id: "F11",
        title: `sends no body with ${status}, and what the upstream sent with it goes nowhere`,
        bytes: requestBytes({ target: "/public/x" }),
        answer: `HTTP/1.1 ${status} X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\npoisoned`,
        expect: { status, upstream: 1 },
        also: ({ rest }) => expect(rest.length).toBe(0),
      }),
    ),
    {
      id: "F11",
      title: "passes an answer that ends with its connection",
      request: { target: "/public/x" },
      answer: cut(`${OK}\r\nuntil the end`, "fin"),
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => expect(first?.text).toBe("until the end"),
    },
    {
      id: "F20",
      title: "answers a client that has half-closed",
      request: { target: "/public/x" },
      answer: ({ send }) => send([30, respond(200, {}, "late")]),
      options: { halfClose: true },
      expect: { status: [0, 200], upstream: 1 },
      also: ({ first }) => {
        if (first !== undefined) expect(first.text).toBe("late");
      },
    },
  ],
);

runCases(
  () => rig,
  [
    {
      id: "F16",
      title: "lets no upstream speak for the gateway's own fields",
      request: { target: "/limited/x" },
      answer: respond(200, {
        "X-Request-Id": "theirs",
        "RateLimit-Limit": "9",
        "RateLimit-Remaining": "9",
        RateLimit: "theirs",
        "RateLimit-Policy": "theirs",
      }),
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => {
        const names = [
          "x-request-id",
          "ratelimit-limit",
          "ratelimit-remaining",
          "ratelimit",
          "ratelimit-policy",
        ];
        for (const name of names) expect(first?.all(name).length, name).toBe(1);
        expect(first?.header("ratelimit-limit")).toBe("1000");
      },
    },
  ],
);

runCases(
  () => rig,
  [
    {
      id: "F04",
      title: "sends a POST without a body once, although its connection was reset",
      request: { method: "POST", target: "/public/x" },
      answer: ({ socket }) => void socket.resetAndDestroy(),
      expect: { status: 502, code: "upstream_unreachable", upstream: 1 },
    },
    {
      id: "F04",
      title: "sends a GET at most twice when its connection is reset each time",
      request: { target: "/public/x" },
      answer: ({ socket }) => void socket.resetAndDestroy(),
      expect: { status: 502, code: "upstream_unreachable", upstream: 2 },
    },
  ],
);

test("F21 an answer that comes before the body was read reaches the client, or a 502 does", async () => {
  const bytes = requestBytes({ method: "POST", target: "/hasty/x", body: Buffer.alloc(3_000_000, 0x62) });
  const statuses: number[] = [];
  for (let round = 0; round < 5; round++) {
    const { responses } = await exchange(rig.port, bytes, { timeoutMs: 1_500 });
    expect(responses.length).toBe(1);
    statuses.push(responses[0]?.status ?? 0);
  }
  expect(
    statuses.every((status) => status === 413 || status === 502),
    String(statuses),
  ).toBe(true);
  await expectAlive(rig);
});

describe("kept-alive upstream connections", () => {
  const POISON = respond(200, { "X-Poison": "1" }, "poisoned");

  test.each([
    ["a sized answer", Buffer.concat([respond(200, {}, "ok"), POISON])],
    [
      "a chunked answer",
      Buffer.concat([Buffer.from(`${CHUNKED}\r\n`), chunk("ok"), Buffer.from("0\r\n\r\n"), POISON]),
    ],
    ["an answer without a body", Buffer.concat([Buffer.from("HTTP/1.1 204 No Content\r\n\r\n"), POISON])],
    ["an answer, while nobody uses the connection", null],
  ])("★F10 bytes after %s reach no other client", async (_, bytes) => {
    for (let round = 0; round < 5; round++) {
      rig.recorder.script(bytes ?? [respond(200, {}, "ok"), 5, POISON]);
      expect((await rig.call("/public/first")).status).toBeLessThan(300);
      await sleep(20);
      rig.recorder.script(undefined);
      for (let index = 0; index < 3; index++) {
        const next = await rig.call(`/public/next-${round}-${index}`);
        expect([next.header("x-poison"), next.json.target ?? `/public/next-${round}-${index}`]).toEqual([
          undefined,
          `/public/next-${round}-${index}`,
        ]);
        expect(next.text).not.toContain("poisoned");
      }
    }
    await expectAlive(rig);
  });

  test("F04 a GET on a connection that the upstream has just closed is answered from a fresh one", async () => {
    expect((await rig.call("/public/warm")).status).toBe(200);
    rig.recorder.dropAll();
    const statuses = await Promise.all(
      Array.from({ length: 10 }, () => rig.call("/public/x").then((one) => one.status)),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  test("★F05 a client that goes away frees the upstream's connection at once", async () => {
    let open = 0;
    rig.recorder.script(({ socket }) => {
      open++;
      socket.on("close", () => open--);
    });
    const mark = rig.recorder.mark();
    for (let index = 0; index < 10; index++)
      await exchange(rig.port, requestBytes({ target: "/public/x" }), { timeoutMs: 20 });
    const deadline = performance.now() + 1_000;
    while (open > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    expect([rig.recorder.since(mark).requests, open]).toEqual([10, 0]);
    rig.recorder.script(undefined);
    await expectAlive(rig);
  });
});
