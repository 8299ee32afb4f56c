// What holds for every answer, whole, cut or broken: how its bytes are cut into reads changes nothing, and no answer is
// accepted that another client refuses or reads differently.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { Client } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvalidAnswer } from "../../src/upstream/http1/response-head.ts";
import { ResponseParser } from "../../src/upstream/http1/response-parser.ts";

/** An answer as its bytes, in Latin-1, and what they mean. */
interface Answer {
  readonly method: string;
  readonly text: string;
  readonly untilClose: boolean;
  readonly events: readonly Event[];
}

type Event =
  | { readonly head: number; readonly fields: readonly string[] }
  | { readonly body: string }
  | "complete"
  | "refused";

type Field = readonly [name: string, before: string, value: string, after: string];

const LETTERS = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"];
const TOKEN_CHARACTERS = [...LETTERS, ..."!#$%&'*+-.^_`|~"];
const VALUE_CHARACTERS = [..." \t:,;=\"\\'()<>@[]{}?/\x80\x85\xa0\xe9\xff", ...TOKEN_CHARACTERS];
const DATA_CHARACTERS = [
  ..."\r\n\0: 0a5\x7f\xff",
  "\r\n",
  "\r\n\r\n",
  "0\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\n",
];

function trimmed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

const FRAMING = /^(?:content-length|transfer-encoding)$/i;
const blank = fc.string({ unit: fc.constantFrom(" ", "\t"), maxLength: 2 });
const token = fc.string({ unit: fc.constantFrom(...TOKEN_CHARACTERS), minLength: 1, maxLength: 6 });
const value = fc.string({ unit: fc.constantFrom(...VALUE_CHARACTERS), maxLength: 8 }).map(trimmed);
const data = fc.string({ unit: fc.constantFrom(...DATA_CHARACTERS), maxLength: 30 });

const field: fc.Arbitrary<Field> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(
      token.filter((name) => !FRAMING.test(name)),
      blank,
      value,
      blank,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Field>(
      ["Connection", " ", "close", ""],
      ["connection", " ", "Keep-Alive", ""],
      ["Connection", "", "upgrade, x", " "],
      ["Upgrade", " ", "websocket", ""],
      ["Keep-Alive", " ", "timeout=5, max=100", ""],
      ["Trailer", " ", "X-Sum", ""],
      ["Set-Cookie", " ", "a=1; Path=/", ""],
      ["Set-Cookie", " ", "b=2", ""],
    ),
  },
);
const fields = fc.array(field, { maxLength: 3 });
const reason = fc.oneof(
  fc.constantFrom("", " ", " OK", " Not Found"),
  value.map((text) => ` ${text}`),
);

// Extensions and trailers as RFC 9112 sections 7.1.1 and 7.1.2 have them, without the white space that is bad there.
const quoted = fc
  .string({ unit: fc.constantFrom(..." \t:;,=", '\\"', "\\\\", "\xe9", ...LETTERS), maxLength: 6 })
  .map((text) => `"${text}"`);
const extension = fc.oneof(
  token.map((name) => `;${name}`),
  fc.tuple(token, fc.oneof(token, quoted)).map(([name, given]) => `;${name}=${given}`),
);
const extensions = fc.array(extension, { maxLength: 2 }).map((all) => all.join(""));
const size = fc.record({ zeros: fc.constantFrom("", "0", "000"), upper: fc.boolean() });
const chunk = fc.record({ data: data.filter((text) => text !== ""), size, extensions });

function sizeLine(length: number, { zeros, upper }: { zeros: string; upper: boolean }): string {
  const digits = length.toString(16);
  return zeros + (upper ? digits.toUpperCase() : digits);
}

const line = ([name, before, text, after]: Field): string => `${name}:${before}${text}${after}\r\n`;

/** Bytes of a body in the chunked coding, and the body. */
const chunkedBody = fc
  .record({
    chunks: fc.array(chunk, { maxLength: 4 }),
    last: size,
    lastExtensions: extensions,
    trailers: fields,
  })
  .map(({ chunks, last, lastExtensions, trailers }) => {
    const coded = chunks.map(
      (one) => `${sizeLine(one.data.length, one.size)}${one.extensions}\r\n${one.data}\r\n`,
    );
    return {
      body: chunks.map((one) => one.data).join(""),
      coded: `${coded.join("")}${sizeLine(0, last)}${lastExtensions}\r\n${trailers.map(line).join("")}\r\n`,
    };
  });

const sized = data.map((body) => ({ name: "Content-Length", text: String(body.length), body, coded: body }));
const chunked = fc
  .tuple(chunkedBody, fc.constantFrom("chunked", "Chunked"))
  .map(([body, text]) => ({ name: "Transfer-Encoding", text, ...body }));
const untilClose = data.map((body) => ({ name: "", text: "", body, coded: body }));
const framing = fc.oneof(
  { weight: 1, arbitrary: sized },
  { weight: 2, arbitrary: chunked },
  { weight: 1, arbitrary: untilClose },
);

const interim = fc
  .record({ status: fc.constantFrom(100, 102, 103, 199), reason, fields })
  .map((head) => ({ text: headText("HTTP/1.1", head), event: headEvent(head) }));

interface Head {
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly Field[];
}

function headText(version: string, head: Head): string {
  return `${version} ${head.status}${head.reason}\r\n${head.fields.map(line).join("")}\r\n`;
}

function headEvent(head: Head): Event {
  return { head: head.status, fields: head.fields.flatMap(([name, , text]) => [name.toLowerCase(), text]) };
}

const answer: fc.Arbitrary<Answer> = fc
  .record({
    method: fc.constantFrom("GET", "GET", "GET", "GET", "POST", "HEAD"),
    interims: fc.array(interim, { maxLength: 2 }),
    version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.0"),
    status: fc.oneof(
      fc.constantFrom(200, 200, 200, 201, 204, 304, 404, 502),
      fc.integer({ min: 200, max: 999 }),
    ),
    reason,
    fields,
    at: fc.nat(3),
    framing,
  })
  .map(({ method, interims, version, status, reason: words, fields: others, at, framing: framed }) => {
    const own: Field[] = framed.name === "" ? [] : [[framed.name, " ", framed.text, ""]];
    const head = {
      status,
      reason: words,
      fields: [...others.slice(0, at), ...own, ...others.slice(at)],
    };
    const bodyless = method === "HEAD" || status === 204 || status === 304;
    const events: Event[] = [...interims.map((one) => one.event), headEvent(head)];
    if (!bodyless && framed.body !== "") events.push({ body: framed.body });
    // HTTP/1.0 knows no chunked coding.
    const spoken = framed.name === "Transfer-Encoding" ? "HTTP/1.1" : version;
    return {
      method,
      text: `${interims.map((one) => one.text).join("")}${headText(spoken, head)}${bodyless ? "" : framed.coded}`,
      untilClose: !bodyless && framed.name === "",
      events: [...events, "complete"],
    };
  });

/** Where the bytes are cut, as shares of their length; `undefined` cuts behind every byte. */
const cuts = fc.oneof(
  { weight: 9, arbitrary: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
);

function cut(text: string, at: readonly number[] | undefined): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  if (at === undefined) return Array.from(bytes, (byte) => Buffer.from([byte]));
  const edges = [
    0,
    ...at.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b),
    bytes.length,
  ];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

/** What the parser reports: body pieces that follow each other as one, and nothing after a refusal. */
function eventsOf(pieces: readonly Buffer[], methods: readonly string[]): Event[] {
  const events: Event[] = [];
  const waiting = [...methods];
  const expectNext = (): void => {
    const method = waiting.shift();
    if (method !== undefined) parser.expect(method);
  };
  const parser = new ResponseParser({
    onHead: ({ status, fields: found }) => events.push({ head: status, fields: found }),
    onBody: (piece) => {
      const last = events.at(-1);
      const before = typeof last === "object" && "body" in last ? last.body : undefined;
      if (before !== undefined) events.pop();
      events.push({ body: `${before ?? ""}${piece.toString("latin1")}` });
    },
    onComplete: () => {
      events.push("complete");
      expectNext();
    },
  });
  expectNext();
  // Read after read goes into the same memory, as on a connection: what lies behind a short one could complete it.
  const memory = Buffer.alloc(64 * 1024, "\r\n");
  try {
    for (const piece of pieces) {
      piece.copy(memory);
      parser.read(memory, piece.length);
    }
    parser.end();
  } catch (error) {
    if (!(error instanceof InvalidAnswer)) throw error;
    events.push("refused");
  }
  return events;
}

// What a broken answer is broken with.
const PIECES = [
  ...'\r\n\0 \t:;,0159afFx+-\x0b\x7f\x80\xff"=',
  "\r\n",
  "\r\n ",
  "\r\n\r\n",
  "0\r\n\r\n",
  "chunked",
  ", chunked",
  "HTTP/1.1 ",
] as const;

const LINES = [
  "HTTP/1.1 103 \r\n\r\n",
  "HTTP/1.1 204 \r\n\r\n",
  "Content-Length: 3\r\n",
  "Content-Length: 0\r\n",
  "content-length:\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: gzip\r\n",
  "Connection: close\r\n",
  "Connection: upgrade\r\nUpgrade: a\r\n",
  " folded\r\n",
  "\r\n",
  "0\r\n",
] as const;

interface Mutation {
  readonly kind:
    | ("flip" | "insert" | "delete" | "duplicate" | "replace")
    | ("insert line" | "delete line" | "duplicate line");
  /** A share of the text: where to look for the next `near`, to break the text in front of it or behind it. */
  readonly at: number;
  readonly near: string;
  readonly behind: boolean;
  readonly piece: string;
  readonly line: string;
  readonly bit: number;
}

const share = fc.double({ min: 0, max: 1, noNaN: true });
const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.oneof(
    { weight: 4, arbitrary: fc.constant("insert" as const) },
    { weight: 5, arbitrary: fc.constantFrom("flip", "delete", "delete", "duplicate", "replace") },
    { weight: 3, arbitrary: fc.constantFrom("insert line", "delete line", "duplicate line") },
  ),
  at: share,
  near: fc.constantFrom("", "", "\r", "\r", "\n", "\n", "\r\n", ":", " ", ";", "0", "ength: ", "hunked"),
  behind: fc.boolean(),
  piece: fc.constantFrom(...PIECES),
  line: fc.constantFrom(...LINES),
  bit: fc.nat(7),
});

function mutate(text: string, { kind, at, near, behind, piece, line: added, bit }: Mutation): string {
  const found = text.indexOf(near, Math.floor(at * text.length));
  const here = found === -1 ? text.length : found + (behind ? near.length : 0);
  const before = text.slice(0, here);
  const after = text.slice(here);
  const lineStart = before.lastIndexOf("\n") + 1;
  const lineEnd = text.indexOf("\n", here) + 1 || text.length;
  switch (kind) {
    case "insert":
      return before + piece + after;
    case "flip":
      return before + flipped(after.slice(0, 1), bit) + after.slice(1);
    case "delete":
      return before + after.slice(1);
    case "duplicate":
      return before + after.slice(0, 1) + after;
    case "replace":
      return before + piece + after.slice(piece.length);
    case "insert line":
      return text.slice(0, lineStart) + added + text.slice(lineStart);
    case "delete line":
      return text.slice(0, lineStart) + text.slice(lineEnd);
    case "duplicate line":
      return text.slice(0, lineEnd) + text.slice(lineStart);
  }
}

function flipped(byte: string, bit: number): string {
  return byte === "" ? "" : String.fromCharCode(byte.charCodeAt(0) ^ (1 << bit));
}

/** What happens to a text on its way: something is broken, or its end is missing. */
const broken = fc
  .array(mutation, { minLength: 1, maxLength: 2 })
  .map((ways) => (text: string) => ways.reduce(mutate, text));
const truncated = share.map((kept) => (text: string) => text.slice(0, Math.floor(kept * text.length)));
const untouched = fc.constant((text: string) => text);

describe("however the bytes are cut into reads", () => {
  test("whole answers in sequence mean what they say", () => {
    const sequence = fc.array(answer, { minLength: 1, maxLength: 4 }).map((answers) => {
      const last = answers.findIndex((one) => one.untilClose);
      return last === -1 ? answers : answers.slice(0, last + 1);
    });
    fc.assert(
      fc.property(sequence, cuts, (answers, at) => {
        const pieces = cut(answers.map((one) => one.text).join(""), at);
        const methods = answers.map((one) => one.method);
        expect(eventsOf(pieces, methods)).toEqual(answers.flatMap((one) => one.events));
      }),
      { numRuns: 2_000 },
    );
  });

  test("broken answers mean the same, up to the same refusal", () => {
    const played = fc
      .tuple(fc.array(answer, { minLength: 1, maxLength: 2 }), broken)
      .map(([answers, change]) => ({
        methods: answers.map((one) => one.method),
        text: change(answers.map((one) => one.text).join("")),
      }));
    let refused = 0;
    fc.assert(
      fc.property(played, cuts, ({ methods, text }, at) => {
        const whole = eventsOf(cut(text, []), methods);
        expect(eventsOf(cut(text, at), methods)).toEqual(whole);
        if (whole.at(-1) === "refused") refused += 1;
      }),
      { numRuns: 4_000 },
    );
    expect(refused).toBeGreaterThan(1_000);
  });
});

/** A final answer as a client takes it. */
interface Taken {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
}

/** The first final answer that our parser takes as complete, and the interim heads before it. */
function ours(pieces: readonly Buffer[], method: string): { interims: number; taken: Taken } | undefined {
  const events = eventsOf(pieces, [method]);
  const end = events.indexOf("complete");
  if (end === -1) return undefined;
  const heads = events.slice(0, end).filter((event) => typeof event === "object" && "head" in event);
  const head = heads.at(-1);
  // The parser passes on any three digits; those that mean nothing (RFC 9110 section 15) are refused by `Exchange`.
  if (head === undefined || heads.some((one) => one.head < 100 || one.head > 599)) return undefined;
  const last = events[end - 1];
  const body = typeof last === "object" && "body" in last ? last.body : "";
  return { interims: heads.length - 1, taken: { status: head.head, fields: head.fields, body } };
}

describe("undici", () => {
  let server: Server;
  let pieces: readonly Buffer[] = [];

  async function play(socket: Socket): Promise<void> {
    for (const piece of pieces) {
      socket.write(piece);
      await nextTurn();
    }
    socket.end();
  }

  beforeAll(async () => {
    server = createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => void play(socket));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterAll(() => {
    server.close();
  });

  /** What undici takes from a server that plays these pieces and ends the connection, or why it takes nothing. */
  async function theirs(played: readonly Buffer[], method: string): Promise<Taken | Error> {
    pieces = played;
    const { port } = server.address() as AddressInfo;
    const client = new Client(`http://127.0.0.1:${port}`, { pipelining: 1 });
    let status = 0;
    let raw: string[] = [];
    let body = "";
    const outcome = await new Promise<Taken | Error>((resolve) => {
      client.dispatch(
        { path: "/", method },
        {
          onRequestStart: () => undefined,
          onResponseStart: ({ rawHeaders }, code) => {
            status = code;
            // Bytes, in a list of names and values, as long as the answer is not HTTP/2.
            raw = (rawHeaders as Buffer[]).map((one) => one.toString("latin1"));
          },
          onResponseData: (_, piece) => {
            body += piece.toString("latin1");
          },
          onResponseEnd: () => {
            const found = raw.map((one, index) => (index % 2 === 0 ? one.toLowerCase() : trimmed(one)));
            resolve({ status, fields: found, body });
          },
          onResponseError: (_, error) => resolve(error),
        },
      );
    });
    await client.destroy();
    return outcome;
  }

  test("takes every answer that we take, and reads it alike", { timeout: 60_000 }, async () => {
    const way = fc.oneof(
      { weight: 1, arbitrary: untouched },
      { weight: 1, arbitrary: truncated },
      { weight: 8, arbitrary: broken },
    );
    const trailing = fc.constantFrom("", "", "HTTP/1.1 200 OK\r\n\r\n", "x", "\r\n");
    const played = fc
      .tuple(answer, trailing, way)
      .map(([{ method, text }, more, change]) => ({ method, text: change(text + more) }));
    let refused = 0;
    let both = 0;
    await fc.assert(
      fc.asyncProperty(played, cuts, async ({ method, text }, at) => {
        const taken = ours(cut(text, at), method);
        // We may refuse more than undici does.
        if (taken === undefined) {
          refused += 1;
          return;
        }
        let other = await theirs(cut(text, at), method);
        // Where undici minds what is dropped anyway, it is asked again without that: the rest has to be read alike.
        if (other instanceof Error) {
          const kept = withoutDropped(text, taken.interims);
          if (kept !== text) other = await theirs(cut(kept, at), method);
        }
        expect(other).toEqual(taken.taken);
        both += 1;
      }),
      { numRuns: 15_000 },
    );
    expect(both).toBeGreaterThan(2_000);
    expect(refused).toBeGreaterThan(3_000);
  });
});

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const EXTENSIONS = new RegExp(`^(?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*$`);
const CLEAN = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Where the final head ends. */
function endOfHeads(text: string, interims: number): number {
  let at = 0;
  for (let index = 0; index <= interims; index++) at = text.indexOf("\r\n\r\n", at) + 4;
  return at;
}

/**
 * An answer that we take, without those of its dropped parts that undici minds and we don't. These details are all of
 * them; none has a say in where the answer ends or in what is passed on:
 *
 * - Interim answers. undici refuses a 100 that it didn't ask for (RFC 9110 section 15.2 lets a client discard it), and
 *   anything behind an interim answer that says `Connection: close` or is HTTP/1.0 (RFC 9112 section 9.6).
 * - Chunk extensions that break the grammar of RFC 9112 section 7.1.1, or follow it with white space around `;` and `=`.
 *   A recipient must ignore what it doesn't know; ours looks for control characters alone.
 * - Trailer fields called Content-Length or Transfer-Encoding (RFC 9110 section 6.5.1). Ours discards all trailers.
 */
function withoutDropped(text: string, interims: number): string {
  let kept = "";
  let at = 0;
  for (let index = 0; index < interims; index++) {
    const end = text.indexOf("\r\n\r\n", at) + 4;
    const head = text.slice(at, end);
    if (!/^HTTP\/1\.(?:0 |1 100)|^connection:(?:.*,)?[ \t]*close[ \t]*(?:,|\r)/im.test(head)) kept += head;
    at = end;
  }
  const end = endOfHeads(text, interims);
  const head = text.slice(at, end);
  const rest = text.slice(end);
  return kept + head + (/^transfer-encoding:/im.test(head) ? withoutIgnored(rest) : rest);
}

function withoutIgnored(coded: string): string {
  let kept = "";
  for (let at = 0; ; ) {
    const end = coded.indexOf("\r\n", at);
    // Nothing is coded behind the head of an answer that has no body.
    const size = /^[0-9a-f]+/i.exec(coded.slice(at, Math.max(at, end)))?.[0];
    if (size === undefined) return coded;
    const ignored = coded.slice(at + size.length, end);
    const dropped = ignored.startsWith(";") && CLEAN.test(ignored) && !EXTENSIONS.test(ignored);
    kept += `${size}${dropped ? "" : ignored}\r\n`;
    const next = end + 2 + Number.parseInt(size, 16) + 2;
    if (next === end + 4) return kept + withoutBadTrailers(coded.slice(end + 2));
    kept += coded.slice(end + 2, next);
    at = next;
  }
}

function withoutBadTrailers(section: string): string {
  const end = section.startsWith("\r\n") ? 0 : section.indexOf("\r\n\r\n") + 2;
  const lines = section.slice(0, end).split(/(?<=\r\n)/);
  const good = lines.filter((one) => !FRAMING.test(one.slice(0, one.indexOf(":"))));
  return good.join("") + section.slice(end);
}
