// Reads the head of an HTTP/1.1 answer (RFC 9112). Strict on purpose: whatever two readers could take for different things
// makes the whole answer invalid, so that upstream, gateway and client never disagree where an answer ends.

import { TOKEN_CHARACTER } from "../../core/fields.ts";
import { Remembered } from "../../core/remembered.ts";

/** The upstream's answer breaks the protocol; nothing more on its connection can be believed. */
export class InvalidAnswer extends Error {
  readonly code = "ANSWER_INVALID";
}

/** Body framing that no length tells. */
export const CHUNKED = -1;
export const UNTIL_CLOSE = -2;

export interface ResponseHead {
  /** Three digits as they came, 000 to 999. */
  readonly status: number;
  /** Flat list of names, in lower case, and values, in the order of arrival. */
  readonly fields: readonly string[];
  /** What all Connection lines say, in lower case; empty without one. */
  readonly connection: string;
  /** Bytes of the body, or `CHUNKED`, or `UNTIL_CLOSE`. */
  readonly bodyLength: number;
  /** The connection may carry another request after this answer. */
  readonly persistent: boolean;
  /** Seconds that the upstream promises to keep the connection while it is idle; undefined without a promise. */
  readonly keepAliveSeconds: number | undefined;
}

// Whole lines of what may stand in a field line or status line (RFC 9110 section 5.5, RFC 9112 section 4). A lone CR or
// LF, NUL and other control characters make servers disagree about where a line ends.
const LINES = /^(?:[\t\x20-\x7e\x80-\xff]+\r\n)+$/;
/** A field name (RFC 9110 section 5.6.2). */
export const TOKEN = new RegExp(`^${TOKEN_CHARACTER}+$`);
const LENGTH = /^[0-9]{1,15}$/;

/**
 * @param text the status line and all field lines, each with its line end, without the empty line
 * @param method of the request: the answer to HEAD has no body, whatever its fields say
 * @throws InvalidAnswer
 */
export function parseResponseHead(text: string, method: string): ResponseHead {
  if (!LINES.test(text)) throw new InvalidAnswer("a line of the head holds a forbidden character");
  const statusEnd = text.indexOf("\r\n");
  const minor = minorVersion(text);
  const status = statusOf(text, statusEnd);
  const fields: string[] = [];
  let length: string | undefined;
  let coding: string | undefined;
  let connection = "";
  let keepAlive: string | undefined;
  for (let at = statusEnd + 2; at < text.length; ) {
    const end = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    if (colon === -1 || colon > end) throw new InvalidAnswer("a field line has no colon");
    const name = nameOf(text.slice(at, colon));
    const value = fieldValue(text, colon + 1, end);
    fields.push(name, value);
    at = end + 2;
    if (name === "content-length") {
      if (length !== undefined) throw new InvalidAnswer("Content-Length is repeated");
      length = unpadded(text, value, end);
    } else if (name === "transfer-encoding") {
      if (coding !== undefined) throw new InvalidAnswer("Transfer-Encoding is repeated");
      coding = unpadded(text, value, end);
    } else if (name === "connection") {
      connection = connection === "" ? value.toLowerCase() : `${connection},${value.toLowerCase()}`;
    } else if (name === "keep-alive") keepAlive = value;
  }
  if (length !== undefined && !LENGTH.test(length)) throw new InvalidAnswer("Content-Length is no length");
  if (coding !== undefined) checkCoding(coding, minor, length);
  const framed = coding !== undefined || length !== undefined;
  const bodyless = method === "HEAD" || status < 200 || status === 204 || status === 304;
  return {
    status,
    fields,
    connection,
    bodyLength: bodyless ? 0 : bodyLength(length, coding),
    persistent: persists(connection, minor) && (bodyless ? !mayBringBody(method, length, coding) : framed),
    keepAliveSeconds: keepAlive === undefined ? undefined : secondsOf(keepAlive),
  };
}

/** 1 for HTTP/1.1, 0 for HTTP/1.0. */
function minorVersion(text: string): 0 | 1 {
  if (text.startsWith("HTTP/1.1 ")) return 1;
  if (text.startsWith("HTTP/1.0 ")) return 0;
  throw new InvalidAnswer("the answer does not begin with HTTP/1.0 or HTTP/1.1");
}

function statusOf(text: string, end: number): number {
  let status = 0;
  for (let index = 9; index < 12; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (!(digit >= 0 && digit <= 9)) throw new InvalidAnswer("the status is not three digits");
    status = status * 10 + digit;
  }
  // The space before an empty reason is often left out.
  if (end !== 12 && text.charCodeAt(12) !== 32) throw new InvalidAnswer("the status is not three digits");
  return status;
}

// Names seen before, in lower case.
const lowerNames = new Remembered<string>(1024);

function nameOf(raw: string): string {
  const known = lowerNames.get(raw);
  if (known !== undefined) return known;
  // Also refuses what RFC 9112 section 5.1 forbids, a space before the colon, and folded lines (section 5.2).
  if (!TOKEN.test(raw)) throw new InvalidAnswer("a field name is no token");
  const lower = raw.toLowerCase();
  // A copy: a slice would keep the whole head that it was cut from.
  if (lowerNames.takes(raw)) lowerNames.set(Buffer.from(raw).toString("latin1"), lower);
  return lower;
}

/** The text between two positions without white space around it. */
function fieldValue(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** White space behind a value that frames the body: no part of it, but some readers take it for one. */
function unpadded(text: string, value: string, end: number): string {
  if (isBlank(text.charCodeAt(end - 1)))
    throw new InvalidAnswer("white space follows the framing of the body");
  return value;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Only `chunked` can be passed on, and never beside a length (RFC 9112 sections 6.1 and 6.3). */
function checkCoding(coding: string, minor: 0 | 1, length: string | undefined): void {
  if (length !== undefined) throw new InvalidAnswer("Transfer-Encoding stands beside Content-Length");
  if (minor === 0) throw new InvalidAnswer("HTTP/1.0 knows no Transfer-Encoding");
  if (coding.toLowerCase() !== "chunked") throw new InvalidAnswer("the transfer coding was not asked for");
}

function bodyLength(length: string | undefined, coding: string | undefined): number {
  if (coding !== undefined) return CHUNKED;
  return length === undefined ? UNTIL_CLOSE : Number(length);
}

/** Servers have been seen to send a body with answers that have none: what follows must not be read as an answer. */
function mayBringBody(method: string, length: string | undefined, coding: string | undefined): boolean {
  return method === "HEAD" || coding !== undefined || (length !== undefined && Number(length) > 0);
}

/** RFC 9112 section 9.3. */
function persists(connection: string, minor: 0 | 1): boolean {
  if (connection === "" || connection === "keep-alive") return minor === 1 || connection !== "";
  const options = connection.split(/[\t ]*,[\t ]*/);
  return !options.includes("close") && (minor === 1 || options.includes("keep-alive"));
}

function secondsOf(keepAlive: string): number | undefined {
  const timeout = /(?:^|[\s,;])timeout\s*=\s*"?([0-9]{1,6})/i.exec(keepAlive)?.[1];
  return timeout === undefined ? undefined : Number(timeout);
}
