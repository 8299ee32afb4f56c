// A request as the decision sees it: canonical, complete, and free of any server's types.

import type { Fields } from "./fields.ts";
import type { CanonicalTarget } from "./request-target.ts";

/** How the caller expects a refusal to look. */
export type CallerProtocol = "http" | "grpc" | "grpc-web" | "grpc-web-text";

export interface GatewayRequest {
  /** Request id: of a trusted proxy in front, else made here. */
  readonly id: string;
  readonly method: string;
  readonly target: CanonicalTarget;
  /** Host and port as the client sent them, lower case; empty for HTTP/1.0 without Host. */
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly fields: Fields;
  /** Address of the peer on the socket, in canonical spelling. */
  readonly peerAddress: string;
  /** Whether the peer is a trusted proxy, whose forwarding fields are believed and continued. */
  readonly peerTrusted: boolean;
  /** Address of the client, after trusted proxies. */
  readonly clientAddress: string;
  readonly protocol: CallerProtocol;
}

/** The caller protocol by media type (RFC 9110 8.3.1: case-insensitive, parameters ignored). */
export function callerProtocol(contentType: string | undefined): CallerProtocol {
  if (contentType === undefined || contentType.length < 16) return "http";
  const type = (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
  if (!type.startsWith("application/grpc")) return "http";
  if (type === "application/grpc-web-text" || type.startsWith("application/grpc-web-text+"))
    return "grpc-web-text";
  if (type === "application/grpc-web" || type.startsWith("application/grpc-web+")) return "grpc-web";
  return type === "application/grpc" || type.startsWith("application/grpc+") ? "grpc" : "http";
}
