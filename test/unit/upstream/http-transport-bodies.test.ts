// Bodies in both directions through the client of upstreams: every byte in its place, in memory that is used again, with
// receivers and upstreams that are slow, break off or send too much; over real sockets.

import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readRequest } from "../../support/http-bytes.ts";
import { chunk, type Recorder, respond } from "../../support/recorder.ts";
import { until } from "../../support/served.ts";
import {
  all,
  digest,
  type Habits,
  Pieces,
  type RawUpstream,
  type Receiver,
  reply,
  TransportRig,
  turns,
} from "../../support/transports.ts";

let rig: TransportRig;
let recorder: Recorder;
beforeEach(async () => {
  rig = await new TransportRig().start();
  ({ recorder } = rig);
});
afterEach(async () => {
  expect(await rig.end()).toEqual([]);
});

describe("a long answer", () => {
  const LONG = randomBytes(32 * 1024 * 1024);
  const EXPECTED = digest(LONG);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${LONG.length}\r\n\r\n`;

  /** Pauses now and then for a moment, and keeps some of the memory or none of it. */
  const hesitant = (every: number, keeps: (piece: number) => boolean): Habits => {
    let pieces = 0;
    let waiting = false;
    return {
      onData(one) {
        pieces += 1;
        if (pieces % every === 0 && !waiting) {
          waiting = true;
          one.control.pause();
          setTimeout(() => {
            waiting = false;
            one.control.resume();
          }, pieces % 3);
        }
        return keeps(pieces);
      },
    };
  };

  test.each<readonly [what: string, keeps: (piece: number) => boolean]>([
    ["all its memory kept", () => true],
    ["none of its memory kept", () => false],
    ["every third piece kept", (piece) => piece % 3 === 0],
  ])("with pauses keeps every byte right, %s", async (_, keeps) => {
    const upstream = await rig.raw((socket) =>
      socket.on("data", () => {
        socket.write(head);
        socket.write(LONG);
      }),
    );
    const transport = rig.to(upstream.url);
    const first = await rig.send(transport, "/first", hesitant(20, keeps)).done;
    expect([first.code, digest(first.pieces)]).toEqual(["", EXPECTED]);
    const second = await rig.send(transport, "/second", hesitant(50, keeps)).done;
    expect([second.code, digest(second.pieces), upstream.sockets.length]).toEqual(["", EXPECTED, 1]);
  });

  test("in chunks with pauses keeps every byte right", async () => {
    const part = LONG.subarray(0, 4 * 1024 * 1024);
    const coded: Buffer[] = [];
    for (let at = 0, size = 1; at < part.length; at += size, size = (size * 7 + 13) % 40_000) {
      size += 1;
      coded.push(chunk(part.subarray(at, at + size)));
    }
    const answer = Buffer.concat([
      Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
      ...coded,
      Buffer.from("0\r\n\r\n"),
    ]);
    const upstream = await rig.raw((socket) => socket.on("data", () => socket.write(answer)));
    const first = await rig.send(
      rig.to(upstream.url),
      "/first",
      hesitant(40, () => true),
    ).done;
    expect([first.code, digest(first.pieces)]).toEqual(["", digest(part)]);
  });

  test("waits at the upstream while its receiver is paused", async () => {
    let flushed = false;
    const upstream = await rig.raw((socket) =>
      socket.on("data", () => {
        socket.write(head);
        socket.write(LONG, () => {
          flushed = true;
        });
      }),
    );
    let resumed = false;
    const first = rig.send(rig.to(upstream.url), "/first", {
      onData(one) {
        if (!resumed) one.control.pause();
        return true;
      },
    });
    await until(() => first.pieces.length > 0);
    await sleep(100);
    const pieces = first.pieces.length;
    await sleep(50);
    expect([flushed, first.pieces.length - pieces]).toEqual([false, 0]);
    resumed = true;
    first.control.resume();
    expect(digest((await first.done).pieces)).toBe(EXPECTED);
  });

  test("leaves little memory to an idle connection", async () => {
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc") as () => void;
    const bytesInUse = async (): Promise<number> => {
      for (let round = 0; round < 5; round++) {
        gc();
        await sleep(10);
      }
      return process.memoryUsage().arrayBuffers;
    };
    const answer = reply(LONG.subarray(0, 300_000));
    const { promise: complete, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    const upstream = await rig.raw((socket) =>
      socket.on("data", async () => {
        asked += 1;
        if (asked === 100) resolve();
        await complete;
        socket.write(answer);
      }),
    );
    const transport = rig.to(upstream.url, { connections: 100 });
    const before = await bytesInUse();
    let sent: readonly Receiver[] = Array.from({ length: 100 }, () => rig.send(transport, "/x"));
    await all(sent);
    for (const one of sent) one.pieces.length = 0;
    sent = [];
    expect((await bytesInUse()) - before).toBeLessThan(100 * 80 * 1024);
    expect(upstream.open).toBe(100);
  });

  test("that ends while its receiver is paused leaves a connection that flows", async () => {
    const transport = rig.to(recorder.url, { connections: 1 });
    const paused: Habits = {
      onData(one) {
        one.control.pause();
        return true;
      },
      onEnd: (one) => one.control.pause(),
    };
    for (const path of ["/a", "/b", "/c"])
      expect((await rig.send(transport, path, paused).done).text).toBe(path);
    await rig.expectServed(transport);
    expect(recorder.connections).toBe(1);
  });
});

test("many small answers on many connections keep their bytes right, though all are compared at the end", async () => {
  const bodyOf = (path: string): string => path.repeat((Number(path.slice(1)) * 37) % 211);
  recorder.script(async ({ request, send }) => {
    const number = Number(request.target.slice(1));
    const body = bodyOf(request.target);
    if (number % 3 === 0) await send(reply(body));
    else if (number % 3 === 1) {
      const half = Math.floor(body.length / 2);
      const parts = [body.slice(0, half), body.slice(half)].filter((part) => part !== "").map(chunk);
      await send([
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ...parts,
        "0\r\n",
        number % 5 === 0 ? 1 : 0,
        "\r\n",
      ]);
    } else {
      const answer = reply(body);
      const cut = (number * 13) % answer.length;
      await send([answer.subarray(0, cut), 0, answer.subarray(cut)]);
    }
  });
  const transport = rig.to(recorder.url, { connections: 16 });
  const sent: Receiver[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      while (next < 1_500) {
        const number = next++;
        const one = rig.send(transport, `/${number}`, {
          onData: (_, piece) => (number + piece.length) % 4 !== 0,
        });
        sent[number] = one;
        await one.done;
      }
    }),
  );
  const wrong = sent.flatMap((one, number) => (one.text === bodyOf(`/${number}`) ? [] : [number]));
  expect(wrong).toEqual([]);
  expect(recorder.connections).toBeLessThanOrEqual(16);
});

describe("the body of a request", () => {
  const BODY = randomBytes(24 * 1024 * 1024);

  /** Doesn't read until the test says so, then answers as soon as the request is complete. */
  async function lazy(): Promise<RawUpstream & { readonly got: Buffer[] }> {
    const got: Buffer[] = [];
    let tail = Buffer.alloc(0);
    let size = 0;
    const upstream = await rig.raw(
      (socket) => {
        socket.on("data", (piece: Buffer) => {
          got.push(piece);
          size += piece.length;
          tail = Buffer.concat([tail, piece]).subarray(-5);
          if (size > BODY.length + 1_000_000) socket.destroy();
          else if (tail.toString("latin1") === "0\r\n\r\n" || wholeOf(got, size))
            socket.write(reply("got it"));
        });
      },
      { pauseOnConnect: true },
    );
    return Object.assign(upstream, { got });
  }

  /** Whether a request with a length is complete. */
  function wholeOf(got: readonly Buffer[], size: number): boolean {
    const text = got[0]?.toString("latin1", 0, 1_000) ?? "";
    const length = /content-length: (\d+)/i.exec(text)?.[1];
    return length !== undefined && size === text.indexOf("\r\n\r\n") + 4 + Number(length);
  }

  test.each<readonly [what: string, bodyLength: number | undefined, framing: string]>([
    ["a length", BODY.length, "length"],
    ["chunks", undefined, "chunked"],
  ])("with %s arrives byte for byte, and no faster than the upstream reads", async (_, length, framing) => {
    const upstream = await lazy();
    const transport = rig.to(upstream.url);
    const body = new Pieces(BODY, 50_001);
    const first = rig.send(transport, "/first", {
      body,
      ...(length === undefined ? {} : { bodyLength: length }),
    });
    await until(() => upstream.sockets.length === 1);
    await sleep(100);
    const { produced } = body;
    await sleep(50);
    expect(produced).toBeLessThan(BODY.length - 1_000_000);
    expect(body.produced).toBe(produced);
    upstream.last.resume();
    await first.done;
    expect([first.code, first.text]).toEqual(["", "got it"]);
    const message = readRequest(Buffer.concat(upstream.got))?.message;
    expect([message?.framing, message?.complete]).toEqual([framing, true]);
    expect(digest(message?.body ?? Buffer.alloc(0))).toBe(digest(BODY));
    expect((await rig.send(transport, "/again", { body: Readable.from([Buffer.from("x")]) }).done).text).toBe(
      "got it",
    );
    expect(upstream.sockets).toHaveLength(1);
  });

  test("isn't ended by an empty piece", async () => {
    recorder.script(({ request, send }) => send(reply(request.body)));
    const body = Readable.from([Buffer.from("one,"), Buffer.alloc(0), Buffer.from("two")]);
    expect((await rig.send(rig.to(), "/first", { body }).done).text).toBe("one,two");
    expect(recorder.requests).toHaveLength(1);
  });

  test.each<readonly [what: string, body: () => Readable, bodyLength: number | undefined]>([
    ["with a length that fails", () => failing(), 100],
    ["in chunks that fails", () => failing(), undefined],
    ["that is given up", () => failing(null), 100],
    ["in chunks that is given up", () => failing(null), undefined],
    ["that is shorter than announced", () => Readable.from([Buffer.from("short")]), 100],
  ])("%s resets the upload and never completes it", async (_, make, bodyLength) => {
    let got = "";
    const upstream = await rig.raw((socket, number) => {
      socket.setEncoding("latin1").on("data", (text: string) => {
        got += text;
        if (number === 2) socket.write(reply("fine"));
      });
    });
    const transport = rig.to(upstream.url);
    const sending = bodyLength === undefined ? {} : { bodyLength };
    const first = await rig.send(transport, "/first", { body: make(), ...sending }).done;
    expect([first.events, first.unanswered]).toEqual([["start", "error"], false]);
    expect(["BODY_BROKEN", "BODY_MISMATCH"]).toContain(first.code);
    await until(() => upstream.open === 0);
    expect(got).toMatch(/short|some/);
    expect(got).not.toMatch(/\r\n0\r\n/);
    expect((await rig.send(transport, "/second").done).text).toBe("fine");
    expect(upstream.sockets).toHaveLength(2);
  });

  /** Fails some time after its first piece was read; with null it is given up without a reason. */
  function failing(
    error: Error | null = Object.assign(new Error("broken"), { code: "BODY_BROKEN" }),
  ): Readable {
    let begun = false;
    return new Readable({
      read() {
        if (begun) setTimeout(() => this.destroy(error ?? undefined), 10);
        else this.push("some");
        begun = true;
      },
    });
  }

  test("that was given up while its request waited is never begun", async () => {
    const transport = rig.to(recorder.url, { connections: 1 });
    const first = rig.send(transport, "/first");
    const body = new Pieces(BODY, 1_000);
    const second = rig.send(transport, "/second", { body, bodyLength: BODY.length });
    body.destroy();
    await all([first, second]);
    expect([second.events, second.code]).toEqual([["start", "error"], "BODY_MISMATCH"]);
    await rig.expectServed(transport);
    expect(recorder.requests.map(({ target }) => target)).toEqual(["/first", "/served"]);
  });

  test("that is longer than announced never becomes a second request", async () => {
    const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    const transport = rig.to();
    const body = Readable.from([Buffer.from("12345"), Buffer.from(smuggled)]);
    const first = await rig.send(transport, "/first", { body, bodyLength: 5 }).done;
    expect(first.code === "BODY_MISMATCH" || first.events.at(-1) === "end").toBe(true);
    await rig.expectServed(transport);
    expect(recorder.requests.map(({ target }) => target)).not.toContain("/smuggled");
  });

  test("whose failure comes on a used connection never counts as unanswered", async () => {
    const transport = rig.to();
    await rig.expectServed(transport);
    const second = await rig.send(transport, "/second", { body: failing(), bodyLength: 100 }).done;
    expect([second.code, second.unanswered]).toEqual(["BODY_BROKEN", false]);
  });

  test.each<readonly [how: string, end: (socket: Socket) => void]>([
    ["resets", (socket) => socket.resetAndDestroy()],
    ["ends", (socket) => socket.end()],
  ])("that the upstream %s is given up, and reported once", async (_, end) => {
    const upstream = await rig.raw((socket) => socket.once("data", () => end(socket)));
    const body = new Pieces(BODY, 65_536);
    const first = await rig.send(rig.to(upstream.url), "/first", { body, bodyLength: BODY.length }).done;
    expect(first.events).toEqual(["start", "error"]);
    await turns();
    expect(body.destroyed).toBe(true);
  });

  test("can be refused by an answer in the middle of it", async () => {
    const upstream = await rig.raw((socket) =>
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
      }),
    );
    const body = new Pieces(BODY, 65_536);
    const first = await rig.send(rig.to(upstream.url), "/first", { body, bodyLength: BODY.length }).done;
    expect([first.events, first.text]).toEqual([["start", "413", "data", "end"], "no"]);
    expect(body.destroyed).toBe(true);
    expect(body.produced).toBeLessThan(BODY.length);
  });

  test("of a head that can't be written is never sent", async () => {
    const transport = rig.to();
    const first = await rig.send(transport, "/first\r\nX-Smuggled: 1").done;
    expect([first.events, first.code]).toEqual([["start", "error"], "REQUEST_UNSENDABLE"]);
    await rig.expectServed(transport);
    expect(recorder.requests).toHaveLength(1);
  });
});

test("a storm of good, bad and abandoned exchanges never crosses answers nor uses up connections", async () => {
  let seed = 20_261_122;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const bodyOf = (path: string): string => path.repeat(1 + ((Number(path.slice(1)) * 7_919) % 3_000));
  recorder.script(async ({ request, socket, send }) => {
    const body = bodyOf(request.target);
    const coded = Buffer.concat([
      Buffer.from("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
      chunk(body),
      Buffer.from("0\r\n\r\n"),
    ]);
    const answers: readonly (() => unknown)[] = [
      () => send(reply(body)),
      () => send(coded),
      () => send([coded.subarray(0, 60), 1, coded.subarray(60)]),
      () => send(["HTTP/1.1 100 Continue\r\n\r\n", reply(body)]),
      () => send(Buffer.concat([reply(body), respond(200, {}, "poison")])),
      () => send(`HTTP/1.0 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
      () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`),
      () => socket.end(reply(body)),
      () => socket.resetAndDestroy(),
      () => socket.end(),
      () => socket.end(reply(body).subarray(0, -1)),
      () => send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
      () => undefined,
    ];
    await answers[random(answers.length)]?.();
  });
  const transport = rig.to(recorder.url, { connections: 6 });
  const sent: Receiver[] = [];
  const given: boolean[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      while (next < 600) {
        const number = next++;
        const path = `/${number}`;
        const when = random(8);
        const body = Buffer.from(bodyOf(path));
        const upload = random(3);
        const one = rig.send(transport, path, {
          ...(upload === 0 ? {} : { body: new Pieces(body, 1_000) }),
          ...(upload === 1 ? { bodyLength: body.length } : {}),
          onHead: (receiver) => {
            if (when === 1) receiver.abort();
          },
          onData: (receiver) => {
            if (when === 2) receiver.abort();
            if (when === 3) {
              receiver.control.pause();
              setTimeout(() => receiver.control.resume(), 1);
            }
            return when !== 4;
          },
        });
        sent[number] = one;
        const finished = await Promise.race([one.done, sleep(when === 0 ? 1 : 30, undefined)]);
        given[number] = finished === undefined;
        if (finished === undefined) one.abort();
      }
    }),
  );
  await sleep(50);
  const wrong = sent.filter(
    (one, number) => one.events.at(-1) === "end" && one.text !== bodyOf(`/${number}`),
  );
  expect(wrong.map(({ text }) => text.slice(0, 40))).toEqual([]);
  expect(sent.filter(({ events }) => events.at(-1) === "end").length).toBeGreaterThan(100);
  const silent = sent.filter(({ events, over }) => !over && !["end", "error"].includes(events.at(-1) ?? ""));
  expect(silent).toHaveLength(0);
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  recorder.script(async ({ request, send }) => {
    await opened;
    await send(reply(request.target));
  });
  const known = recorder.mark();
  const rest = Array.from({ length: 8 }, (_, index) => rig.send(transport, `/rest/${index}`));
  await until(() => recorder.since(known).requests === 6);
  await sleep(20);
  expect([recorder.since(known).requests, recorder.open]).toEqual([6, 6]);
  open();
  await all(rest);
  expect(rest.map(({ text }) => text)).toEqual(rest.map((_, index) => `/rest/${index}`));
});
