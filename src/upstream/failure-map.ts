// Network errors of an upstream, mapped to refusals.

import type { DenialCode } from "../core/denial.ts";

export interface UpstreamFailure {
  readonly code: DenialCode;
  /** Stable word for the log; never holds the error's message. */
  readonly reason: string;
  /** A connection that was kept from before ended without a byte of an answer: most likely nothing saw the request. */
  readonly unanswered: boolean;
}

const TIMEOUTS: ReadonlyMap<string, string> = new Map([
  ["CONNECT_TIMEOUT", "connect_timeout"],
  ["ETIMEDOUT", "connect_timeout"],
]);

const UNREACHABLE: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection_refused"],
  ["ECONNRESET", "connection_reset"],
  ["EPIPE", "connection_reset"],
  ["ENOTFOUND", "dns_error"],
  ["EAI_AGAIN", "dns_error"],
  ["EHOSTUNREACH", "host_unreachable"],
  ["ENETUNREACH", "host_unreachable"],
  ["CONNECTION_LOST", "connection_reset"],
  ["TRANSPORT_CLOSED", "connection_closed"],
]);

// No handshake, or no certificate that can be trusted.
const TLS = /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|EPROTO$)|SELF_SIGNED/;

/** What a transport error means for the client (RFC 9110 sections 15.6.3 and 15.6.5). */
export function failureOf(error: unknown, unanswered = false): UpstreamFailure {
  const code = codeOf(error);
  const timeout = TIMEOUTS.get(code);
  if (timeout !== undefined) return { code: "upstream_timeout", reason: timeout, unanswered: false };
  if (code === "BODY_TOO_LARGE") return { code: "body_too_large", reason: "body_bytes", unanswered: false };
  const unreachable = UNREACHABLE.get(code);
  if (unreachable !== undefined) return { code: "upstream_unreachable", reason: unreachable, unanswered };
  if (TLS.test(code)) {
    return { code: "upstream_unreachable", reason: "tls_error", unanswered: false };
  }
  return { code: "upstream_invalid", reason: "protocol_error", unanswered: false };
}

function codeOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  // Happy-eyeballs failures come as a bundle; the first tells enough.
  return "errors" in error && Array.isArray(error.errors) ? codeOf(error.errors[0]) : "";
}
