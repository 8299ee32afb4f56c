// Requests that Node's parser refuses before they become requests. They get a full answer and a log line all the same.

import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type Denial, deny } from "../core/denial.ts";
import type { RefusalAnswer } from "../pipeline/refusal.ts";

/** The refusal that a parser or timeout error stands for; undefined when the client is simply gone. */
export function denialOfParserError(error: unknown, urlBytes: number): Denial | undefined {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
  switch (code) {
    case "ECONNRESET":
    case "EPIPE":
      return undefined;
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return deny("request_timeout");
    case "HPE_HEADER_OVERFLOW":
      return isLongRequestLine(error, urlBytes)
        ? deny("url_too_long")
        : deny("headers_too_large", "header_bytes");
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return deny("body_too_large", "chunk_extensions");
    default:
      return deny("request_invalid", code.startsWith("HPE_") ? code.toLowerCase() : "parse_error");
  }
}

function isLongRequestLine(error: unknown, urlBytes: number): boolean {
  const packet =
    typeof error === "object" && error !== null && "rawPacket" in error ? error.rawPacket : undefined;
  if (!Buffer.isBuffer(packet) || !/^[A-Z]{3,20} /.test(packet.toString("latin1", 0, 24))) return false;
  const end = packet.indexOf("\r\n");
  return (end === -1 ? packet.length : end) > urlBytes;
}

/** Writes a whole answer to a bare socket and ends it. */
export function writeToSocket(socket: Duplex, answer: RefusalAnswer): void {
  socket.on("error", () => {});
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  let head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ""}\r\n`;
  for (let index = 0; index < answer.fields.length; index += 2) {
    head += `${answer.fields[index]}: ${answer.fields[index + 1]}\r\n`;
  }
  socket.end(`${head}Connection: close\r\nDate: ${new Date().toUTCString()}\r\n\r\n${answer.body}`, () =>
    socket.destroy(),
  );
  // A peer that keeps its side open would hold the socket for ever.
  setTimeout(() => socket.destroy(), 1_000).unref();
}
