// What is told of the credentials of a request, for people who ask: which came, what each authenticator made of them, and
// never their values. A token's claims are told as claims until it was verified.

import type { DenialCode } from "../core/denial.ts";
import type { Fields } from "../core/fields.ts";
import { MASK } from "../core/masking.ts";
import type { Authenticator, AuthnOutcome, CredentialKind } from "./authenticator.ts";
import type { FoundCredentials } from "./credentials.ts";
import { readCompact } from "./jwt/compact.ts";

/** What a token says of itself. */
export interface TokenFacts {
  readonly issuer?: string;
  readonly subject?: string;
  readonly keyId?: string;
  readonly algorithm?: string;
  readonly type?: string;
  /** RFC 3339. */
  readonly expiresAt?: string;
}

/** One credential of a request, without its value. */
export interface SeenCredential {
  readonly kind: CredentialKind | "other";
  /** Where it stands: a field as the client wrote it, or `query access_token`. */
  readonly where: string;
  /** All that is shown of it: `Bearer …`, `gwk_live_…`. */
  readonly masked: string;
  /** Present when it could be read as a token. */
  readonly token?: TokenFacts;
  /** Whether an authenticator found it good; otherwise what the token says is only claimed. */
  readonly verified: boolean;
}

export type AuthenticatorVerdict = "accepted" | "refused" | "not_sent" | "not_looked_at";

/** What one authenticator made of a request. */
export interface AuthenticatorReport {
  /** As written in an `auth` list. */
  readonly name: string;
  readonly kind: CredentialKind;
  readonly verdict: AuthenticatorVerdict;
  readonly code?: DenialCode;
  readonly reason?: string;
}

/** One alternative of a route's `auth`: all of its authenticators together. */
export interface AlternativeReport {
  readonly authenticators: readonly AuthenticatorReport[];
  /** Whether this alternative decided. */
  readonly decides: boolean;
}

/** How an outcome came about. */
export interface Examination {
  readonly outcome: AuthnOutcome;
  readonly seen: readonly SeenCredential[];
  /** Kinds of credentials that the route looks at; none on a public one. */
  readonly accepted: ReadonlySet<CredentialKind>;
  readonly optional: boolean;
  readonly firstMatch: boolean;
  readonly alternatives: readonly AlternativeReport[];
}

/** The same authenticator, which notes under its original what came of each question. */
export function watch(one: Authenticator, outcomes: Map<Authenticator, AuthnOutcome>): Authenticator {
  return {
    name: one.name,
    kind: one.kind,
    authenticate: async (credential, clientAddress) => {
      const outcome = await one.authenticate(credential, clientAddress);
      outcomes.set(one, outcome);
      return outcome;
    },
  };
}

/** What every alternative came to. `found` is undefined when the credentials could not be read at all. */
export function reportAlternatives(
  alternatives: readonly (readonly Authenticator[])[],
  outcomes: ReadonlyMap<Authenticator, AuthnOutcome>,
  found: FoundCredentials | undefined,
): readonly AlternativeReport[] {
  const decisive = alternatives.find(
    (names) =>
      outcomes.size > 0 && names.every((one) => outcomes.has(one)) && new Set(names).size === outcomes.size,
  );
  return alternatives.map((names) => ({
    decides: names === decisive,
    authenticators: names.map((one): AuthenticatorReport => {
      const { name, kind } = one;
      const outcome = outcomes.get(one);
      if (outcome?.kind === "authenticated") return { name, kind, verdict: "accepted" };
      if (outcome !== undefined) {
        const { code, reason } = outcome.denial;
        return { name, kind, verdict: "refused", code, reason };
      }
      const sent = found === undefined || found[kind] !== undefined;
      return { name, kind, verdict: sent ? "not_looked_at" : "not_sent" };
    }),
  }));
}

// Schemes whose names may be shown: anything else before a space may be a part of a secret.
const SCHEME = /^(basic|bearer|digest|dpop|negotiate|apikey|token)(?= |$)/i;
const OWN_PREFIX = /^gwk_(?:live|test)_/;

/** Every credential of a request, also those that the route doesn't take. `verdicts`: what was found of each kind. */
export function seenCredentials(
  { raw, names }: Fields,
  search: string,
  keyFields: readonly string[],
  verdicts: ReadonlyMap<CredentialKind, AuthnOutcome["kind"]>,
): readonly SeenCredential[] {
  const seen: SeenCredential[] = [];
  const add = (kind: SeenCredential["kind"], where: string, masked: string, text?: string): void => {
    const verified = kind !== "other" && verdicts.get(kind) === "authenticated";
    const token = kind === "jwt" && text !== undefined ? factsOf(text) : undefined;
    seen.push({ kind, where, masked, verified, ...(token === undefined ? {} : { token }) });
  };
  for (const [index, name] of names.entries()) {
    const where = raw[index * 2] ?? name;
    const value = raw[index * 2 + 1] ?? "";
    if (name === "authorization") {
      const scheme = SCHEME.exec(value)?.[1] ?? "";
      const rest = value.slice(scheme.length).trim();
      if (scheme.toLowerCase() !== "bearer") add("other", where, scheme === "" ? MASK : `${scheme} ${MASK}`);
      else if (rest.startsWith("gwk_")) add("apiKey", where, `${scheme} ${maskedKey(rest)}`);
      else add("jwt", where, `${scheme} ${MASK}`, rest);
    } else if (keyFields.includes(name)) add("apiKey", where, maskedKey(value));
    else if (name === "x-forwarded-access-token") add("jwt", where, MASK, value);
  }
  if (/access_token|%/.test(search) && new URLSearchParams(search).has("access_token"))
    add("jwt", "query access_token", MASK);
  return seen;
}

function maskedKey(key: string): string {
  return `${OWN_PREFIX.exec(key)?.[0] ?? ""}${MASK}`;
}

const MOST_TEXT = 256;
const LAST_DATE_SECONDS = 253_402_300_799;

function factsOf(token: string): TokenFacts | undefined {
  const read = readCompact(token);
  if (!read.ok) return undefined;
  const { header, payload } = read.value;
  const texts = Object.entries({
    issuer: payload.iss,
    subject: payload.sub,
    keyId: header.kid,
    algorithm: header.alg,
    type: header.typ,
  }).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value.slice(0, MOST_TEXT)] as const] : [],
  );
  const { exp } = payload;
  const expires =
    typeof exp === "number" && Math.abs(exp) <= LAST_DATE_SECONDS
      ? { expiresAt: new Date(exp * 1_000).toISOString() }
      : {};
  return { ...Object.fromEntries(texts), ...expires };
}
