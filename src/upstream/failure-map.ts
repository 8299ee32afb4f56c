// Network errors of an upstream, mapped to refusals.

import type { DenialCode } from "../core/denial.ts";

export interface UpstreamFailure {
  readonly code: DenialCode;
  /** Stable word for the log; never holds the error's message. */
  readonly reason: string;
  /** The connection ended before any byte of an answer, so nothing was answered. */
  readonly unanswered: boolean;
}

const TIMEOUTS: ReadonlyMap<string, string> = new Map([
  ["UND_ERR_CONNECT_TIMEOUT", "connect_timeout"],
  ["ETIMEDOUT", "connect_timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", "headers_timeout"],
  ["UND_ERR_BODY_TIMEOUT", "body_timeout"],
]);

const UNREACHABLE: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection_refused"],
  ["ECONNRESET", "connection_reset"],
  ["EPIPE", "connection_reset"],
  ["ENOTFOUND", "dns_error"],
  ["EAI_AGAIN", "dns_error"],
  ["EHOSTUNREACH", "host_unreachable"],
  ["ENETUNREACH", "host_unreachable"],
  ["UND_ERR_SOCKET", "connection_reset"],
  ["UND_ERR_DESTROYED", "connection_closed"],
  ["UND_ERR_CLOSED", "connection_closed"],
]);

// No handshake, or no certificate that can be trusted.
const TLS = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|EPROTO$)|SELF_SIGNED/;

/** What a transport error means for the client (RFC 9110 sections 15.6.3 and 15.6.5). */
export function failureOf(error: unknown): UpstreamFailure {
  const code = codeOf(error);
  const timeout = TIMEOUTS.get(code);
  if (timeout !== undefined) return { code: "upstream_timeout", reason: timeout, unanswered: false };
  if (code === "BODY_TOO_LARGE") return { code: "body_too_large", reason: "body_bytes", unanswered: false };
  const unreachable = brokeProtocol(error) ? undefined : UNREACHABLE.get(code);
  if (unreachable !== undefined) {
    return {
      code: "upstream_unreachable",
      reason: unreachable,
      unanswered: unreachable === "connection_reset",
    };
  }
  if (TLS.test(code)) {
    return { code: "upstream_unreachable", reason: "tls_error", unanswered: false };
  }
  return { code: "upstream_invalid", reason: "protocol_error", unanswered: false };
}

/** undici ends a connection with the code of a lost one, too, when the answer on it breaks the protocol. */
function brokeProtocol(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("bad ");
}

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  // Happy-eyeballs failures come as a bundle; the first tells enough.
  return "errors" in error && Array.isArray(error.errors) ? codeOf(error.errors[0]) : "";
}
