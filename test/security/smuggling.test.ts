// Request smuggling: the upstream gets exactly the requests that the client was answered for, each with its own identity.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, expectAlive, runCases } from "../support/cases.ts";
import { RawConnection } from "../support/raw-client.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ sections: "limits: { body: 2MiB, headerTimeout: 2s, requestTimeout: 3s }" });
});
afterAll(() => rig?.stop());

const HOST = "Host: rig.test\r\n";
/** What an attacker wants to slip through. */
const SECOND = `GET /public/smuggled HTTP/1.1\r\n${HOST}\r\n`;

/** A POST with these framing lines and this body, followed by a smuggled request. */
function post(lines: string, body = "0\r\n\r\n"): string {
  return `POST /public/x HTTP/1.1\r\n${HOST}${lines}\r\n${body}${SECOND}`;
}

function refused(id: string, title: string, bytes: string, status: number | number[] = [400, 501]): Case {
  return { id, title: `refuses ${title}`, bytes, expect: { status, closed: true, upstream: "untouched" } };
}

const CL = "Content-Length: 5\r\n";
const TE = "Transfer-Encoding: chunked\r\n";

runCases(
  () => rig,
  [
    {
      id: "S01",
      title: "passes a chunked and a sized request, so that the refusals here mean something",
      bytes: `POST /public/a HTTP/1.1\r\n${HOST}${TE}\r\n2\r\nhi\r\n0\r\n\r\nPOST /public/b HTTP/1.1\r\n${HOST}${CL}\r\nhello`,
      options: { responses: 2 },
      expect: { status: 200, upstream: 2 },
      also: ({ seen, responses }) => {
        expect(responses.length).toBe(2);
        expect(seen.map((one) => [one.target, one.body.toString()])).toEqual([
          ["/public/a", "hi"],
          ["/public/b", "hello"],
        ]);
      },
    },
    refused("S01", "Content-Length before Transfer-Encoding", post(CL + TE)),
    refused("S01", "Transfer-Encoding before Content-Length", post(TE + CL)),
    ...[
      "5\r\nContent-Length: 5",
      "5\r\nContent-Length: 6",
      "5, 5",
      "5,6",
      "+5",
      "0x5",
      "1e1",
      "5 5",
      "-1",
      "",
      "5;",
      "\u0665",
      "5\r\ncontent-length: 5",
      "99999999999999999999",
      "'5'",
    ].map((value) =>
      refused(
        "S02",
        `Content-Length ${JSON.stringify(value)}`,
        post(`Content-Length: ${value}\r\n`, "hello"),
        400,
      ),
    ),
    {
      id: "S02",
      title: "reads Content-Length 010 as decimal or refuses it",
      bytes: `POST /public/x HTTP/1.1\r\n${HOST}Content-Length: 010\r\n\r\n0123456789${SECOND}`,
      options: { responses: 2, timeoutMs: 500 },
      expect: { status: [200, 400], upstream: 2 },
      // Each goes to the upstream on a connection of its own, so either may be heard first.
      also: ({ seen }) => expect(seen.map((one) => one.body.length).toSorted()).toEqual([0, 10]),
    },
    ...[
      "xchunked",
      "identity",
      "gzip",
      "gzip, chunked",
      "chunked;q=1",
      '"chunked"',
      ",chunked",
      "chunked,",
      "chunked, gzip",
      "cow",
      "chunked\u0000",
      "x, chunked",
      "chunked chunked",
      "chunke",
    ].map((value) =>
      refused("★S03", `Transfer-Encoding ${JSON.stringify(value)}`, post(`Transfer-Encoding: ${value}\r\n`)),
    ),
    refused("★S04", "an empty Transfer-Encoding", post("Transfer-Encoding:\r\n", "")),
    refused("★S04", "a blank Transfer-Encoding", post("Transfer-Encoding: \t \r\n", "")),
    refused(
      "★S04",
      "an empty Transfer-Encoding beside a length",
      post(`Transfer-Encoding:\r\n${CL}`, "hello"),
    ),
    refused(
      "★S05",
      "Transfer-Encoding in HTTP/1.0",
      `POST /public/x HTTP/1.0\r\n${HOST}${TE}\r\n0\r\n\r\n${SECOND}`,
    ),
    refused(
      "★S05",
      "Transfer-Encoding in HTTP/1.0 kept alive",
      `POST /public/x HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n${TE}\r\n0\r\n\r\n${SECOND}`,
    ),
    ...["Transfer_Encoding", "Transfer.Encoding", "transfer_encoding", "TransferEncoding"].map(
      (name): Case => ({
        id: "★S06",
        title: `forwards no ${name}`,
        bytes: `POST /public/x HTTP/1.1\r\n${HOST}${name}: chunked\r\n${CL}\r\nhello`,
        expect: { status: [200, 400], upstream: 1 },
        also: ({ seen }) => {
          expect(seen[0]?.readAs("transfer-encoding")).toEqual([]);
          expect([seen[0]?.body.toString(), seen[0]?.all("content-length")]).toEqual(["hello", ["5"]]);
        },
      }),
    ),
    {
      id: "★S06",
      title: "forwards no Content_Length",
      bytes: `POST /public/x HTTP/1.1\r\n${HOST}Content_Length: 50\r\n${CL}\r\nhello`,
      expect: { status: [200, 400], upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.readAs("content-length").map(([, value]) => value)).toEqual(["5"]),
    },
    ...[
      ["two Transfer-Encoding lines", TE + TE],
      ["chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n"],
      ["chunked, identity", "Transfer-Encoding: chunked, identity\r\n"],
      ["chunked then identity in two lines", `${TE}Transfer-Encoding: identity\r\n`],
      ["a vertical tab before the coding", "Transfer-Encoding: \x0bchunked\r\n"],
      ["a next-line character after the coding", "Transfer-Encoding: chunked\x85\r\n"],
      ["a no-break space before the coding", "Transfer-Encoding: \xa0chunked\r\n"],
      ["a broken field name", "Transfer-\r\nEncoding: chunked\r\n"],
      ["a space before the colon", "Transfer-Encoding : chunked\r\n"],
      ["a folded coding", "Transfer-Encoding:\r\n chunked\r\n"],
      ["a NUL in the name", "Transfer-Encoding\0: chunked\r\n"],
    ].map(([title, lines]) => refused("S07", title as string, post(lines as string))),
    ...[
      ["a bare CR as a line end", `GET /public/x HTTP/1.1\rHost: rig.test\r\n\r\n`],
      ["a bare LF as every line end", `GET /public/x HTTP/1.1\nHost: rig.test\n\n`],
      ["a CR before the end of the head", `GET /public/x HTTP/1.1\r\n${HOST}\rX-A: b\r\n\r\n`],
      ["a NUL in a value", `GET /public/x HTTP/1.1\r\n${HOST}X: a\0b\r\n\r\n`],
      ["a CR in a value", `GET /public/x HTTP/1.1\r\n${HOST}X: a\rX-User-Id: b\r\n\r\n`],
      ["a bare LF in a value", `GET /public/x HTTP/1.1\r\n${HOST}X: a\nX-User-Id: b\r\n\r\n`],
      ["an 8-bit name", `GET /public/x HTTP/1.1\r\n${HOST}X\xe9: a\r\n\r\n`],
      ["an empty name", `GET /public/x HTTP/1.1\r\n${HOST}: a\r\n\r\n`],
      ["a line without a colon", `GET /public/x HTTP/1.1\r\n${HOST}nothing\r\n\r\n`],
      ["a name in brackets", `GET /public/x HTTP/1.1\r\n${HOST}X(a): b\r\n\r\n`],
      ["a version that is none", `GET /public/x HTTP/1.2x\r\n${HOST}\r\n`],
      ["a lower-case version", `GET /public/x http/1.1\r\n${HOST}\r\n`],
      ["a third word in the request line", `GET /public/x y HTTP/1.1\r\n${HOST}\r\n`],
      ["a tab in the request line", `GET\t/public/x\tHTTP/1.1\r\n${HOST}\r\n`],
      ["HTTP/0.9", `GET /public/x\r\n\r\n`],
    ].map(([title, bytes]) => refused("S08", title as string, bytes as string, [400, 505])),
    ...[
      ["a chunk size of 17 digits", "10000000000000000\r\nhi\r\n0\r\n\r\n"],
      ["a chunk size in 0x form", "0x2\r\nhi\r\n0\r\n\r\n"],
      ["a negative chunk size", "-2\r\nhi\r\n0\r\n\r\n"],
      ["a chunk longer than its size", "2\r\nhiX\r\n0\r\n\r\n"],
      ["a chunk size with a space before", " 2\r\nhi\r\n0\r\n\r\n"],
      ["a chunk that ends in a bare LF", "2\r\nhi\n0\r\n\r\n"],
      ["a chunk size that ends in a bare LF", "2\nhi\r\n0\r\n\r\n"],
      ["a bare CR in a chunk extension", "2;a\rb\r\nhi\r\n0\r\n\r\n"],
      ["a bare LF in a chunk extension", "2;a\nb\r\nhi\r\n0\r\n\r\n"],
    ].map(
      ([title, body]): Case => ({
        id: "S09",
        title: `never completes ${title} towards the upstream`,
        bytes: post(TE, body as string),
        options: { untilClose: true },
        expect: { status: [0, 400, 502], closed: true, upstream: 0 },
      }),
    ),
    {
      id: "★S10",
      title: "cuts a chunk extension of a megabyte",
      bytes: `POST /public/x HTTP/1.1\r\n${HOST}${TE}\r\n1;${"e".repeat(1_048_576)}\r\na\r\n0\r\n\r\n`,
      options: { untilClose: true },
      expect: { status: [0, 400, 413], closed: true, upstream: 0 },
    },
    {
      id: "★S10",
      title: "cuts many small chunks with large extensions",
      bytes: `POST /public/x HTTP/1.1\r\n${HOST}${TE}\r\n${`1;${"e".repeat(100_000)}\r\na\r\n`.repeat(5)}0\r\n\r\n`,
      options: { untilClose: true },
      expect: { status: [0, 400, 413], closed: true, upstream: 0 },
    },
    {
      id: "S11",
      title: "cuts a megabyte of trailers",
      bytes: `POST /public/x HTTP/1.1\r\n${HOST}${TE}\r\n0\r\n${`T: ${"t".repeat(1_000)}\r\n`.repeat(1_000)}\r\n`,
      options: { untilClose: true },
      expect: { status: [0, 400, 413, 431], closed: true, upstream: 0 },
    },
    {
      id: "S16",
      title: "opens no h2c tunnel",
      bytes: requestBytes({
        target: "/public/x",
        headers: {
          Connection: "Upgrade, HTTP2-Settings",
          Upgrade: "h2c",
          "HTTP2-Settings": "AAMAAABkAAQAAP__",
        },
      }),
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.raw.toString()).not.toMatch(/h2c|http2-settings|upgrade/i),
    },
    {
      id: "S20",
      title: "writes one framing field to the upstream, whatever the spelling of the client's",
      bytes: `POST /public/x HTTP/1.1\r\n${HOST}cOnTeNt-LeNgTh: 5\r\n\r\nhello`,
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) =>
        expect(
          seen[0]?.headers.filter(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name)).length,
        ).toBe(1),
    },
  ],
);

describe("one connection, several callers", () => {
  test("★S14 after an early 401 with a small unread body the next request on the connection is served", async () => {
    const connection = new RawConnection(rig.port);
    await connection.send([
      requestBytes({
        method: "POST",
        target: "/api/x",
        headers: { "Content-Length": String(SECOND.length) },
      }),
      20,
      SECOND,
      requestBytes({ target: "/public/next" }),
    ]);
    const responses = await connection.receive(2, 1_000);
    // Or the connection ends: both are safe, a third answer is not.
    expect(responses[0]?.status).toBe(401);
    if (responses.length > 1) expect(responses[1]?.json.target).toBe("/public/next");
    expect(responses.length).toBeLessThanOrEqual(2);
    expect(responses.length === 2 || connection.end !== "open").toBe(true);
    connection.destroy();
  });

  test("★S13 a request without credentials gains nothing from the one before it on the connection", async () => {
    const connection = new RawConnection(rig.port);
    await connection.send(requestBytes({ target: "/api/1", headers: rig.bearer() }));
    await connection.receive(1);
    await connection.send(requestBytes({ target: "/api/2" }));
    await connection.receive(2);
    await connection.send(requestBytes({ target: "/api/3", headers: rig.bearer({ sub: "third" }) }));
    const responses = await connection.receive(3);
    expect(responses.map((one) => one.status)).toEqual([200, 401, 200]);
    expect(rig.recorder.last?.header("x-user-id")).toBe("third");
    connection.destroy();
  });

  test("★S13 2,000 interleaved requests of four users over shared connections keep their identities and bodies", async () => {
    const users = ["u1", "u2", "u3", "u4"].map((sub) => [sub, rig.bearer({ sub })] as const);
    const wrong: string[] = [];
    const connections = Array.from({ length: 8 }, () => new RawConnection(rig.port));
    await Promise.all(
      connections.map(async (connection, lane) => {
        for (let round = 0; round < 50; round++) {
          const batch = Array.from({ length: 5 }, (_, index) => {
            const [sub, headers] = users[(lane + round + index) % 4] ?? users[0]!;
            return {
              sub,
              bytes: requestBytes({
                method: "POST",
                target: `/api/${lane}-${round}-${index}`,
                headers,
                body: `${sub}:${lane}-${round}-${index}`,
              }),
            };
          });
          // Pipelined: all five at once.
          await connection.send(Buffer.concat(batch.map((one) => one.bytes)));
          const responses = await connection.receive((round + 1) * 5);
          for (const [index, { sub }] of batch.entries()) {
            const seen = responses[round * 5 + index]?.json ?? {};
            const id = (seen.headers as [string, string][] | undefined)?.find(
              ([name]) => name.toLowerCase() === "x-user-id",
            )?.[1];
            if (
              seen.target !== `/api/${lane}-${round}-${index}` ||
              id !== sub ||
              seen.body !== `${sub}:${lane}-${round}-${index}`
            )
              wrong.push(JSON.stringify(seen).slice(0, 200));
          }
        }
        connection.destroy();
      }),
    );
    expect(wrong).toEqual([]);
  });

  test.each([
    [401, "/api/x"],
    [404, "/none"],
    [413, "/public/x"],
  ])("★S14 after an early %i the unread body is never taken for a request", async (status, target) => {
    const mark = rig.recorder.mark();
    const body = SECOND.repeat(status === 413 ? 50_000 : 20_000);
    const head = requestBytes({ method: "POST", target, headers: { "Content-Length": String(body.length) } });
    const connection = new RawConnection(rig.port);
    await connection.send([head, body.slice(0, 400_000)]);
    const [response] = await connection.receive(1);
    expect(response?.status).toBe(status);
    await connection.send([body.slice(400_000), SECOND]);
    await connection.closed(1_500);
    await sleep(20);
    // More than a little is not read on: the connection ends, and nothing of the body became a request.
    expect(connection.end).not.toBe("open");
    expect([rig.recorder.since(mark).requests, connection.responses().final.length]).toEqual([0, 1]);
    connection.destroy();
    await expectAlive(rig);
  });
});
