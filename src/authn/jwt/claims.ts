// The rules that a token's header and claims must meet, as pure functions: the time is an argument.

import { claimAt } from "../../core/claims.ts";
import type { IssuerPolicy } from "./policy.ts";
import { isObject, type JsonObject } from "./strict-json.ts";

const MOST_KID_CHARACTERS = 256;
const MOST_SUBJECT_BYTES = 1024;
// Seconds until the end of year 9999, the last date that every consumer can hold.
const LAST_DATE = 253_402_300_799;
const LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout";

// Tokens of other protocols, refused even if a configuration lists them (RFC 8725 section 3.12).
const FOREIGN_TYPES = new Set([
  "dpop+jwt",
  "logout+jwt",
  "secevent+jwt",
  "token-introspection+jwt",
  "oauth-authz-req+jwt",
  "kb+jwt",
  "jose",
  "jose+json",
  "jwe",
]);

/** The `typ` header in its short lower-case form (RFC 7515 section 4.1.9); empty when absent, undefined when it is no type. */
export function tokenType(header: JsonObject): string | undefined {
  if (header.typ === undefined) return "";
  if (typeof header.typ !== "string" || header.typ === "") return undefined;
  return header.typ.toLowerCase().replace(/^application\//, "");
}

/** Reason code of what is wrong with the header under `policy`; nothing in it is ever used to find a key but `kid`. */
export function headerFault(header: JsonObject, policy: IssuerPolicy): string | undefined {
  const { alg, kid } = header;
  if (typeof alg !== "string" || !policy.algorithms.includes(alg)) return "jwt_alg";
  // No extension is implemented, so none may be demanded (RFC 7515 section 4.1.11, RFC 7797 section 6).
  if (header.crit !== undefined || header.b64 !== undefined) return "jwt_crit";
  const kidFits = typeof kid === "string" && kid.length > 0 && kid.length <= MOST_KID_CHARACTERS;
  if (kid !== undefined && !kidFits) return "jwt_kid";
  const type = tokenType(header);
  if (type === undefined || FOREIGN_TYPES.has(type)) return "jwt_typ";
  const accepted =
    policy.types === undefined
      ? type === "at+jwt" || type === "jwt" || type === ""
      : policy.types.includes(type);
  return accepted ? undefined : "jwt_typ";
}

/** Reason code of what is wrong with verified claims at `nowMs` (wall clock); `jwt_expired` is the only fault that time brings. */
export function claimsFault(token: {
  readonly header: JsonObject;
  readonly payload: JsonObject;
  readonly policy: IssuerPolicy;
  readonly nowMs: number;
}): string | undefined {
  const { header, payload, policy, nowMs } = token;
  // RFC 8725 section 3.8: the claim decided which keys were used, so it is compared again after they verified it.
  if (payload.iss !== policy.issuer) return "jwt_issuer";
  return (
    audienceFault(payload.aud, policy.audience) ??
    kindFault(tokenType(header) === "at+jwt", payload) ??
    subjectFault(claimAt(payload, policy.claims.subject)) ??
    idFault(payload.jti) ??
    clientFault(payload, policy.clientId) ??
    timeFault(payload, policy.leewaySeconds, nowMs)
  );
}

function audienceFault(aud: unknown, accepted: readonly string[] | undefined): string | undefined {
  if (accepted === undefined) return undefined;
  const named = Array.isArray(aud) ? aud : [aud];
  if (!named.every((entry) => typeof entry === "string")) return "jwt_audience";
  return named.some((entry) => accepted.includes(entry)) ? undefined : "jwt_audience";
}

/** Refuses what is signed by the right issuer but is no access token that this gateway can check. */
function kindFault(typed: boolean, payload: JsonObject): string | undefined {
  // A sender-constrained token without its proof would become a plain bearer token (RFC 7800, RFC 9449 section 7.1).
  if (payload.cnf !== undefined) return "jwt_bound";
  if (typed) return undefined;
  const { typ, token_use: use, events } = payload;
  if (payload.nonce !== undefined || payload.at_hash !== undefined || payload.c_hash !== undefined) {
    return "jwt_id_token";
  }
  if (use !== undefined && use !== "access") return "jwt_id_token";
  if (typeof typ === "string" && /^(?:id|refresh|offline|logout)$/i.test(typ)) return "jwt_id_token";
  return isObject(events) && LOGOUT_EVENT in events ? "jwt_id_token" : undefined;
}

function subjectFault(subject: unknown): string | undefined {
  if (!isPlainText(subject)) return "jwt_subject";
  return Buffer.byteLength(subject) <= MOST_SUBJECT_BYTES ? undefined : "jwt_subject";
}

function idFault(jti: unknown): string | undefined {
  return jti === undefined || typeof jti === "string" ? undefined : "jwt_jti";
}

function clientFault(payload: JsonObject, expected: string | undefined): string | undefined {
  if (expected === undefined) return undefined;
  return (payload.client_id ?? payload.azp) === expected ? undefined : "jwt_client";
}

function timeFault(payload: JsonObject, leeway: number, nowMs: number): string | undefined {
  const { exp, nbf, iat } = payload;
  if (!isDate(exp)) return "jwt_exp";
  if (nbf !== undefined && !isDate(nbf)) return "jwt_nbf";
  if (iat !== undefined && !isDate(iat)) return "jwt_iat";
  const { fromMs, untilMs } = validity(payload, leeway);
  if (nowMs >= untilMs) return "jwt_expired";
  if (nowMs >= fromMs) return undefined;
  return nbf !== undefined && nowMs < (nbf - leeway) * 1000 ? "jwt_not_yet_valid" : "jwt_issued_ahead";
}

/** NumericDate (RFC 7519 section 2): a finite number of seconds, also a fractional one, and never text. */
function isDate(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= LAST_DATE;
}

/** The wall-clock milliseconds from which, and until just before which, claims of checked types are accepted. */
export function validity(payload: JsonObject, leewaySeconds: number): { fromMs: number; untilMs: number } {
  const { exp, nbf, iat } = payload;
  const notBefore = Math.max(isDate(nbf) ? nbf : -Infinity, isDate(iat) ? iat : -Infinity);
  const end = isDate(exp) ? exp : -Infinity;
  return { fromMs: (notBefore - leewaySeconds) * 1000, untilMs: (end + leewaySeconds) * 1000 };
}

/** Whether `value` is text that can be carried on: not empty and without C0 and C1 control characters. */
export function isPlainText(value: unknown): value is string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return typeof value === "string" && value !== "" && !/[\u0000-\u001f\u007f-\u009f]/.test(value);
}
