// A small lenient reader of HTTP/1.1 bytes, for both directions. It is no part of the gateway and shares nothing with
// it, so that what the tests see on the wire is judged by a second pair of eyes.

/** One header or trailer line, as written. */
export type Line = readonly [name: string, value: string];

/** A message that has been read as far as its bytes go. */
export interface Message {
  /** First line without its line end. */
  readonly start: string;
  readonly headers: readonly Line[];
  readonly body: Buffer;
  readonly trailers: readonly Line[];
  /** The framing says that the message ended here; a body that ends with the connection never counts as complete. */
  readonly complete: boolean;
  /** How the body's length was given. */
  readonly framing: "none" | "length" | "chunked" | "close";
}

/** Result of reading one message from the front of some bytes. */
export interface Read {
  readonly message: Message;
  /** Bytes that the message takes. */
  readonly used: number;
}

/** Values of all lines called `name`, in order; the name is compared without case. */
export function allValues(lines: readonly Line[], name: string): string[] {
  const wanted = name.toLowerCase();
  return lines.filter(([key]) => key.toLowerCase() === wanted).map(([, value]) => value);
}

/** Value of the first line called `name`. */
export function firstValue(lines: readonly Line[], name: string): string | undefined {
  return allValues(lines, name)[0];
}

function parseLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    lines.push(colon === -1 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return lines;
}

interface Body {
  readonly body: Buffer;
  readonly trailers: readonly Line[];
  readonly complete: boolean;
  readonly used: number;
}

function readChunked(bytes: Buffer, from: number): Body {
  const parts: Buffer[] = [];
  let at = from;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    const size = end === -1 ? Number.NaN : Number.parseInt(bytes.toString("latin1", at, end), 16);
    if (Number.isNaN(size))
      return { body: Buffer.concat(parts), trailers: [], complete: false, used: bytes.length };
    if (size === 0) return readTrailers(bytes, end, parts);
    const data = end + 2;
    parts.push(bytes.subarray(data, Math.min(data + size, bytes.length)));
    at = data + size + 2;
    if (at > bytes.length)
      return { body: Buffer.concat(parts), trailers: [], complete: false, used: bytes.length };
  }
}

function readTrailers(bytes: Buffer, lastChunkEnd: number, parts: readonly Buffer[]): Body {
  const body = Buffer.concat(parts);
  const end = bytes.indexOf("\r\n\r\n", lastChunkEnd);
  if (end === -1) return { body, trailers: [], complete: false, used: bytes.length };
  const trailers = parseLines(bytes.toString("latin1", lastChunkEnd + 2, Math.max(lastChunkEnd + 2, end)));
  return { body, trailers, complete: true, used: end + 4 };
}

function readBody(bytes: Buffer, from: number, headers: readonly Line[], framing: Message["framing"]): Body {
  if (framing === "none") return { body: Buffer.alloc(0), trailers: [], complete: true, used: from };
  if (framing === "chunked") return readChunked(bytes, from);
  if (framing === "close")
    return { body: bytes.subarray(from), trailers: [], complete: false, used: bytes.length };
  const length = Number(firstValue(headers, "content-length"));
  const body = bytes.subarray(from, from + length);
  return { body, trailers: [], complete: body.length === length, used: from + body.length };
}

function framingOf(headers: readonly Line[], otherwise: "none" | "close"): Message["framing"] {
  if (/(?:^|,)\s*chunked\s*$/i.test(allValues(headers, "transfer-encoding").join(","))) return "chunked";
  return firstValue(headers, "content-length") === undefined ? otherwise : "length";
}

function readMessage(
  bytes: Buffer,
  framing: (start: string, lines: readonly Line[]) => Message["framing"],
): Read | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const head = bytes.toString("latin1", 0, end);
  const newline = head.indexOf("\r\n");
  const start = newline === -1 ? head : head.slice(0, newline);
  const headers = newline === -1 ? [] : parseLines(head.slice(newline + 2));
  const kind = framing(start, headers);
  const { used, ...rest } = readBody(bytes, end + 4, headers, kind);
  return { message: { start, headers, framing: kind, ...rest }, used };
}

/** Reads one request; undefined while its header section hasn't ended. */
export function readRequest(bytes: Buffer): Read | undefined {
  return readMessage(bytes, (_, headers) => framingOf(headers, "none"));
}

/** Reads one response; `headOnly` is for answers to HEAD. Undefined while its header section hasn't ended. */
export function readResponse(bytes: Buffer, headOnly: boolean): Read | undefined {
  return readMessage(bytes, (start, headers) => {
    const status = statusOf(start);
    return headOnly || status < 200 || status === 204 || status === 304
      ? "none"
      : framingOf(headers, "close");
  });
}

/** Status code of a response's first line, or 0. */
export function statusOf(start: string): number {
  return Number(/^HTTP\/1\.[01] ([0-9]{3})/.exec(start)?.[1] ?? 0);
}
