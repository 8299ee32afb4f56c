// A denial as an answer: problem+json (RFC 9457) for HTTP callers, a gRPC status for gRPC and gRPC-Web ones.

import { catalogueEntry, type Denial } from "../core/denial.ts";
import type { CallerProtocol } from "../core/request.ts";

export interface RefusalContext {
  readonly protocol: CallerProtocol;
  readonly requestId: string;
  /** The caller's media type; a gRPC answer mirrors it. */
  readonly contentType: string | undefined;
  /** Fields that every answer of this route carries: limits, CORS. */
  readonly fields: readonly string[];
}

export interface RefusalAnswer {
  readonly status: number;
  /** Flat name and value list; complete but for the connection's own fields. */
  readonly fields: readonly string[];
  readonly body: string;
  /** gRPC status, when the caller gets one. */
  readonly grpcStatus: number | undefined;
  /** The connection can't be used again. */
  readonly closes: boolean;
}

/** Renders a refusal. The public text never says which check of a credential failed. */
export function renderRefusal(denial: Denial, context: RefusalContext): RefusalAnswer {
  const entry = catalogueEntry(denial.code);
  const shared = [...context.fields, "X-Request-Id", context.requestId, "Cache-Control", "no-store"];
  for (const challenge of denial.challenges ?? []) shared.push("WWW-Authenticate", challenge);
  if (denial.retryAfterSeconds !== undefined) shared.push("Retry-After", String(denial.retryAfterSeconds));
  if (denial.allow !== undefined) shared.push("Allow", denial.allow);
  const closes = entry.closes === true;
  if (context.protocol !== "http") return grpcAnswer(denial, context, shared, closes);
  const body = JSON.stringify({
    type: `urn:gatewarden:error:${denial.code}`,
    title: entry.title,
    status: entry.status,
    detail: denial.detail ?? entry.title,
    code: denial.code,
    requestId: context.requestId,
    requiredScopes: denial.requiredScopes,
    retryAfter: denial.retryAfterSeconds,
  });
  const fields = [
    ...shared,
    "Content-Type",
    "application/problem+json",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "X-Content-Type-Options",
    "nosniff",
  ];
  return { status: entry.status, fields, body, grpcStatus: undefined, closes };
}

/**
 * gRPC-Web lets a refusal stand in the header section with an empty body ("trailers-only"); a browser reads it from
 * there once CORS exposes the names. HTTP/1.1 gRPC callers get the same.
 */
function grpcAnswer(
  denial: Denial,
  context: RefusalContext,
  shared: string[],
  closes: boolean,
): RefusalAnswer {
  const entry = catalogueEntry(denial.code);
  const fields = [
    ...shared,
    "Content-Type",
    mediaType(context.contentType),
    "Content-Length",
    "0",
    "grpc-status",
    String(entry.grpc),
    "grpc-message",
    grpcMessage(`${denial.code}: ${denial.detail ?? entry.title}`),
  ];
  return { status: 200, fields, body: "", grpcStatus: entry.grpc, closes };
}

function mediaType(contentType: string | undefined): string {
  const type = (contentType?.split(";", 1)[0] ?? "").trim();
  return /^[\w.+/-]{1,100}$/.test(type) ? type : "application/grpc-web+proto";
}

/** Percent-encodes all but printable ASCII, and `%` itself, as the gRPC protocol asks of grpc-message. */
function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent);
}
