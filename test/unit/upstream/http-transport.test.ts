// Which connection carries which request, and what reaches the receivers when connections end, fail or are missing; over
// real sockets.

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { Readable } from "node:stream";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Answering, type Recorder, respond, startRecorder } from "../../support/recorder.ts";
import { until } from "../../support/served.ts";
import { StuckPort } from "../../support/stuck-port.ts";
import { all, type Habits, ownPath, Receiver, reply, TransportRig, turns } from "../../support/transports.ts";

let rig: TransportRig;
let recorder: Recorder;
beforeEach(async () => {
  rig = await new TransportRig().start();
  ({ recorder } = rig);
});
afterEach(async () => {
  expect(await rig.end()).toEqual([]);
});

/** A recorder's answer that is exactly these bytes. */
const bytes =
  (text: string | Buffer) =>
  ({ send }: Answering): Promise<void> =>
    send(text);

/** Answers the first request with `first`, and all others with their own path. */
const firstly =
  (first: (answering: Answering) => unknown) =>
  async (answering: Answering): Promise<void> => {
    if (recorder.requests.length === 1) await first(answering);
    else await ownPath(answering);
  };

/** Numbers of the connections that carried the requests so far. */
const carriers = (): number[] => recorder.requests.map(({ connection }) => connection);

describe("a connection", () => {
  test.each<readonly [what: string, answer: string]>([
    ["an answer with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"],
    ["an empty answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    [
      "a chunked answer",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\nT: 1\r\n\r\n",
    ],
    ["interim answers", "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["a 204", "HTTP/1.1 204 None\r\n\r\n"],
    ["a 304", "HTTP/1.1 304 Same\r\n\r\n"],
    [
      "an HTTP/1.0 answer that keeps it",
      "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
    ],
    ["a promise to keep it", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n"],
  ])("carries the next request after %s", async (_, answer) => {
    recorder.script(firstly(bytes(answer)));
    const transport = rig.to();
    const first = await rig.send(transport, "/first").done;
    expect(first.events.at(-1)).toBe("end");
    await rig.expectServed(transport);
    await rig.expectServed(transport);
    expect(carriers()).toEqual([1, 1, 1]);
  });

  const EMPTY = "Content-Length: 0\r\n\r\n";
  test.each<[what: string, answer: string, method?: string]>([
    ["Connection: close", `HTTP/1.1 200 OK\r\nConnection: close\r\n${EMPTY}`],
    ["Connection: Close among others", `HTTP/1.1 200 OK\r\nConnection: x-a, Close\r\n${EMPTY}`],
    ["an HTTP/1.0 answer", `HTTP/1.0 200 OK\r\n${EMPTY}`],
    ["HEAD", "HTTP/1.1 200 OK\r\n\r\n", "HEAD"],
    ["HEAD with a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"],
    ["HEAD with a body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst", "HEAD"],
    ["a 204 with a length", "HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n"],
    ["a 204 with a coding", "HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["a 304 with a length", "HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n"],
    ["a promise of one second", `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\n${EMPTY}`],
    ["a promise of no second", `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\n${EMPTY}`],
  ])("is ended at once after %s", async (_, answer, method = "GET") => {
    recorder.script(firstly(bytes(answer)));
    const transport = rig.to(recorder.url, { connections: 1 });
    const first = await rig.send(transport, "/first", { method }).done;
    expect(first.events.at(-1)).toBe("end");
    const answered = performance.now();
    await until(() => recorder.ended === 1);
    expect(performance.now() - answered).toBeLessThan(300);
    await rig.expectServed(transport);
    expect(carriers()).toEqual([1, 2]);
  });

  test("is ended after an answer that lasts as long as it", async () => {
    recorder.script(
      firstly(async ({ send, socket }) => {
        await send(["HTTP/1.1 200 OK\r\n\r\nno", 20, " length"]);
        socket.end();
      }),
    );
    const transport = rig.to();
    const first = await rig.send(transport, "/first").done;
    expect([first.events.at(-1), first.text]).toEqual(["end", "no length"]);
    await rig.expectServed(transport);
    expect(carriers()).toEqual([1, 2]);
  });

  test("is ended after an answer that came before its request was complete", async () => {
    const upstream = await rig.raw((socket, number) => {
      socket.once("data", () => socket.write(reply(String(number))));
    });
    const transport = rig.to(upstream.url);
    const body = new Readable({ read: () => undefined });
    body.push("the beginning");
    const first = await rig.send(transport, "/first", { body, bodyLength: 100 }).done;
    expect([first.events.at(-1), first.text]).toEqual(["end", "1"]);
    await until(() => upstream.open === 0);
    expect(body.destroyed).toBe(true);
    expect((await rig.send(transport, "/second").done).text).toBe("2");
  });

  test("is ended before the upstream's promise to keep it runs out, and not much before", async () => {
    recorder.script(bytes("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 0\r\n\r\n"));
    const transport = rig.to();
    await rig.send(transport, "/first").done;
    const answered = performance.now();
    await until(() => recorder.open === 0);
    const lasted = performance.now() - answered;
    expect(lasted).toBeGreaterThan(900);
    expect(lasted).toBeLessThan(2_000);
    recorder.script(ownPath);
    await rig.expectServed(transport);
  });
});

describe("bytes that no request asked for", () => {
  const POISON = respond(200, {}, "poison");
  /** An answer that takes exactly so many bytes with its head. */
  const sized = (total: number): Buffer => {
    const headBytes = respond(200, {}, Buffer.alloc(total)).length - total;
    return respond(200, {}, Buffer.alloc(total - headBytes, "a"));
  };

  test.each([1, 4])("behind an answer never answer the next request, with %i connections", async (most) => {
    for (const total of [100, 16 * 1024 - 1, 16 * 1024, 64 * 1024, 80 * 1024]) {
      const answer = sized(total);
      const known = recorder.mark();
      recorder.script(({ request, send }) =>
        send(request.target === "/first" ? Buffer.concat([answer, POISON]) : reply(request.target)),
      );
      const transport = rig.to(recorder.url, { connections: most });
      const later: Receiver[] = [];
      const first = rig.send(transport, "/first", {
        onEnd: () => later.push(rig.send(transport, "/second")),
      });
      expect((await first.done).text).toMatch(/^a*$/);
      await all(later);
      expect(later.map(({ text }) => text)).toEqual(["/second"]);
      await until(() => recorder.open === 1);
      expect(recorder.since(known)).toMatchObject({ requests: 2, connections: 2 });
      transport.close();
      await until(() => recorder.open === 0);
    }
  });

  test("that come in the very moment of the end never answer the next request", async () => {
    const transport = rig.to();
    const sockets: Socket[] = [];
    recorder.script(
      firstly(async ({ socket, send }) => {
        sockets.push(socket);
        await send(reply("/first"));
      }),
    );
    const later: Receiver[] = [];
    const first = rig.send(transport, "/first", {
      onEnd: () => {
        for (const socket of sockets) socket.write(POISON);
        later.push(rig.send(transport, "/second"));
      },
    });
    expect((await first.done).text).toBe("/first");
    await all(later);
    expect(later.map(({ text }) => text)).toEqual(["/second"]);
    expect(carriers()).toEqual([1, 2]);
    await until(() => recorder.ended === 1);
  });

  test.each<readonly [what: string, unasked: string | Buffer]>([
    ["a whole answer", POISON],
    ["an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["a timeout's answer", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"],
    ["an empty line", "\r\n"],
    ["one byte", "x"],
  ])("while idle cost the connection: %s", async (_, unasked) => {
    const upstream = await rig.raw((socket, number) => {
      socket.on("data", () => socket.write(reply(String(number))));
    });
    const transport = rig.to(upstream.url, { connections: 1 });
    expect((await rig.send(transport, "/first").done).text).toBe("1");
    await turns();
    upstream.last.write(unasked);
    const second = rig.send(transport, "/second");
    expect([(await second.done).text, second.unanswered]).toEqual(["2", undefined]);
    expect(upstream.sockets[0]?.destroyed ?? true).toBe(true);
  });

  test("before any request are no answer: another protocol's greeting fails the request", async () => {
    const upstream = await rig.raw((socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n"));
    const first = await rig.send(rig.to(upstream.url), "/first").done;
    expect([first.events, first.code, first.unanswered]).toEqual([
      ["start", "error"],
      "ANSWER_INVALID",
      false,
    ]);
    await until(() => upstream.open === 0);
  });

  test("on a connection that never carried a request cost it, and no request", async () => {
    const upstream = await rig.raw((socket, number) => {
      socket.on("data", () => socket.write(reply(String(number))));
    });
    const transport = rig.to(upstream.url);
    const gone = rig.send(transport, "/gone");
    await turn();
    gone.abort();
    await until(() => upstream.sockets.length === 1);
    await turns();
    upstream.last.write(POISON);
    expect((await rig.send(transport, "/first").done).text).toBe("2");
    expect(gone.events).toEqual([]);
  });
});

describe("an upstream that ends an idle connection", () => {
  test.each<readonly [how: string, end: (socket: Socket) => void]>([
    ["orderly", (socket) => socket.end()],
    ["by a reset", (socket) => socket.resetAndDestroy()],
  ])("%s is not used on it, even by a request of the same moment", async (_, end) => {
    const upstream = await rig.raw((socket, number) => {
      socket.on("data", () => socket.write(reply(String(number))));
    });
    const transport = rig.to(upstream.url);
    for (let number = 1; number <= 10; number++) {
      const got = await rig.send(transport, "/next").done;
      expect([got.code, got.text]).toEqual(["", String(number)]);
      await turns();
      end(upstream.last);
    }
  });

  test("that was never used costs no waiting request", async () => {
    const upstream = await rig.raw((socket) => {
      socket.on("data", () => socket.write(reply("served")));
    });
    const transport = rig.to(upstream.url);
    const gone = rig.send(transport, "/gone");
    await turn();
    gone.abort();
    await until(() => upstream.sockets.length === 1);
    await turns();
    upstream.last.destroy();
    const waiting = [rig.send(transport, "/a")];
    await turn();
    waiting.push(rig.send(transport, "/b"));
    await all(waiting);
    expect(waiting.map(({ code, text }) => code + text)).toEqual(["served", "served"]);
  });
});

describe("an upstream that ends the connection instead of answering", () => {
  const ENDS: readonly (readonly [how: string, end: (socket: Socket) => void])[] = [
    ["orderly", (socket) => socket.end()],
    ["by a reset", (socket) => socket.resetAndDestroy()],
  ];

  test.each(ENDS)("%s, in its first use: the request was possibly seen", async (_, end) => {
    const upstream = await rig.raw((socket) => socket.once("data", () => end(socket)));
    const first = await rig.send(rig.to(upstream.url), "/first").done;
    expect([first.events, first.unanswered]).toEqual([["start", "error"], false]);
    expect(["CONNECTION_LOST", "ECONNRESET"]).toContain(first.code);
  });

  test.each(ENDS)("%s, in its second use: the request was most likely never seen", async (_, end) => {
    const upstream = await rig.raw((socket) =>
      socket.once("data", () => {
        socket.write(reply("first"));
        socket.once("data", () => end(socket));
      }),
    );
    const transport = rig.to(upstream.url);
    await rig.send(transport, "/first").done;
    await turns();
    const second = await rig.send(transport, "/second").done;
    expect([second.events, second.unanswered]).toEqual([["start", "error"], true]);
    expect(upstream.sockets).toHaveLength(1);
  });

  test.each(ENDS)("%s, after a byte of the answer: the request was seen", async (_, end) => {
    const upstream = await rig.raw((socket) =>
      socket.once("data", () => {
        socket.write(reply("first"));
        socket.once("data", () => {
          socket.write("H");
          setTimeout(() => end(socket), 20);
        });
      }),
    );
    const transport = rig.to(upstream.url);
    await rig.send(transport, "/first").done;
    await turns();
    const second = await rig.send(transport, "/second").done;
    expect([second.events, second.unanswered]).toEqual([["start", "error"], false]);
  });

  test.each<readonly [what: string, part: string]>([
    ["a length", "Content-Length: 10\r\n\r\nhalf"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
  ])("in the middle of an answer with %s leaves it incomplete", async (_, part) => {
    recorder.script(async ({ send, socket }) => {
      await send(`HTTP/1.1 200 OK\r\n${part}`);
      socket.end();
    });
    const first = await rig.send(rig.to(), "/first").done;
    expect([first.events, first.text]).toEqual([["start", "200", "data", "error"], "half"]);
  });

  test("by a reset leaves even an answer without a length incomplete", async () => {
    recorder.script(async ({ send, socket }) => {
      await send(["HTTP/1.1 200 OK\r\n\r\nhalf", 20]);
      socket.resetAndDestroy();
    });
    const first = await rig.send(rig.to(), "/first").done;
    expect([first.events, first.code]).toEqual([["start", "200", "data", "error"], "ECONNRESET"]);
  });
});

describe("an upstream that is not there", () => {
  test.each([
    1, 4, 64,
  ])("fails each of 50 requests once and soon, with %i connections", async (connections) => {
    const upstream = await rig.raw(() => undefined);
    const { url } = upstream;
    await upstream.stop();
    const transport = rig.to(url, { connections });
    const started = performance.now();
    const sent = Array.from({ length: 50 }, (_, index) => rig.send(transport, `/${index}`));
    await all(sent);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(new Set(sent.map(({ code, events }) => `${events.join()} ${code}`))).toEqual(
      new Set(["error ECONNREFUSED"]),
    );
  });

  test("but comes back serves again", async () => {
    const { port, url } = recorder;
    await recorder.stop();
    const transport = rig.to(url, { connections: 1 });
    expect((await rig.send(transport, "/early").done).code).toBe("ECONNREFUSED");
    const back = createServer((socket) => {
      socket.on("data", () => socket.end(reply("/served")));
    });
    back.listen(port, "127.0.0.1");
    await once(back, "listening");
    await rig.expectServed(transport);
    transport.close();
    back.close();
    await once(back, "close");
    recorder = await startRecorder();
  });

  test.each<readonly [how: string, end: (socket: Socket) => void]>([
    ["orderly", (socket) => socket.end()],
    ["by a reset", (socket) => socket.resetAndDestroy()],
  ])("for longer than it takes to accept (%s) fails each request once", async (_, end) => {
    const upstream = await rig.raw(end);
    const transport = rig.to(upstream.url);
    const sent = Array.from({ length: 20 }, (_unused, index) => rig.send(transport, `/${index}`));
    await all(sent);
    expect(sent.filter(({ unanswered }) => unanswered === false)).toHaveLength(20);
    expect(sent.filter(({ events }) => events.at(-1) === "error")).toHaveLength(20);
    await until(() => upstream.open === 0);
  });

  test("because nothing accepts fails each request when its attempt is over, and frees the place", async () => {
    const stuck = await StuckPort.open();
    const transport = rig.to(`http://127.0.0.1:${stuck.port}`, { connections: 2, connectMs: 150 });
    const started = performance.now();
    const sent = Array.from({ length: 4 }, (_, index) => rig.send(transport, `/${index}`));
    await all(sent);
    const took = performance.now() - started;
    stuck.close();
    expect(sent.map(({ events, code }) => `${events.join()} ${code}`)).toEqual(
      new Array(4).fill("error CONNECT_TIMEOUT"),
    );
    expect(took).toBeGreaterThanOrEqual(290);
    expect(took).toBeLessThan(1_500);
  });
});

describe("the limit of connections", () => {
  /** Lets the recorder answer when the test says so. */
  function gate(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    recorder.script(async ({ request, send }) => {
      await promise;
      await send(reply(request.target));
    });
    return resolve;
  }

  test("holds, and what waits is served in its order", async () => {
    const open = gate();
    const transport = rig.to(recorder.url, { connections: 3 });
    const sent = Array.from({ length: 12 }, (_, index) => rig.send(transport, `/${index}`));
    await until(() => recorder.requests.length === 3);
    await sleep(20);
    expect([recorder.connections, recorder.requests.length]).toEqual([3, 3]);
    open();
    await all(sent);
    expect(sent.map(({ text }) => text)).toEqual(sent.map((_, index) => `/${index}`));
    expect(recorder.connections).toBe(3);
    const order = recorder.requests.map(({ target }) => Number(target.slice(1)));
    expect(Math.max(...order.slice(0, 3))).toBe(2);
    expect(order.at(-1)).toBeGreaterThan(8);
  });

  test("is not used up by connections that ended in any way", async () => {
    const transport = rig.to(recorder.url, { connections: 2 });
    recorder.script(async ({ request, socket, send }) => {
      if (request.target === "/reset") socket.resetAndDestroy();
      else if (request.target === "/close") await send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
      else if (request.target === "/wrong") await send("HTTP/2 200\r\n\r\n");
      else if (request.target !== "/silent") await send(reply(request.target));
    });
    for (let round = 0; round < 5; round++) {
      const silent = rig.send(transport, "/silent");
      const sent = ["/reset", "/wrong", "/fine"].map((path) => rig.send(transport, path));
      await until(() => silent.events.length === 1);
      silent.abort();
      await all(sent);
    }
    const open = gate();
    const known = recorder.mark();
    const sent = [rig.send(transport, "/a"), rig.send(transport, "/b"), rig.send(transport, "/c")];
    await until(() => recorder.since(known).requests === 2);
    await sleep(20);
    expect([recorder.since(known).requests, recorder.open]).toEqual([2, 2]);
    open();
    await all(sent);
    expect(sent.map(({ text }) => text)).toEqual(["/a", "/b", "/c"]);
  });

  test("skips requests that nobody waits for any more", async () => {
    const open = gate();
    const transport = rig.to(recorder.url, { connections: 1 });
    const first = rig.send(transport, "/first");
    await until(() => recorder.requests.length === 1);
    const gone = Array.from({ length: 5 }, (_, index) => rig.send(transport, `/gone/${index}`));
    const last = rig.send(transport, "/last");
    for (const receiver of gone) receiver.abort();
    open();
    await all([first, last]);
    expect(recorder.requests.map(({ target }) => target)).toEqual(["/first", "/last"]);
    expect(gone.flatMap(({ events }) => events)).toEqual([]);
  });

  test("keeps no memory of more than a few requests that were given up", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    recorder.script(() => undefined);
    const transport = rig.to(recorder.url, { connections: 1 });
    rig.send(transport, "/first");
    await until(() => recorder.requests.length === 1);
    // What waits is looked through from its front, where a request stands that somebody does wait for.
    rig.send(transport, "/second");
    const kept: WeakRef<Receiver>[] = [];
    for (let index = 0; index < 5_000; index++) {
      const receiver = new Receiver();
      kept.push(new WeakRef(receiver));
      transport.send(
        { method: "GET", path: "/gone", fields: ["Host", "a"], body: null, bodyLength: undefined },
        receiver,
      );
      receiver.abort();
    }
    await turns();
    collect();
    expect(kept.filter((one) => one.deref() !== undefined).length).toBeLessThan(200);
  });
});

describe("a receiver that gives up", () => {
  const long = `HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(50_000)}`;
  const whole = `${reply("whole").toString("latin1")}`;
  const chunks = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${"4\r\nmore\r\n".repeat(1000)}0\r\n\r\n`;

  test.each<readonly [when: string, answer: string, habits: Habits, events: readonly string[]]>([
    ["as its request starts", whole, { onStart: (one) => one.abort() }, ["start"]],
    ["at the head", whole, { onHead: (one) => one.abort() }, ["start", "200"]],
    ["at the head of a long answer", long, { onHead: (one) => one.abort() }, ["start", "200"]],
    [
      "at an interim head",
      `HTTP/1.1 103 Hints\r\n\r\n${whole}`,
      { onHead: (one) => one.abort() },
      ["start", "103"],
    ],
    ["at the first piece", long, { onData: aborting }, ["start", "200", "data"]],
    ["at the only piece", whole, { onData: aborting }, ["start", "200", "data"]],
    ["at the first chunk", chunks, { onData: aborting }, ["start", "200", "data"]],
    ["at the end", whole, { onEnd: (one) => one.abort() }, ["start", "200", "data", "end"]],
  ])("%s hears nothing more, and costs the connection alone", async (_, answer, habits, events) => {
    recorder.script(firstly(bytes(answer)));
    const transport = rig.to(recorder.url, { connections: 1 });
    const first = rig.send(transport, "/first", habits);
    await until(() => recorder.connections === 1 && recorder.open === 0);
    expect(first.events).toEqual(events);
    // Of a request that was given up as it started, nothing was sent.
    recorder.script(ownPath);
    await rig.expectServed(transport);
    expect(first.events).toEqual(events);
    expect(recorder.connections).toBe(2);
  });

  function aborting(one: Receiver): boolean {
    one.abort();
    return false;
  }

  test("before the head hears nothing more, and the upstream's connection ends", async () => {
    recorder.script(firstly(() => undefined));
    const transport = rig.to(recorder.url, { connections: 1 });
    const first = rig.send(transport, "/first");
    await until(() => recorder.requests.length === 1);
    first.abort();
    await until(() => recorder.open === 0);
    await rig.expectServed(transport);
    expect(first.events).toEqual(["start"]);
  });

  test("in the middle of its upload ends it unfinished", async () => {
    let got = "";
    const upstream = await rig.raw((socket) => {
      socket.setEncoding("latin1").on("data", (text: string) => {
        got += text;
      });
    });
    const transport = rig.to(upstream.url);
    const body = new Readable({ read: () => undefined });
    body.push("some");
    const first = rig.send(transport, "/first", { body });
    await until(() => got.includes("some"));
    first.abort();
    await until(() => upstream.open === 0);
    expect([body.destroyed, got.endsWith("4\r\nsome\r\n")]).toEqual([true, true]);
  });
});

describe("a receiver that throws", () => {
  const thrown = (): never => {
    throw new Error("a defect");
  };
  test.each<readonly [where: string, answer: string, habits: Habits, last: string]>([
    ["as its request starts", "", { onStart: thrown }, "error"],
    ["at the head", "", { onHead: thrown }, "error"],
    ["at a piece", "", { onData: thrown }, "error"],
    ["at the end", "", { onEnd: thrown }, "end"],
    ["at the end that the connection tells", "HTTP/1.1 200 OK\r\n\r\nrest", { onEnd: thrown }, "end"],
  ])("%s fails alone", async (_, answer, habits, last) => {
    recorder.script(async ({ request, send, socket }) => {
      if (answer === "" || request.target !== "/first") await send(reply(request.target));
      else {
        await send(answer);
        socket.end();
      }
    });
    const transport = rig.to(recorder.url, { connections: 1 });
    const first = await rig.send(transport, "/first", habits).done;
    expect(first.events.at(-1)).toBe(last);
    await rig.expectServed(transport);
  });
});

describe("closing", () => {
  test("fails what is under way and what waits, each once, and ends every connection", async () => {
    recorder.script(async ({ request, send }) => {
      if (request.target === "/streaming") await send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    });
    const transport = rig.to(recorder.url, { connections: 2 });
    const streaming = rig.send(transport, "/streaming");
    const silent = rig.send(transport, "/silent");
    const waiting = [rig.send(transport, "/a"), rig.send(transport, "/b"), rig.send(transport, "/c")];
    const gone = rig.send(transport, "/gone");
    await until(() => streaming.text === "half" && recorder.requests.length === 2);
    gone.abort();
    transport.close();
    await all([streaming, silent, ...waiting]);
    expect(streaming.events).toEqual(["start", "200", "data", "error"]);
    expect(silent.events).toEqual(["start", "error"]);
    expect(waiting.map(({ events, code }) => `${events.join()} ${code}`)).toEqual(
      new Array(3).fill("error TRANSPORT_CLOSED"),
    );
    expect(gone.events).toEqual([]);
    const late = rig.send(transport, "/late");
    expect([late.events, late.code, late.unanswered]).toEqual([["error"], "TRANSPORT_CLOSED", false]);
    transport.close();
    await until(() => recorder.open === 0);
    await turns();
    expect(recorder.requests).toHaveLength(2);
  });

  test.each([
    0, 1, 2, 3, 5, 8,
  ])("%i turns after requests began fails each of them at most once", async (count) => {
    const transport = rig.to(recorder.url, { connections: 2 });
    const sent = Array.from({ length: 6 }, (_, index) => rig.send(transport, `/${index}`));
    await turns(count);
    transport.close();
    await all(sent);
    await until(() => recorder.open === 0);
    expect(
      sent.every(({ events }) => /^(?:start,)?(?:error|200,data,(?:end|error))$/.test(events.join())),
    ).toBe(true);
  });

  test("in the middle of a report is fine", async () => {
    for (const at of ["onStart", "onHead", "onEnd"] as const) {
      const transport = rig.to();
      const close = { [at]: () => transport.close() };
      const sent = [rig.send(transport, "/a", close), rig.send(transport, "/b"), rig.send(transport, "/c")];
      await all(sent);
      await until(() => recorder.open === 0);
    }
  });
});

describe("the upstream's address", () => {
  test("can be a name", async () => {
    const transport = rig.to(recorder.url.replace("127.0.0.1", "localhost"));
    await rig.expectServed(transport);
  });

  const IPV6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === "::1"),
  );
  test.skipIf(!IPV6)("can be one of IPv6", async () => {
    const upstream = await rig.raw((socket) => socket.on("data", () => socket.write(reply("six"))), {
      host: "::1",
    });
    expect((await rig.send(rig.to(`http://[::1]:${upstream.port}`), "/first").done).text).toBe("six");
  });

  test("that no resolver knows fails each request once", async () => {
    const transport = rig.to("http://no-such-host.invalid:80", { connectMs: 1_000 });
    const sent = [rig.send(transport, "/a"), rig.send(transport, "/b")];
    await all(sent);
    expect(sent.map(({ events }) => events.join())).toEqual(["error", "error"]);
    // A resolver that nobody answers takes longer than a connection may.
    expect(["ENOTFOUND", "EAI_AGAIN", "CONNECT_TIMEOUT"]).toContain(sent[0]?.code);
  });
});
