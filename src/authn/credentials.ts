// Finds the credentials of a request, without judging them. Reads the raw field list, so duplicates can't hide.

import { type Denial, deny } from "../core/denial.ts";
import type { Fields } from "../core/fields.ts";
import type { CredentialKind } from "./authenticator.ts";

/** The credentials that a request carries, one per kind at most. */
export interface FoundCredentials {
  readonly jwt: string | undefined;
  readonly apiKey: string | undefined;
  /** The kind that came more than once; an error only where the route accepts it. */
  readonly repeated: CredentialKind | undefined;
}

/** The credentials that decide about a request, by kind. */
export type DecidingCredentials = Readonly<Partial<Record<CredentialKind, string>>>;

const NONE: FoundCredentials = { jwt: undefined, apiKey: undefined, repeated: undefined };
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
  const { key, repeated } = keyIn(fields, keyFields);
  if (authorization === undefined)
    return key === undefined ? NONE : { jwt: undefined, apiKey: key, repeated };
  const bearer = bearerToken(authorization);
  if (typeof bearer === "object") return bearer;
  if (!bearer?.startsWith(KEY_PREFIX)) return { jwt: bearer, apiKey: key, repeated };
  return { jwt: undefined, apiKey: bearer, repeated: key === undefined ? undefined : "apiKey" };
}

interface FoundKey {
  readonly key: string | undefined;
  readonly repeated: "apiKey" | undefined;
}

const NO_KEY: FoundKey = { key: undefined, repeated: undefined };

function keyIn(fields: Fields, keyFields: readonly string[]): FoundKey {
  let found = NO_KEY;
  for (const name of keyFields) {
    const key = fields.first(name);
    if (key === undefined) continue;
    const again = found.key !== undefined || fields.repeated(name);
    found = { key, repeated: again ? "apiKey" : undefined };
    if (again) return found;
  }
  return found;
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
