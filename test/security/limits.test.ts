// Slow, large and many: every byte that a client may make the gateway wait for or keep has a bound.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, expectAlive, runCases } from "../support/cases.ts";
import { RawConnection } from "../support/raw-client.ts";
import { chunk } from "../support/recorder.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

const BODY_LIMIT = 64 * 1024;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    sections:
      "limits: { body: 64KiB, url: 1KiB, headers: 8KiB, headerTimeout: 500ms, requestTimeout: 1500ms, idleTimeout: 700ms, connections: 300, inFlight: 50 }",
  });
});
afterAll(() => rig?.stop());

const HOST = "Host: rig.test\r\n";
const chunkedHead = (target: string, more = ""): string =>
  `POST ${target} HTTP/1.1\r\n${HOST}${more}Transfer-Encoding: chunked\r\n\r\n`;

runCases(
  () => rig,
  [
    {
      id: "L05",
      title: "refuses a URL one byte over the limit",
      request: { target: `/public/${"u".repeat(1_024 - 7)}` },
      expect: { status: 414, code: "url_too_long", upstream: "untouched" },
      also: ({ first }) => expect(first?.header("content-type")).toBe("application/problem+json"),
    },
    {
      id: "L05",
      title: "accepts a URL of exactly the limit",
      request: { target: `/public/${"u".repeat(1_024 - 8)}` },
      expect: { status: 200, upstream: 1 },
    },
    ...[
      ["one long header", { X: "x".repeat(9_000) }],
      [
        "many headers",
        Object.fromEntries(Array.from({ length: 90 }, (_, index) => [`X-${index}`, "x".repeat(100)])),
      ],
      ["a header of 100 KiB", { X: "x".repeat(100_000) }],
    ].map(
      ([title, headers]): Case => ({
        id: "L05",
        title: `refuses ${title} over the limit, with a problem document`,
        request: { target: "/public/x", headers: headers as Record<string, string> },
        expect: { status: 431, code: "headers_too_large", closed: true, upstream: "untouched" },
        also: ({ first }) => expect(first?.header("content-type")).toBe("application/problem+json"),
      }),
    ),
    {
      id: "L05",
      title: "refuses a URL of 20 KiB",
      request: { target: `/public/${"u".repeat(20_000)}` },
      expect: { status: [414, 431], closed: true, upstream: "untouched" },
    },
    {
      id: "★L06",
      title: "accepts a sized body of exactly the limit",
      request: { method: "POST", target: "/public/x", body: "b".repeat(BODY_LIMIT) },
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.body.length).toBe(BODY_LIMIT),
    },
    {
      id: "★L06",
      title: "refuses a sized body one byte over the limit before reading it",
      bytes: requestBytes({
        method: "POST",
        target: "/public/x",
        headers: { "Content-Length": String(BODY_LIMIT + 1) },
      }),
      expect: { status: 413, code: "body_too_large", closed: true, upstream: "untouched" },
    },
    {
      id: "★L06",
      title: "accepts a chunked body of exactly the limit",
      bytes: Buffer.concat([
        Buffer.from(chunkedHead("/public/x")),
        chunk("b".repeat(BODY_LIMIT)),
        Buffer.from("0\r\n\r\n"),
      ]),
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.body.length).toBe(BODY_LIMIT),
    },
    ...[BODY_LIMIT + 1, BODY_LIMIT * 4].map(
      (size): Case => ({
        id: "★L06",
        title: `refuses a chunked body of ${size} bytes and completes nothing upstream`,
        bytes: Buffer.concat([
          Buffer.from(chunkedHead("/public/x")),
          ...Array.from({ length: Math.ceil(size / 1_000) }, (_, index) =>
            chunk("b".repeat(Math.min(1_000, size - index * 1_000))),
          ),
          Buffer.from("0\r\n\r\n"),
        ]),
        expect: { status: 413, code: "body_too_large", closed: true, upstream: 0 },
      }),
    ),
    {
      id: "★L02",
      title: "refuses a stranger without waiting for the body",
      bytes: requestBytes({ method: "POST", target: "/api/x", headers: { "Content-Length": "50000" } }),
      expect: { status: 401, upstream: "untouched" },
      also: ({ elapsedMs }) => expect(elapsedMs).toBeLessThan(1_000),
    },
    {
      id: "★L02",
      title: "cuts a caller whose body comes a byte at a time",
      bytes: (one) => [
        requestBytes({
          method: "POST",
          target: "/api/x",
          headers: { ...one.bearer(), "Content-Length": "50000" },
        }),
        ...Array.from({ length: 25 }, () => ["b", 100]).flat(),
      ],
      options: { untilClose: true, timeoutMs: 4_000 },
      expect: { status: [0, 408], closed: true, upstream: 0 },
      also: ({ elapsedMs }) => expect(elapsedMs).toBeLessThan(4_000),
    },
    {
      id: "★L02",
      title: "cuts a caller whose chunks stop",
      bytes: (one) => [
        `${chunkedHead("/api/x", `Authorization: ${one.bearer().Authorization}\r\n`)}5\r\nhello\r\n`,
      ],
      options: { untilClose: true, timeoutMs: 4_000 },
      expect: { status: [0, 408, 504], closed: true, upstream: 0 },
    },
    {
      id: "★L02",
      title: "answers 100-continue only to a caller who may go on",
      bytes: requestBytes({
        method: "POST",
        target: "/api/x",
        headers: { Expect: "100-continue", "Content-Length": "5" },
      }),
      expect: { status: 401, upstream: "untouched" },
      also: ({ informational }) => expect(informational).toEqual([]),
    },
    {
      id: "★L02",
      title: "lets a good caller go on after 100-continue",
      bytes: (one) => [
        requestBytes({
          method: "POST",
          target: "/api/x",
          headers: { ...one.bearer(), Expect: "100-continue", "Content-Length": "5" },
        }),
        50,
        "hello",
      ],
      expect: { status: 200, upstream: 1 },
      also: ({ seen, informational }) => {
        expect(informational.map((one) => one.status)).toEqual([100]);
        expect([seen[0]?.body.toString(), seen[0]?.all("expect")]).toEqual(["hello", []]);
      },
    },
    {
      id: "L05",
      title: "refuses an expectation that it does not know",
      request: { method: "POST", target: "/public/x", headers: { Expect: "200-maybe" }, body: "x" },
      expect: { status: 417, upstream: "untouched" },
    },
    {
      id: "L04",
      title: "ends a connection on which nothing comes",
      bytes: "",
      options: { untilClose: true, responses: 0, timeoutMs: 3_000 },
      expect: { status: [0, 408], closed: true, upstream: "untouched" },
    },
    {
      id: "L08",
      title: "serves a thousand requests on one connection",
      bytes: Buffer.concat(Array.from({ length: 1_000 }, () => requestBytes({ target: "/healthz" }))),
      options: { responses: 1_000, timeoutMs: 10_000 },
      expect: { status: 200, upstream: "untouched" },
      also: ({ responses, end }) => expect([responses.length, end]).toEqual([1_000, "open"]),
    },
  ],
);

describe("many at once", () => {
  test("★L01 a hundred clients that send their head a byte at a time are cut, and nobody else notices", async () => {
    const one = await startRig({ sections: "limits: { headerTimeout: 400ms, requestTimeout: 20s }" });
    const head = [
      `GET /public/x HTTP/1.1\r\n${HOST}`,
      ...Array.from({ length: 30 }, () => ["X", 150]).flat(),
    ];
    const slow = Array.from({ length: 100 }, () =>
      one.exchange(head, { untilClose: true, responses: 0, timeoutMs: 1_000 }),
    );
    const times: number[] = [];
    const statuses = new Set<number>();
    for (let index = 0; index < 100; index++) {
      const started = performance.now();
      statuses.add((await one.call("/public/legitimate")).status);
      times.push(performance.now() - started);
      await sleep(5);
    }
    expect(statuses).toEqual(new Set([200]));
    times.sort((a, b) => a - b);
    expect(times[50]).toBeLessThan(100);
    expect(times[95]).toBeLessThan(500);
    for (const { responses, end } of await Promise.all(slow)) {
      expect([0, 400, 408]).toContain(responses[0]?.status ?? 0);
      // Long before the bytes were all sent, had anybody waited for them.
      expect(end).not.toBe("open");
    }
    await expectAlive(one);
    await one.stop();
  });

  test("L07 connections above the cap are refused and the cap is free again when they end", async () => {
    const idle = Array.from({ length: 320 }, () => new RawConnection(rig.port));
    await Promise.all(idle.map((one) => one.opened));
    const refused = (): number => idle.filter((one) => one.end !== "open").length;
    const deadline = performance.now() + 1_000;
    while (refused() < 20 && performance.now() < deadline) await sleep(10);
    expect(refused()).toBeGreaterThanOrEqual(20);
    for (const one of idle) one.destroy();
    let served = false;
    while (!served && performance.now() < deadline + 1_000) {
      served = (await rig.exchange(requestBytes({ target: "/public/x" }))).responses[0]?.status === 200;
    }
    expect(served).toBe(true);
    await expectAlive(rig);
  });

  test("L07 requests in flight above the cap are refused at once", async () => {
    rig.recorder.script(({ send }) => send([300, "HTTP/1.1 204 No Content\r\n\r\n"]));
    const answers = await Promise.all(Array.from({ length: 60 }, () => rig.call("/public/x")));
    const statuses = answers.map((one) => one.status);
    expect([statuses.filter((status) => status === 204).length, new Set(statuses)]).toEqual([
      50,
      new Set([204, 503]),
    ]);
    const refusal = answers.find((one) => one.status === 503);
    expect([refusal?.json.code, refusal?.header("retry-after")]).toEqual(["overloaded", "1"]);
    await expectAlive(rig);
  });

  test("W13 a client that reads nothing of an answer holds its upstream back", async () => {
    let taken = 0;
    rig.recorder.script(async ({ send, socket }) => {
      await send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const block = chunk(Buffer.alloc(65_536, 0x61));
      while (!socket.destroyed && taken < 400 * 1_048_576) {
        await send(block);
        taken += block.length;
      }
    });
    const connection = new RawConnection(rig.port);
    await connection.send(requestBytes({ target: "/public/x" }));
    connection.socket.pause();
    await sleep(350);
    // The kernel's buffers of four ends, not the gateway's memory.
    expect(taken).toBeLessThan(40 * 1_048_576);
    connection.reset();
    await expectAlive(rig);
  });
});
