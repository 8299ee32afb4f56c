// WWW-Authenticate field values (RFC 9110 section 11.6.1, RFC 6750 section 3). One challenge per field line, Bearer first.

import { catalogueEntry, type Denial } from "../core/denial.ts";
import type { CredentialKind } from "./authenticator.ts";

const DESCRIPTIONS: Partial<Record<Denial["code"], string>> = {
  token_expired: "The access token expired",
  token_invalid: "The access token is invalid",
  scope_insufficient: "A required scope is missing",
  credentials_ambiguous: "More than one credential was sent",
  credentials_malformed: "The credential is not well-formed",
};

/**
 * Challenges for a refusal on a route that accepts `kinds`. Missing credentials get no error attribute
 * (RFC 6750 section 3.1); nothing tells which check of a bad credential failed.
 */
export function challengesFor(
  denial: Denial,
  kinds: ReadonlySet<CredentialKind>,
  keyField: string,
): readonly string[] {
  const entry = catalogueEntry(denial.code);
  const challenges: string[] = [];
  if (kinds.has("jwt")) {
    let challenge = 'Bearer realm="gatewarden"';
    if (entry.bearerError !== undefined) {
      challenge += `, error="${entry.bearerError}", error_description="${DESCRIPTIONS[denial.code] ?? entry.title}"`;
    }
    if (denial.code === "scope_insufficient" && denial.requiredScopes !== undefined) {
      challenge += `, scope="${denial.requiredScopes.join(" ")}"`;
    }
    challenges.push(challenge);
  }
  if (kinds.has("apiKey")) challenges.push(`ApiKey realm="gatewarden", header="${keyField}"`);
  return challenges;
}

/** Refusals that carry a challenge: all 401, and those whose bearer error RFC 6750 defines. */
export function wantsChallenge(denial: Denial): boolean {
  const entry = catalogueEntry(denial.code);
  return entry.status === 401 || entry.bearerError !== undefined;
}
