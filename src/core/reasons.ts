// What the reasons of refusals mean, for operators: words for docs/ERRORS.md and for explanations. Clients never see them.

import { catalogueEntry, type Denial } from "./denial.ts";

/** Meaning of the reasons that don't explain themselves, in the order of the page. */
export const MEANINGS: readonly (readonly [reason: string, meaning: string])[] = [
  ["jwt_size", "longer than the gateway reads"],
  ["jwt_form", "not three base64url parts"],
  ["jwt_base64", "not the one base64url text of its bytes"],
  ["jwt_encrypted", "an encrypted token (JWE), which is not supported"],
  ["jwt_header", "the header is not a JSON object in strict form"],
  ["jwt_payload", "the payload is not a JSON object in strict form (no repeated members, limited depth)"],
  ["jwt_alg", "the algorithm is not one of the issuer's `algorithms`"],
  ["jwt_crit", "an extension that must be understood, and isn't"],
  ["jwt_kid", "the key id is no short text"],
  ["jwt_typ", "the type is not one of the issuer's `typ`"],
  ["jwt_issuer", "no issuer of the file has this `iss`, or the route doesn't take it"],
  ["jwt_key_unknown", "the issuer has no key with this id"],
  ["jwt_key_unfit", "the issuer has keys, but none that fits id and algorithm"],
  ["jwt_signature", "the signature doesn't fit"],
  ["jwt_audience", "the token is for another service"],
  ["jwt_subject", "the subject is missing, too long, or no plain text"],
  ["jwt_jti", "the token id is no text"],
  ["jwt_client", "the token was issued to another client than `clientId`"],
  ["jwt_bound", "the token is bound to a key or certificate, which is not supported yet"],
  ["jwt_id_token", "an ID, refresh or logout token instead of an access token"],
  ["jwt_exp", "the expiry is missing or no number"],
  ["jwt_nbf", "`nbf` is no number"],
  ["jwt_iat", "`iat` is no number"],
  ["jwt_not_yet_valid", "`nbf` is in the future"],
  ["jwt_issued_ahead", "`iat` is in the future"],
  ["jwt_keys_missing", "no key of this issuer was fetched yet; see the `keys_refresh_failed` lines"],
  ["keys_not_fetched", "asked without network, of an issuer whose keys are elsewhere"],
  ["key_not_enough", "asked as the owner of an API key, which the route takes only with another credential"],
  ["key_missing", "replayed as a token alone, which the route takes only with an API key"],
  ["key_form", "empty, too long, or with characters that no key has"],
  ["key_checksum", "begins as a Gatewarden key but its checksum is wrong: mistyped or cut off"],
  ["key_unknown", "no entry of `apiKeys` has this hash"],
  ["key_address", "the client is outside the key's `allowIps`"],
  [
    "address_blocked",
    "failures came from the client's address; a key that could be a guess is not even looked at",
  ],
  [
    "credential_blocked",
    "failures came with this beginning of a key, or this issuer and subject, from any address",
  ],
  ["two_kinds", "a token and an API key, both of which the route takes alone"],
  ["token_in_two_places", "a second token in the query or in `X-Forwarded-Access-Token`"],
  ["framing", "`Content-Length` and `Transfer-Encoding` contradict each other or themselves"],
  ["hpe_…", "the parser's own name for what it met"],
  ["handshake_invalid", "the upstream's WebSocket answer doesn't prove that it read the handshake"],
  ["proxy_loop", "the request passed this gateway too often (`Via`)"],
  ["total_timeout", "`timeouts.total` is over"],
];

/** Meaning of those that are clear on a page with examples, but not alone. */
const MORE: readonly (readonly [reason: string, meaning: string])[] = [
  ["target_form", "the target doesn't begin with a slash"],
  ["authority_mismatch", "the target names another host than the Host field"],
  ["character_invalid", "a character that can't stand in a target"],
  ["escape_invalid", "a `%` without two hexadecimal digits"],
  ["not_utf8", "escapes that are not UTF-8"],
  ["control_character", "a control character, plain or escaped"],
  ["backslash", "a backslash, plain or escaped"],
  ["fragment", "a `#`, which no request target has"],
  ["semicolon", "a `;`, which `paths.semicolon` refuses"],
  ["encoded_slash", "an encoded slash, which `paths.encodedSlash` refuses"],
  ["double_encoded", "a doubly encoded dot, separator or control character"],
  ["dot_segment", "a `.` or `..` segment"],
  ["duplicate_slash", "two slashes in a row, which `paths.duplicateSlash` refuses"],
  ["host_invalid", "the Host field is missing, repeated, or no host and port"],
  ["websocket_handshake", "an incomplete WebSocket handshake"],
  ["header_count", "more header lines than `limits.headerCount`"],
  ["header_bytes", "more header bytes than `limits.headers`"],
  ["content_length", "the announced body is larger than `limits.body`"],
  ["transfer_coding", "a transfer coding other than `chunked`"],
  ["url_too_long", "the target is longer than `limits.url`"],
  ["route_not_found", "no route matches"],
  ["misdirected_request", "every route is for another host"],
  ["method_not_allowed", "routes match the path, none of them this method"],
  ["method_never_forwarded", "TRACE and CONNECT are never forwarded"],
  ["address_denied", "the client's address is outside the route's `ips`"],
  ["authorization_repeated", "two Authorization fields"],
  ["authorization_joined", "two credentials in one Authorization field"],
  ["credential_repeated", "the same kind of credential twice"],
  ["bearer_empty", "a Bearer scheme without a token"],
  ["credentials_missing", "no credential came that the route takes, or not all that it needs together"],
  ["jwt_expired", "the token's time is over"],
  ["key_disabled", "the key is disabled in the file"],
  ["key_expired", "the key's time is over"],
  ["scope_missing", "the caller lacks a scope that the route needs"],
  ["role_missing", "the caller lacks a role that the route needs"],
  ["requirement_not_met", "the caller is somebody else than `require` asks for"],
  ["rate_limited", "a limit is used up"],
  ["limiter_unavailable", "the limit store is away, and the limit says `onStoreFailure: deny`"],
];

const SENTENCES: ReadonlyMap<string, string> = new Map([...MEANINGS, ...MORE]);

/** What a refusal means, without the first capital and the full stop. */
export function sentenceOf({ code, reason }: Pick<Denial, "code" | "reason">): string {
  const known = SENTENCES.get(reason);
  if (known !== undefined) return known;
  const { title } = catalogueEntry(code);
  return title.charAt(0).toLowerCase() + title.slice(1);
}
