// Writes the head of an HTTP/1.1 request. Its framing is decided here and nowhere else, and the finished text is looked at
// once more as a whole: whatever went wrong before, one request can't become two.

import { TOKEN_CHARACTER } from "../../core/fields.ts";

/** The request can't be written as one well-formed head: a defect of the gateway, never sent. */
export class UnsendableRequest extends Error {
  readonly code = "REQUEST_UNSENDABLE";
}

export interface RequestLine {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** Flat name and value list; Host first, nothing that frames or speaks of the connection. */
  readonly fields: readonly string[];
}

/** No body; a length; or `chunks` for a body whose length isn't known. */
export type Framing = "none" | "chunks" | number;

// Methods whose content means something: a server may wait for it unless it is told that there is none (RFC 9110 8.6).
const EXPECTS_CONTENT: ReadonlySet<string> = new Set([
  "POST",
  "PUT",
  "PATCH",
  "QUERY",
  "PROPFIND",
  "PROPPATCH",
]);

const TOKEN = `${TOKEN_CHARACTER}+`;
const WELL_FORMED = new RegExp(
  `^${TOKEN} (?:/[\\x21-\\x7e]*|\\*) HTTP/1\\.1\\r\\n(?:${TOKEN}: [\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)+\\r\\n$`,
);

/** The head in Latin-1, its empty line included. @throws UnsendableRequest */
export function requestHead({ method, path, fields }: RequestLine, framing: Framing): string {
  let head = `${method} ${path} HTTP/1.1\r\n`;
  for (let index = 0; index < fields.length; index += 2) {
    head += `${fields[index] as string}: ${fields[index + 1] as string}\r\n`;
  }
  const framed = framingLine(method, framing);
  head += `${framed}Connection: keep-alive\r\n\r\n`;
  const lines = fields.length / 2 + (framed === "" ? 3 : 4);
  if (!WELL_FORMED.test(head) || linesOf(head) !== lines) {
    throw new UnsendableRequest("the request's head is not well-formed");
  }
  return head;
}

function framingLine(method: string, framing: Framing): string {
  if (framing === "chunks") return "Transfer-Encoding: chunked\r\n";
  if (typeof framing === "number" && !(Number.isSafeInteger(framing) && framing >= 0)) {
    throw new UnsendableRequest("the length of the body is none");
  }
  if (framing !== "none") return `Content-Length: ${framing}\r\n`;
  return EXPECTS_CONTENT.has(method) ? "Content-Length: 0\r\n" : "";
}

function linesOf(head: string): number {
  let lines = 0;
  for (let at = head.indexOf("\n"); at !== -1; at = head.indexOf("\n", at + 1)) lines += 1;
  return lines;
}
