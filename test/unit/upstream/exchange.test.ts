import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Deadlines } from "../../../src/upstream/deadlines.ts";
import { Exchange, type ExchangeEnd, type ExchangeOptions } from "../../../src/upstream/exchange.ts";
import type { FlowControl } from "../../../src/upstream/http1/connection.ts";
import { parseResponseHead, type ResponseHead } from "../../../src/upstream/http1/response-head.ts";
import type { UpstreamTimeouts } from "../../../src/upstream/policy.ts";
import { type Served, serve, until } from "../../support/served.ts";

/** A connection that notes what is asked of it. */
class FlowNotes implements FlowControl {
  readonly asked: string[] = [];
  abort(): void {
    this.asked.push("abort");
  }
  pause(): void {
    this.asked.push("pause");
  }
  resume(): void {
    this.asked.push("resume");
  }
}

let served: Served & { close(): void };
let ends: ExchangeEnd[];
let control: FlowNotes;
beforeEach(async () => {
  served = await serve("GET / HTTP/1.1\r\nHost: a\r\nConnection: close");
  ends = [];
  control = new FlowNotes();
});
afterEach(() => {
  served.close();
});

const PATIENT: UpstreamTimeouts = { connectMs: 60_000, headersMs: 60_000, idleMs: 60_000, totalMs: 0 };

function start(options: Partial<ExchangeOptions> = {}): Exchange {
  const exchange = new Exchange({
    outgoing: served.outgoing,
    response: { edits: { set: [], remove: [] }, replaced: new Set(), keepPrivate: false, own: [] },
    timeouts: PATIENT,
    deadlines: new Deadlines(),
    onEnd: (end) => ends.push(end),
    ...options,
  });
  exchange.onStart(control);
  return exchange;
}

/** Body of a raw answer, its chunks joined. */
function bodyOf(text: string): string {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  return /transfer-encoding: chunked/i.test(head) ? body.replace(/[0-9a-f]+\r\n([\s\S]*?)\r\n/g, "$1") : body;
}

/** The head with this status and these field lines. */
function head(status: number, ...lines: readonly string[]): ResponseHead {
  const whole = [`HTTP/1.1 ${String(status).padStart(3, "0")} Any`, ...lines];
  return parseResponseHead(whole.map((line) => `${line}\r\n`).join(""), "GET");
}

const text = (value: string): Buffer => Buffer.from(value, "latin1");

describe("an answer", () => {
  test("with a known length is passed on whole", async () => {
    const exchange = start();
    exchange.onHead(head(201, "content-length: 5", "content-type: text/plain", "x-a: 1", "x-a: 2"));
    exchange.onData(text("he\xffo!"));
    exchange.onEnd();
    const { text: got, orderly } = await served.closed();
    expect(got).toMatch(
      /^HTTP\/1\.1 201 Created\r\ncontent-length: 5\r\ncontent-type: text\/plain\r\nx-a: 1\r\nx-a: 2\r\n/,
    );
    expect(bodyOf(got)).toBe("he\xffo!");
    expect(orderly).toBe(true);
    expect(ends).toEqual([{ kind: "answered", status: 201 }]);
    expect([exchange.bytes, exchange.mediaType]).toEqual([5, "text/plain"]);
  });

  test("in pieces without a length is passed on piece by piece", async () => {
    const exchange = start();
    exchange.onHead(head(200));
    exchange.onData(text("one"));
    await until(() => served.received().includes("one"));
    exchange.onData(text("two"));
    exchange.onEnd();
    expect(bodyOf((await served.closed()).text)).toContain("onetwo");
    expect(ends).toEqual([{ kind: "answered", status: 200 }]);
  });

  test("of many pieces with one length is passed on whole", async () => {
    const exchange = start();
    exchange.onHead(head(200, "content-length: 50000"));
    for (let piece = 0; piece < 5; piece++) exchange.onData(Buffer.alloc(10_000, 65 + piece));
    exchange.onEnd();
    expect(bodyOf((await served.closed()).text)).toBe(
      [..."ABCDE"].map((letter) => letter.repeat(10_000)).join(""),
    );
    expect(exchange.bytes).toBe(50_000);
  });

  test("without a body ends at its head", async () => {
    const exchange = start();
    exchange.onHead(head(204, "content-length: 0"));
    exchange.onEnd();
    expect((await served.closed()).text).not.toMatch(/content-length/i);
    expect(ends).toEqual([{ kind: "answered", status: 204 }]);
  });

  test("whose body waits lets its head go ahead", async () => {
    const exchange = start();
    exchange.onHead(head(200, "content-type: text/event-stream"));
    await until(() => served.received().includes("text/event-stream"));
    expect(ends).toEqual([]);
    exchange.onEnd();
    await served.closed();
  });

  test("stops flowing while the client doesn't read, and flows on when it does", async () => {
    const exchange = start();
    served.client.pause();
    exchange.onHead(head(200));
    const piece = Buffer.alloc(256 * 1024, 97);
    let pieces = 0;
    while (!control.asked.includes("pause") && pieces < 100) {
      exchange.onData(piece);
      pieces += 1;
    }
    expect(control.asked).toContain("pause");
    expect(control.asked).not.toContain("resume");
    served.client.resume();
    await until(() => control.asked.includes("resume"));
    exchange.onEnd();
    expect((await served.closed()).text.length).toBeGreaterThan(pieces * piece.length);
  });
});

describe("interim answers", () => {
  test("are not passed on, up to 16 of them", async () => {
    const exchange = start();
    for (let count = 0; count < 16; count++) exchange.onHead(head(103));
    exchange.onHead(head(200, "content-length: 0"));
    exchange.onEnd();
    expect((await served.closed()).text).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test("without end are an invalid answer", () => {
    const exchange = start();
    for (let count = 0; count < 17; count++) exchange.onHead(head(103));
    expect(ends).toMatchObject([
      { kind: "failed", failure: { code: "upstream_invalid", reason: "interim_answers" } },
    ]);
    expect(control.asked).toEqual(["abort"]);
  });
});

describe("an answer that can't be passed on is a failure, and nothing is sent:", () => {
  const other = (fields: readonly string[]): ResponseHead => ({ ...head(200), fields });
  test.each<readonly [what: string, head: ResponseHead, reason: string]>([
    ["a status above 599", head(600), "status_invalid"],
    ["a status of 0", head(0), "interim_answers"],
    ["a line break in a value", other(["x-a", "1\r\nx-b: 2"]), "header_invalid"],
    ["a name that is none", other(["x a", "1"]), "header_invalid"],
  ])("%s", (_what, given, reason) => {
    const exchange = start();
    exchange.onHead(given);
    expect(ends).toEqual([
      { kind: "failed", failure: { code: "upstream_invalid", reason, unanswered: false } },
    ]);
    expect(control.asked).toEqual(["abort"]);
    expect(served.outgoing.headersSent).toBe(false);
    exchange.onError(new Error("aborted"), false);
    expect(ends).toHaveLength(1);
  });
});

describe("a failure", () => {
  const reset = Object.assign(new Error("reset"), { code: "ECONNRESET" });

  test("before the head leaves the answer to the gateway", () => {
    const exchange = start();
    exchange.onError(reset, true);
    expect(ends).toEqual([
      {
        kind: "failed",
        failure: { code: "upstream_unreachable", reason: "connection_reset", unanswered: true },
      },
    ]);
    expect(served.outgoing.headersSent).toBe(false);
  });

  test("after the head breaks the client's connection, so that nothing looks complete", async () => {
    const exchange = start();
    exchange.onHead(head(200));
    exchange.onData(text("half"));
    await until(() => served.received().includes("half"));
    exchange.onError(reset, true);
    expect(ends).toEqual([{ kind: "broken", status: 200, reason: "connection_reset" }]);
    const { text: got } = await served.closed();
    expect(got).not.toContain("\r\n0\r\n\r\n");
  });
});

describe("the time for the whole exchange", () => {
  test("that passes before the head is a timeout for the gateway to tell", async () => {
    start({ timeouts: { ...PATIENT, totalMs: 10 } });
    await until(() => ends.length > 0);
    expect(ends).toMatchObject([
      { kind: "failed", failure: { code: "upstream_timeout", reason: "total_timeout" } },
    ]);
    expect(control.asked).toEqual(["abort"]);
  });

  test("that passes after the head breaks the answer", async () => {
    const exchange = start({ timeouts: { ...PATIENT, totalMs: 10 } });
    exchange.onHead(head(200));
    await until(() => ends.length > 0);
    expect(ends).toEqual([{ kind: "broken", status: 200, reason: "total_timeout" }]);
    await served.closed();
  });

  test("doesn't count once the exchange has ended", async () => {
    const exchange = start({ timeouts: { ...PATIENT, totalMs: 10 } });
    exchange.onHead(head(200, "content-length: 0"));
    exchange.onEnd();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(ends).toEqual([{ kind: "answered", status: 200 }]);
  });
});

describe("the time for one phase", () => {
  test("is for the head first, counted from the start of the request", async () => {
    const started = performance.now();
    start({ timeouts: { ...PATIENT, headersMs: 100 } });
    await until(() => ends.length > 0);
    expect(performance.now() - started).toBeGreaterThanOrEqual(100);
    expect(ends).toMatchObject([
      { kind: "failed", failure: { code: "upstream_timeout", reason: "headers_timeout" } },
    ]);
    expect(control.asked).toEqual(["abort"]);
  });

  test("begins anew with every piece of the request's body", async () => {
    const exchange = start({ timeouts: { ...PATIENT, headersMs: 150 } });
    for (let piece = 0; piece < 6; piece++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      exchange.touch();
    }
    expect(ends).toEqual([]);
    await until(() => ends.length > 0);
  });

  test("is for the next piece of the answer after its head", async () => {
    const exchange = start({ timeouts: { ...PATIENT, idleMs: 100 } });
    exchange.onHead(head(200));
    exchange.onData(text("some"));
    await until(() => ends.length > 0);
    expect(ends).toEqual([{ kind: "broken", status: 200, reason: "body_timeout" }]);
    await served.closed();
  });
});

describe("a client that goes away", () => {
  test("cancels the upstream's work once", () => {
    const exchange = start();
    exchange.abort();
    exchange.abort();
    exchange.onHead(head(200));
    exchange.onData(text("late"));
    exchange.onError(new Error("aborted"), false);
    exchange.onEnd();
    expect(ends).toEqual([{ kind: "aborted" }]);
    expect(control.asked).toEqual(["abort"]);
    expect(served.outgoing.headersSent).toBe(false);
  });

  test("before the request started lets it never start", () => {
    const exchange = new Exchange({
      outgoing: served.outgoing,
      response: { edits: { set: [], remove: [] }, replaced: new Set(), keepPrivate: false, own: [] },
      timeouts: PATIENT,
      deadlines: new Deadlines(),
      onEnd: (end) => ends.push(end),
    });
    expect(exchange.over).toBe(false);
    exchange.abort();
    expect(exchange.over).toBe(true);
    expect(ends).toEqual([{ kind: "aborted" }]);
  });
});

test("a stream that is ended early ends orderly for the client", async () => {
  const exchange = start();
  exchange.onHead(head(200, "content-type: text/event-stream"));
  exchange.onData(text("data: 1\n\n"));
  exchange.endEarly();
  exchange.endEarly();
  const { text: got, orderly } = await served.closed();
  expect([got.endsWith("\r\n0\r\n\r\n"), orderly]).toEqual([true, true]);
  expect(ends).toEqual([{ kind: "answered", status: 200 }]);
  expect(control.asked).toEqual(["abort"]);
});
