// Finds the credentials of a request, without judging them. Reads the raw field list, so duplicates can't hide.

import { type Denial, deny } from "../core/denial.ts";
import type { Fields } from "../core/fields.ts";
import type { CredentialKind } from "./authenticator.ts";

/** The credentials that a request carries, one per kind at most. */
export interface FoundCredentials {
  readonly jwt: string | undefined;
  readonly apiKey: string | undefined;
  /** Kinds that came more than once; an error only where the route accepts the kind. */
  readonly repeated: readonly CredentialKind[];
}

const NONE: FoundCredentials = { jwt: undefined, apiKey: undefined, repeated: [] };
const KEY_PREFIX = "gwk_";

/**
 * Credentials from `Authorization: Bearer` (RFC 6750 section 2.1) and the API-key fields. A refusal only for what no
 * route could accept: two Authorization lines, or a Bearer scheme without a well-formed token.
 */
export function findCredentials(fields: Fields, keyFields: readonly string[]): FoundCredentials | Denial {
  const authorization = fields.first("authorization");
  if (authorization !== undefined && fields.repeated("authorization")) {
    return deny("credentials_ambiguous", "authorization_repeated");
  }
  const keys = keysIn(fields, keyFields);
  if (authorization === undefined) return keys.length === 0 ? NONE : found(undefined, keys);
  const bearer = bearerToken(authorization);
  if (typeof bearer === "object") return bearer;
  if (bearer === undefined) return found(undefined, keys);
  return bearer.startsWith(KEY_PREFIX) ? found(undefined, [...keys, bearer]) : found(bearer, keys);
}

function found(jwt: string | undefined, keys: readonly string[]): FoundCredentials {
  return { jwt, apiKey: keys[0], repeated: keys.length > 1 ? ["apiKey"] : [] };
}

function keysIn(fields: Fields, keyFields: readonly string[]): readonly string[] {
  let keys: string[] | undefined;
  for (const name of keyFields) {
    if (!fields.names.includes(name)) continue;
    keys ??= [];
    keys.push(...fields.all(name));
  }
  return keys ?? [];
}

/** The token, undefined for another scheme, or the refusal of a Bearer credential that isn't well-formed. */
function bearerToken(value: string): string | Denial | undefined {
  if (value.length < 6 || value.slice(0, 6).toLowerCase() !== "bearer") return undefined;
  if (value.length === 6) return deny("credentials_malformed", "bearer_empty");
  if (value.charCodeAt(6) !== 0x20) return undefined;
  // One or more spaces may follow the scheme (RFC 9110 section 11.4).
  let start = 7;
  while (value.charCodeAt(start) === 0x20) start++;
  const token = value.slice(start);
  if (token === "") return deny("credentials_malformed", "bearer_empty");
  if (token.includes(",")) return deny("credentials_ambiguous", "authorization_joined");
  return token;
}
