// The contract of everything that turns a credential into a principal.

import type { Denial } from "../core/denial.ts";
import type { Principal } from "../core/principal.ts";
import type { Awaitable } from "../core/result.ts";

export type CredentialKind = "jwt" | "apiKey";

export type AuthnOutcome =
  | { readonly kind: "authenticated"; readonly principal: Principal }
  | { readonly kind: "rejected"; readonly denial: Denial };

/**
 * Verifies one kind of credential. A bad credential is an outcome; a thrown error means that the authenticator itself
 * is broken. A dependency that is away is a rejection too (`keys_unavailable`), never a verdict on the credential.
 */
export interface Authenticator {
  /** As written in an `auth` list: `jwt`, `jwt:corp`, `apiKey`. */
  readonly name: string;
  readonly kind: CredentialKind;
  /** `clientAddress` is the client's address in canonical spelling, for credentials that are bound to some. */
  authenticate(credential: string, clientAddress: string): Awaitable<AuthnOutcome>;
}

export function rejected(denial: Denial): AuthnOutcome {
  return { kind: "rejected", denial };
}
