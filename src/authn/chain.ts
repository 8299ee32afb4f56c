// Applies a route's `auth` rule: which of the credentials that came decide, and what follows when none did.

import { type Denial, deny } from "../core/denial.ts";
import type { Fields } from "../core/fields.ts";
import { ANONYMOUS, type Principal } from "../core/principal.ts";
import { type Awaitable, isPromise } from "../core/result.ts";
import { ScopeSet } from "../core/scope.ts";
import { type Authenticator, type AuthnOutcome, type CredentialKind, rejected } from "./authenticator.ts";
import { type DecidingCredentials, type FoundCredentials, findCredentials } from "./credentials.ts";
import { type Examination, reportAlternatives, seenCredentials, watch } from "./examination.ts";

export interface ChainPolicy {
  /** OR of ANDs. Empty: the route is public. */
  readonly alternatives: readonly (readonly Authenticator[])[];
  /** Whether a request without credentials passes as anonymous. */
  readonly optional: boolean;
  /** Whether several accepted credentials may come, the first listed alternative deciding. */
  readonly firstMatch: boolean;
  /** Lower case. */
  readonly keyFields: readonly string[];
}

/** What a decision asks about the credentials of a request: an `AuthnChain`, or what stands for one. */
export interface CredentialRule {
  authenticate(fields: Fields, search: string, clientAddress: string): Awaitable<AuthnOutcome>;
  deciding(fields: Fields, search: string): DecidingCredentials;
  /** Authenticates and tells how it came about; absent where something stands for a credential. */
  examine?(fields: Fields, search: string, clientAddress: string): Promise<Examination>;
}

const PASS: AuthnOutcome = { kind: "authenticated", principal: ANONYMOUS };

export class AuthnChain implements CredentialRule {
  readonly #policy: ChainPolicy;
  readonly #accepted: ReadonlySet<CredentialKind>;
  /** Set when every alternative is one credential: the usual rule, decided without looking at combinations. */
  readonly #lone: Partial<Record<CredentialKind, Authenticator>> | undefined;

  constructor(policy: ChainPolicy) {
    this.#policy = policy;
    this.#accepted = new Set(policy.alternatives.flat().map((authenticator) => authenticator.kind));
    this.#lone = loneAuthenticators(policy.alternatives);
  }

  /** The principal, or the refusal. A credential that is present but bad is never skipped. */
  authenticate(fields: Fields, search: string, clientAddress: string): Awaitable<AuthnOutcome> {
    const found = findCredentials(fields, this.#policy.keyFields);
    if ("code" in found) return this.#publicIgnores(found) ? PASS : rejected(found);
    if (this.#accepted.size === 0) return PASS;
    const conflict = this.#conflict(found, fields, search);
    if (conflict !== undefined) return rejected(conflict);
    const { jwt, apiKey } = this.#lone ?? {};
    if (found.apiKey === undefined || apiKey === undefined) {
      if (jwt !== undefined && found.jwt !== undefined) return jwt.authenticate(found.jwt, clientAddress);
    } else if (found.jwt === undefined || jwt === undefined) {
      return apiKey.authenticate(found.apiKey, clientAddress);
    }
    const alternative = this.#decisive(found);
    if (alternative !== undefined) return verifyAll(alternative, found, clientAddress);
    const none = ![...this.#accepted].some((kind) => found[kind] !== undefined);
    return none && this.#policy.optional ? PASS : rejected(deny("credentials_missing"));
  }

  /**
   * The credentials that `authenticate` looks at in this request; none when it decides without. For those who have to
   * know beside the usual way of a request, since it looks for them anew.
   */
  deciding(fields: Fields, search: string): DecidingCredentials {
    const found = findCredentials(fields, this.#policy.keyFields);
    if ("code" in found || this.#conflict(found, fields, search) !== undefined) return {};
    const deciding: Partial<Record<CredentialKind, string>> = {};
    for (const { kind } of this.#decisive(found) ?? []) {
      const credential = found[kind];
      if (credential !== undefined) deciding[kind] = credential;
    }
    return deciding;
  }

  /**
   * What `authenticate` answers, and how each authenticator came to its part of it. For people who ask, beside the usual
   * way of a request.
   */
  async examine(fields: Fields, search: string, clientAddress: string): Promise<Examination> {
    const { alternatives, keyFields, optional, firstMatch } = this.#policy;
    const outcomes = new Map<Authenticator, AuthnOutcome>();
    const watched = alternatives.map((names) => names.map((one) => watch(one, outcomes)));
    const chain = new AuthnChain({ ...this.#policy, alternatives: watched });
    const outcome = await chain.authenticate(fields, search, clientAddress);
    const found = findCredentials(fields, keyFields);
    return {
      outcome,
      seen: seenCredentials(
        fields,
        search,
        keyFields,
        new Map([...outcomes].map(([one, { kind }]) => [one.kind, kind])),
      ),
      accepted: this.#accepted,
      optional,
      firstMatch,
      alternatives: reportAlternatives(alternatives, outcomes, "code" in found ? undefined : found),
    };
  }

  /** The first alternative whose credentials all came; without `firstMatch` it must look at every one that came. */
  #decisive(found: FoundCredentials): readonly Authenticator[] | undefined {
    const { alternatives, firstMatch } = this.#policy;
    const sent = firstMatch ? [] : [...this.#accepted].filter((kind) => found[kind] !== undefined);
    return alternatives.find(
      (names) =>
        names.every((one) => found[one.kind] !== undefined) &&
        sent.every((kind) => names.some((one) => one.kind === kind)),
    );
  }

  /** A public route takes no credential, so only what is ambiguous for any reader is refused there. */
  #publicIgnores(denial: Denial): boolean {
    return this.#accepted.size === 0 && denial.code !== "credentials_ambiguous";
  }

  #conflict(found: FoundCredentials, fields: Fields, search: string): Denial | undefined {
    if (found.repeated !== undefined && this.#accepted.has(found.repeated)) {
      return deny("credentials_ambiguous", "credential_repeated");
    }
    if (found.jwt !== undefined && this.#accepted.has("jwt") && secondToken(found.jwt, fields, search)) {
      return deny("credentials_ambiguous", "token_in_two_places");
    }
    if (this.#policy.firstMatch || found.jwt === undefined || found.apiKey === undefined) return undefined;
    if (!this.#accepted.has("jwt") || !this.#accepted.has("apiKey")) return undefined;
    const together = this.#policy.alternatives.some(
      (names) => new Set(names.map((one) => one.kind)).size === 2,
    );
    return together ? undefined : deny("credentials_ambiguous", "two_kinds");
  }
}

function loneAuthenticators(
  alternatives: ChainPolicy["alternatives"],
): Partial<Record<CredentialKind, Authenticator>> | undefined {
  const lone: Partial<Record<CredentialKind, Authenticator>> = {};
  for (const [first, ...others] of alternatives) {
    if (first === undefined || others.length > 0) return undefined;
    lone[first.kind] ??= first;
  }
  return lone;
}

/** A token beside the one in Authorization (RFC 6750 section 2: one method per request). */
function secondToken(token: string, fields: Fields, search: string): boolean {
  if (fields.names.includes("x-forwarded-access-token")) {
    if (fields.all("x-forwarded-access-token").some((forwarded) => forwarded !== token)) return true;
  }
  // The name may be written with escapes, which the upstream would undo.
  if (!search.includes("access_token") && !search.includes("%")) return false;
  return new URLSearchParams(search).has("access_token");
}

function verifyAll(
  authenticators: readonly Authenticator[],
  found: FoundCredentials,
  clientAddress: string,
): Awaitable<AuthnOutcome> {
  const outcomes = authenticators.map((one) => one.authenticate(found[one.kind] ?? "", clientAddress));
  const [only] = outcomes;
  if (outcomes.length === 1 && only !== undefined) return only;
  return outcomes.some(isPromise) ? Promise.all(outcomes).then(combine) : combine(outcomes as AuthnOutcome[]);
}

/** Every credential has to be good. The token says who the user is; the API key names the client. */
function combine(outcomes: readonly AuthnOutcome[]): AuthnOutcome {
  const principals: Principal[] = [];
  for (const outcome of outcomes) {
    if (outcome.kind === "rejected") return outcome;
    principals.push(outcome.principal);
  }
  const lead = principals.find((principal) => principal.method === "jwt") ?? principals[0] ?? ANONYMOUS;
  const key = principals.find((principal) => principal.keyId !== undefined);
  return {
    kind: "authenticated",
    principal: {
      ...lead,
      scopes: new ScopeSet(principals.flatMap((principal) => principal.scopes.values)),
      roles: [...new Set(principals.flatMap((principal) => principal.roles))],
      ...(key?.keyId === undefined ? {} : { keyId: key.keyId, clientId: key.keyId }),
    },
  };
}
