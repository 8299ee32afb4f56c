// Who is calling, after authentication. One shape for every kind of credential.

import { ScopeSet } from "./scope.ts";

export type AuthMethod = "jwt" | "apiKey" | "anonymous";

export interface Principal {
  readonly method: AuthMethod;
  /** Stable id of the caller within its issuer; for an API key the key's `subject`, or its id. Empty when anonymous. */
  readonly subject: string;
  /** Issuer identifier (`iss`) for tokens. `issuer|subject` is the identity; a subject alone is not (RFC 7519 4.1.2). */
  readonly issuer?: string;
  /** OAuth client, or the id of the API key. */
  readonly clientId?: string;
  /** Id of the API key that was presented. */
  readonly keyId?: string;
  readonly scopes: ScopeSet;
  readonly roles: readonly string[];
  readonly email?: string;
  readonly org?: string;
  readonly tier?: string;
  /** Verified claims (tokens) or the key's metadata; read by `require` and by limits per claim. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** Wall-clock milliseconds at which the credential ends, if it does. */
  readonly expiresAtMs?: number;
}

/** The caller of a public route, or of an optional one without credentials. */
export const ANONYMOUS: Principal = {
  method: "anonymous",
  subject: "",
  scopes: ScopeSet.EMPTY,
  roles: [],
  claims: {},
};
