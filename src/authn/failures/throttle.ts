// Slows down whoever tries credentials: counts failures per client address and per public part of a credential, and
// answers with 429 while one of them is blocked. A credential that nobody can guess is verified whatever is blocked,
// so nobody is locked out by what others send.

import { limitUnit } from "../../core/address.ts";
import type { Clock } from "../../core/clock.ts";
import { type Denial, type DenialCode, deny } from "../../core/denial.ts";
import type { Emit } from "../../core/events.ts";
import type { Fields } from "../../core/fields.ts";
import type { GatewayRequest } from "../../core/request.ts";
import { isPromise } from "../../core/result.ts";
import type { CredentialKind } from "../authenticator.ts";
import type { DecidingCredentials } from "../credentials.ts";
import { Blocks } from "./blocks.ts";
import { addressId, credentialId, isGuessable } from "./identity.ts";
import type { FailurePolicy } from "./policy.ts";
import type { FailureCounter, FailureDimension } from "./ports.ts";

export interface ThrottlePorts {
  readonly clock: Pick<Clock, "steadyMs">;
  readonly emit: Emit;
  readonly counter: FailureCounter;
}

/** Tells which credentials of a request are looked at: an `AuthnChain`. */
export interface CredentialSource {
  deciding(fields: Fields, search: string): DecidingCredentials;
}

/** What the throttle has to know about a request. */
export type Attempt = Pick<GatewayRequest, "fields" | "target" | "clientAddress">;

/** Rejections that can be those of a guess, and the kind of credential that was bad; undefined: there was none to read. */
const FAILURES: ReadonlyMap<DenialCode, CredentialKind | undefined> = new Map([
  ["token_invalid", "jwt"],
  ["api_key_invalid", "apiKey"],
  ["credentials_malformed", undefined],
]);
// Whoever sends an expired or disabled key knows a real one.
const NO_GUESSES: ReadonlySet<string> = new Set(["key_expired", "key_disabled"]);

/** The throttle for questions: it answers as it would a request, and counts nothing. */
export interface ThrottleView {
  beforeAuthentication(chain: CredentialSource, attempt: Attempt): Denial | undefined;
  afterRejection(chain: CredentialSource, attempt: Attempt, denial: Denial): Denial;
  /** Whole seconds, rounded up, for which the client's address is blocked; 0 when it isn't. */
  addressBlockedSeconds(clientAddress: string): number;
}

export class FailureThrottle {
  readonly #clock: Pick<Clock, "steadyMs">;
  readonly #emit: Emit;
  readonly #counter: FailureCounter;
  readonly #addresses: Blocks;
  readonly #credentials: Blocks;
  readonly #refusals: Record<FailureDimension, number> = { address: 0, credential: 0 };

  constructor(policy: FailurePolicy, ports: ThrottlePorts) {
    this.#clock = ports.clock;
    this.#emit = ports.emit;
    this.#counter = ports.counter;
    this.#addresses = new Blocks(policy);
    this.#credentials = new Blocks(policy);
  }

  /** Requests refused so far, by what was blocked; the address where both were. */
  get refusals(): Readonly<Record<FailureDimension, number>> {
    return this.#refusals;
  }

  /**
   * The refusal of a request whose credential might be a guess, from an address that is blocked. It comes before the
   * credential is looked at: a right guess is answered like a wrong one.
   */
  beforeAuthentication(chain: CredentialSource, attempt: Attempt): Denial | undefined {
    return this.#before(chain, attempt, true);
  }

  #before(chain: CredentialSource, attempt: Attempt, counts: boolean): Denial | undefined {
    if (!this.#addresses.maybeActive) return undefined;
    const now = this.#clock.steadyMs();
    if (!this.#addresses.anyActive(now)) return undefined;
    const { apiKey } = chain.deciding(attempt.fields, attempt.target.search);
    if (apiKey === undefined || !isGuessable(apiKey)) return undefined;
    const leftMs = this.#addresses.leftMs(addressId(attempt.clientAddress), now);
    return leftMs > 0 ? this.#refuse(leftMs, 0, counts) : undefined;
  }

  /**
   * The answer to a request whose credential was rejected with `denial`: that one, or 429 while its address or the
   * public part of its credential is blocked. Where they aren't the failure is counted; a block then begins with the
   * next request.
   */
  afterRejection(chain: CredentialSource, attempt: Attempt, denial: Denial): Denial {
    return this.#after(chain, attempt, denial, true);
  }

  /** The same answers for questions. */
  get view(): ThrottleView {
    return {
      beforeAuthentication: (chain, attempt) => this.#before(chain, attempt, false),
      afterRejection: (chain, attempt, denial) => this.#after(chain, attempt, denial, false),
      addressBlockedSeconds: (address) =>
        Math.ceil(this.#addresses.leftMs(addressId(address), this.#clock.steadyMs()) / 1_000),
    };
  }

  #after(chain: CredentialSource, attempt: Attempt, denial: Denial, counts: boolean): Denial {
    if (!FAILURES.has(denial.code)) return denial;
    const now = this.#clock.steadyMs();
    const { clientAddress } = attempt;
    const address = addressId(clientAddress);
    const credential = badCredential(chain, attempt, FAILURES.get(denial.code));
    const addressLeftMs = this.#addresses.leftMs(address, now);
    const credentialLeftMs = credential === undefined ? 0 : this.#credentials.leftMs(credential, now);
    if (counts && !NO_GUESSES.has(denial.reason)) {
      if (addressLeftMs === 0) this.#count("address", address, clientAddress, now);
      if (credential !== undefined && credentialLeftMs === 0) {
        this.#count("credential", credential, undefined, now);
      }
    }
    // Expired and disabled keys too, so that no answer tells them from unknown ones.
    return addressLeftMs > 0 || credentialLeftMs > 0
      ? this.#refuse(addressLeftMs, credentialLeftMs, counts)
      : denial;
  }

  #count(dimension: FailureDimension, id: string, client: string | undefined, failedAtMs: number): void {
    const failures = this.#counter.count(dimension, id);
    if (isPromise(failures))
      void failures.then((number) => this.#note(dimension, id, client, number, failedAtMs));
    else this.#note(dimension, id, client, failures, failedAtMs);
  }

  #note(
    dimension: FailureDimension,
    id: string,
    client: string | undefined,
    failures: number,
    failedAtMs: number,
  ): void {
    const blocks = dimension === "address" ? this.#addresses : this.#credentials;
    const lengthMs = blocks.failed(id, failures, failedAtMs, this.#clock.steadyMs());
    if (lengthMs === undefined) return;
    this.#emit({
      kind: "credential_failures",
      dimension,
      ...(client === undefined ? {} : { client: limitUnit(client) }),
      failures,
      blockedForSeconds: lengthMs / 1_000,
    });
  }

  #refuse(addressLeftMs: number, credentialLeftMs: number, counts: boolean): Denial {
    const dimension = addressLeftMs > 0 ? "address" : "credential";
    if (counts) this.#refusals[dimension]++;
    const retryAfterSeconds = Math.ceil(Math.max(addressLeftMs, credentialLeftMs) / 1_000);
    return dimension === "address"
      ? deny("too_many_failures", "address_blocked", { retryAfterSeconds })
      : deny("too_many_failures", "credential_blocked", { retryAfterSeconds });
  }
}

function badCredential(
  chain: CredentialSource,
  { fields, target }: Attempt,
  kind: CredentialKind | undefined,
): string | undefined {
  if (kind === undefined) return undefined;
  const credential = chain.deciding(fields, target.search)[kind];
  return credential === undefined ? undefined : credentialId(kind, credential);
}
