// Renders docs/ERRORS.md from the catalogue of refusals. What a code means to people is written here; its status and
// everything else that programs rely on comes from src/core/denial.ts.

import { catalogueEntry, DENIALS, type DenialCode } from "../src/core/denial.ts";
import { MEANINGS } from "../src/core/reasons.ts";

interface Explanation {
  /** When a client meets the code, and what it can do. */
  readonly when: string;
  /** Words that the operator's log gives for it; empty when there is only the code itself. */
  readonly reasons: readonly string[];
}

const TARGET_REASONS = [
  "target_form",
  "authority_mismatch",
  "character_invalid",
  "escape_invalid",
  "not_utf8",
  "control_character",
  "backslash",
  "fragment",
  "semicolon",
  "encoded_slash",
  "double_encoded",
  "dot_segment",
  "duplicate_slash",
];

const TOKEN_REASONS = [
  "jwt_size",
  "jwt_form",
  "jwt_encrypted",
  "jwt_base64",
  "jwt_header",
  "jwt_payload",
  "jwt_alg",
  "jwt_crit",
  "jwt_kid",
  "jwt_typ",
  "jwt_issuer",
  "jwt_key_unknown",
  "jwt_key_unfit",
  "jwt_signature",
  "jwt_audience",
  "jwt_subject",
  "jwt_jti",
  "jwt_client",
  "jwt_bound",
  "jwt_id_token",
  "jwt_exp",
  "jwt_nbf",
  "jwt_iat",
  "jwt_not_yet_valid",
  "jwt_issued_ahead",
];

const EXPLANATIONS: Readonly<Record<DenialCode, Explanation>> = {
  request_target_invalid: {
    when: "The path or query has a form that two programs may read differently. See [PATHS.md](PATHS.md).",
    reasons: TARGET_REASONS,
  },
  request_invalid: {
    when: "The message is not well-formed HTTP, its length is ambiguous, or a WebSocket handshake is incomplete.",
    reasons: ["framing", "host_invalid", "websocket_handshake", "preflight_upgrade", "parse_error", "hpe_…"],
  },
  credentials_ambiguous: {
    when: "Two credentials came where one was expected. Send one, or let the route say `credentials: firstMatch`.",
    reasons: [
      "authorization_repeated",
      "authorization_joined",
      "credential_repeated",
      "token_in_two_places",
      "two_kinds",
    ],
  },
  credentials_malformed: {
    when: "`Authorization: Bearer` came without a token.",
    reasons: ["bearer_empty"],
  },
  credentials_missing: {
    when: "The route needs a credential and none came, or not all that it needs together.",
    reasons: ["scope_missing", "role_missing", "requirement_not_met", "key_not_enough", "key_missing"],
  },
  token_invalid: {
    when: "The token was not accepted. The answer never says why; the log does.",
    reasons: TOKEN_REASONS,
  },
  token_expired: { when: "The token's time is over. Get a new one.", reasons: ["jwt_expired"] },
  api_key_invalid: {
    when: "The key is unknown, mistyped, expired, disabled, or used from an address that it isn't meant for.",
    reasons: ["key_form", "key_checksum", "key_unknown", "key_disabled", "key_expired", "key_address"],
  },
  scope_insufficient: {
    when: "The credential is good but lacks a scope; `requiredScopes` lists what the route needs.",
    reasons: ["scope_missing"],
  },
  role_insufficient: { when: "The credential is good but lacks a role.", reasons: ["role_missing"] },
  requirement_failed: {
    when: "The caller is somebody else than the route's `require` asks for.",
    reasons: ["requirement_not_met"],
  },
  address_denied: { when: "The client's address is outside the route's `ips`.", reasons: [] },
  route_not_found: { when: "No route matches, so nothing was asked upstream.", reasons: [] },
  method_not_allowed: {
    when: "The path is known, the method is not; `Allow` lists those that are.",
    reasons: ["method_never_forwarded", "connect"],
  },
  request_timeout: { when: "The header section or the body came too slowly.", reasons: [] },
  body_too_large: {
    when: "The body is larger than `limits.body`, or its chunks carry too much beside data.",
    reasons: ["content_length", "body_bytes", "chunk_extensions"],
  },
  url_too_long: { when: "The request target is longer than `limits.url`.", reasons: [] },
  expectation_failed: { when: "`Expect` asks for something other than `100-continue`.", reasons: [] },
  csrf_rejected: {
    when: "On the admin port without a token: the request comes from a web page (it has an `Origin`).",
    reasons: [],
  },
  misdirected_request: {
    when: "Every route that could match is for another host. On the admin port without a token: the host is not this machine.",
    reasons: [],
  },
  headers_too_large: {
    when: "The header section is larger than `limits.headers` or has more lines than `limits.headerCount`.",
    reasons: ["header_bytes", "header_count"],
  },
  rate_limited: {
    when: "A limit is used up. Wait for `Retry-After` seconds. See [LIMITS.md](LIMITS.md).",
    reasons: [],
  },
  too_many_failures: {
    when: "Too many bad credentials came from the client's address, or for the same key prefix or token subject. Wait for `Retry-After` seconds. See [SECURITY.md](../SECURITY.md#failed-credentials).",
    reasons: ["address_blocked", "credential_blocked"],
  },
  internal_error: {
    when: "The gateway itself failed. The log has a `defect` line with the request id.",
    reasons: [],
  },
  not_implemented: {
    when: "The body uses a transfer coding other than `chunked`.",
    reasons: ["transfer_coding"],
  },
  upstream_unreachable: {
    when: "No connection to the upstream, or it closed before it answered.",
    reasons: [
      "connection_refused",
      "connection_reset",
      "connection_closed",
      "dns_error",
      "host_unreachable",
      "tls_error",
    ],
  },
  upstream_invalid: {
    when: "The upstream's answer is not valid HTTP, or the request went round in circles.",
    reasons: [
      "protocol_error",
      "status_invalid",
      "header_invalid",
      "interim_answers",
      "handshake_invalid",
      "proxy_loop",
    ],
  },
  draining: { when: "The gateway is shutting down. Try again: another instance will answer.", reasons: [] },
  overloaded: {
    when: "`limits.inFlight` requests are in work already; on the admin port: four questions are being explained.",
    reasons: ["in_flight", "explaining"],
  },
  limiter_unavailable: {
    when: "The limit store is away and the limit says `onStoreFailure: deny`.",
    reasons: [],
  },
  keys_unavailable: {
    when: "The token can't be judged, because the issuer's keys could not be fetched.",
    reasons: ["jwt_keys_missing", "jwt_key_unknown", "keys_not_fetched"],
  },
  upstream_timeout: {
    when: "The upstream took longer than the route's `timeouts`.",
    reasons: ["connect_timeout", "headers_timeout", "body_timeout", "total_timeout"],
  },
};

/** The whole page. */
export function errorsPage(): string {
  const codes = Object.keys(DENIALS) as DenialCode[];
  return `<!-- Generated by \`npm run docs\` from src/core/denial.ts, src/core/reasons.ts and scripts/errors-page.ts. Edit those. -->
# Refusals

Every refusal has a stable code. HTTP callers get it as \`application/problem+json\` (RFC 9457):

\`\`\`json
{
  "type": "urn:gatewarden:error:scope_insufficient",
  "title": "A required scope is missing",
  "status": 403,
  "detail": "A required scope is missing",
  "code": "scope_insufficient",
  "requestId": "9f2c4b7a1d3e5f60-1k",
  "requiredScopes": ["modules:read"]
}
\`\`\`

\`requiredScopes\` is there on a missing scope, \`retryAfter\` (seconds) wherever \`Retry-After\` is. Programs should
look at \`code\`; titles and details may be reworded.

Callers with a gRPC media type get HTTP status 200 and the gRPC status below in \`grpc-status\`, with \`CODE: detail\` in
\`grpc-message\`. A 401 carries \`WWW-Authenticate\`; so does a 403 for a missing scope.

The answer never tells which check of a credential failed. The log does, in the \`reason\` of the decision line with the
same request id.

## Codes

| code | HTTP | gRPC | when |
|---|---|---|---|
${codes.map(codeRow).join("\n")}

\\* The connection is closed after the answer.

## Reasons in the log

Where the code has no reasons of its own, the reason is the code.

| code | reasons |
|---|---|
${codes
  .filter((code) => EXPLANATIONS[code].reasons.length > 0)
  .map((code) => `| \`${code}\` | ${EXPLANATIONS[code].reasons.map((reason) => `\`${reason}\``).join(" ")} |`)
  .join("\n")}

Those that don't explain themselves:

| reason | meaning |
|---|---|
${MEANINGS.map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |`).join("\n")}

What the reasons of \`request_target_invalid\` mean is in [PATHS.md](PATHS.md).
`;
}

function codeRow(code: DenialCode): string {
  const { status, grpc, closes } = catalogueEntry(code);
  return `| \`${code}\` | ${status}${closes === true ? "\\*" : ""} | ${grpc} | ${EXPLANATIONS[code].when} |`;
}
