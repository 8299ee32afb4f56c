// The closed catalogue of refusals: the only place that maps a code to an HTTP status, a gRPC status and a title.
// A new refusal is one new entry here.

interface CatalogueEntry {
  /** HTTP status of the refusal. */
  readonly status: number;
  /** gRPC status sent to gRPC-Web and gRPC callers, whose HTTP status is 200. */
  readonly grpc: number;
  /** Public sentence; says nothing about which check failed. */
  readonly title: string;
  /** RFC 6750 section 3.1 error code placed in the challenge, where one applies. */
  readonly bearerError?: "invalid_request" | "invalid_token" | "insufficient_scope";
  /** The connection can't be used again, because the request on it was not read to its end or can't be trusted. */
  readonly closes?: true;
}

export const DENIALS = {
  request_target_invalid: { status: 400, grpc: 3, title: "The request target is not valid" },
  request_invalid: { status: 400, grpc: 3, title: "The request is not valid", closes: true },
  credentials_ambiguous: {
    status: 400,
    grpc: 3,
    title: "More than one credential was sent",
    bearerError: "invalid_request",
  },
  credentials_malformed: {
    status: 400,
    grpc: 3,
    title: "The credential is not well-formed",
    bearerError: "invalid_request",
  },
  credentials_missing: { status: 401, grpc: 16, title: "Credentials are required" },
  token_invalid: {
    status: 401,
    grpc: 16,
    title: "The access token is invalid",
    bearerError: "invalid_token",
  },
  token_expired: { status: 401, grpc: 16, title: "The access token expired", bearerError: "invalid_token" },
  api_key_invalid: { status: 401, grpc: 16, title: "The API key is not valid" },
  scope_insufficient: {
    status: 403,
    grpc: 7,
    title: "A required scope is missing",
    bearerError: "insufficient_scope",
  },
  role_insufficient: { status: 403, grpc: 7, title: "A required role is missing" },
  requirement_failed: { status: 403, grpc: 7, title: "The caller does not meet this route's requirement" },
  address_denied: { status: 403, grpc: 7, title: "This address may not call this route" },
  csrf_rejected: { status: 403, grpc: 7, title: "Web pages may not call this" },
  route_not_found: { status: 404, grpc: 12, title: "No such route" },
  method_not_allowed: { status: 405, grpc: 12, title: "The method is not allowed here" },
  request_timeout: { status: 408, grpc: 4, title: "The request took too long to arrive", closes: true },
  body_too_large: { status: 413, grpc: 8, title: "The request body is too large", closes: true },
  url_too_long: { status: 414, grpc: 3, title: "The request target is too long", closes: true },
  expectation_failed: { status: 417, grpc: 3, title: "The expectation is not supported" },
  misdirected_request: { status: 421, grpc: 14, title: "This host is not served here" },
  headers_too_large: { status: 431, grpc: 8, title: "The header section is too large", closes: true },
  rate_limited: { status: 429, grpc: 8, title: "Too many requests" },
  too_many_failures: { status: 429, grpc: 8, title: "Too many failed credentials" },
  internal_error: { status: 500, grpc: 13, title: "The gateway failed" },
  not_implemented: { status: 501, grpc: 12, title: "Not supported", closes: true },
  upstream_unreachable: { status: 502, grpc: 14, title: "The upstream could not be reached" },
  upstream_invalid: { status: 502, grpc: 14, title: "The upstream's answer is not valid" },
  draining: { status: 503, grpc: 14, title: "The gateway is shutting down", closes: true },
  overloaded: { status: 503, grpc: 14, title: "The gateway is at its limit" },
  limiter_unavailable: { status: 503, grpc: 14, title: "The rate limiter is not available" },
  keys_unavailable: { status: 503, grpc: 14, title: "The issuer's keys are not available" },
  upstream_timeout: { status: 504, grpc: 4, title: "The upstream took too long" },
} as const satisfies Record<string, CatalogueEntry>;

export type DenialCode = keyof typeof DENIALS;

/** One refusal, ready to be rendered for any kind of client. */
export interface Denial {
  readonly code: DenialCode;
  /** Stable snake_case word for the operator's log: which check failed. Never sent to the client. */
  readonly reason: string;
  /** Public sentence beyond the title; never names the failing check of a credential. */
  readonly detail?: string;
  /** Scopes that the route asks for (403). */
  readonly requiredScopes?: readonly string[];
  /** Whole seconds, rounded up, after which a retry can succeed (429, 503). */
  readonly retryAfterSeconds?: number;
  /** Value of the Allow field (405). */
  readonly allow?: string;
  /** WWW-Authenticate field values, one challenge each (401, 403). */
  readonly challenges?: readonly string[];
}

/** Builds a denial. `reason` defaults to the code itself. */
export function deny(
  code: DenialCode,
  reason: string = code,
  more?: Omit<Denial, "code" | "reason">,
): Denial {
  return more === undefined ? { code, reason } : { code, reason, ...more };
}

export function catalogueEntry(code: DenialCode): CatalogueEntry {
  return DENIALS[code];
}
