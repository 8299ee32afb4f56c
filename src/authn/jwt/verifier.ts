// Verifies access tokens: picks the issuer by name, its key by id, and lets jose check the signature. Everything that can
// be decided without cryptography is decided before it, and a token that was verified once is remembered.

import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../core/clock.ts";
import { deny } from "../../core/denial.ts";
import type { Emit } from "../../core/events.ts";
import { GatewayFailure } from "../../core/failure.ts";
import type { Awaitable } from "../../core/result.ts";
import { type AuthnOutcome, rejected } from "../authenticator.ts";
import { claimsFault, headerFault, validity } from "./claims.ts";
import { type CompactToken, readCompact } from "./compact.ts";
import { type KeySet, type KeyState, StaticKeySet } from "./key-set.ts";
import { localKeys, sourceFault } from "./key-source.ts";
import { importKeys, importSecret, type KeyTable, readKeySet } from "./key-table.ts";
import type { IssuerPolicy } from "./policy.ts";
import { type Grants, toPrincipal } from "./principal.ts";
import { KEY_TIMINGS, type KeyTimings, RemoteKeySet } from "./remote-key-set.ts";
import { findKeys, isSigned } from "./signature.ts";
import { CACHE_BOUNDS, type CacheBounds, TokenCache } from "./token-cache.ts";

export { checkKeySource } from "./key-source.ts";

/** What the verifier needs from outside. */
export interface JwtPorts {
  readonly clock: Clock;
  readonly emit: Emit;
  readonly grants: Grants;
}

/** Departures from the usual timings and cache bounds. */
export interface JwtOptions {
  readonly timings?: Partial<KeyTimings>;
  readonly cache?: Partial<CacheBounds>;
  /** A verifier whose place this one takes: key sets that are fetched alike are taken over. */
  readonly previous?: JwtVerifier;
  /** Roles grant what they granted under `previous`, so that the tokens it verified are taken over as well. */
  readonly sameGrants?: boolean;
}

/** How an issuer's keys stand, for readiness and status. */
export interface IssuerHealth {
  /** Name of the issuer in the configuration. */
  readonly issuer: string;
  readonly state: KeyState;
  /** Number of those that can be used. */
  readonly keys: number;
  readonly keysAgeMs: number | undefined;
}

interface Issuer {
  readonly policy: IssuerPolicy;
  readonly keys: KeySet;
}

/** A verified token: good while the issuer's keys are of `epoch` and the wall clock is in `fromMs` to before `untilMs`. */
interface Remembered {
  readonly issuer: Issuer;
  readonly epoch: number;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly outcome: AuthnOutcome;
}

const EXPIRED = rejected(deny("token_expired", "jwt_expired"));

function refuse(reason: string): AuthnOutcome {
  return reason === "jwt_expired" ? EXPIRED : rejected(deny("token_invalid", reason));
}

/** Names of the issuers whose tokens are asked for; undefined: all. */
export type IssuerNames = string | readonly string[] | undefined;

function isNamed(name: string, names: IssuerNames): boolean {
  return names === undefined || names === name || (typeof names === "object" && names.includes(name));
}

/** Verifies tokens of any configured issuer. */
export class JwtVerifier {
  readonly #ports: JwtPorts;
  readonly #issuers: readonly Issuer[];
  readonly #byIdentifier: ReadonlyMap<string, readonly Issuer[]>;
  readonly #cache: TokenCache<Remembered>;

  /** Throws `config_invalid` for a policy that can't be used safely, such as mixed algorithms or a private key. */
  constructor(issuers: readonly IssuerPolicy[], ports: JwtPorts, options: JwtOptions = {}) {
    const timings = { ...KEY_TIMINGS, ...options.timings };
    this.#ports = ports;
    const { previous } = options;
    const before = previous === undefined ? [] : previous.#issuers;
    this.#issuers = issuers.map(
      (policy) => takenOver(before, policy) ?? { policy, keys: makeKeySet(policy, ports, timings) },
    );
    this.#byIdentifier = Map.groupBy(this.#issuers, (issuer) => issuer.policy.issuer);
    this.#cache =
      previous !== undefined && options.sameGrants === true
        ? previous.#cache.filtered(({ issuer }) => this.#issuers.includes(issuer))
        : new TokenCache({ ...CACHE_BOUNDS, ...options.cache });
  }

  /** Begins to fetch keys in the background; an issuer that is away doesn't matter here. */
  start(): void {
    for (const issuer of this.#issuers) issuer.keys.start();
  }

  /** Ends the background work and its fetches, for good. */
  stop(): void {
    for (const issuer of this.#issuers) issuer.keys.stop();
  }

  /** Ends the background work of the key sets that `next` didn't take over. */
  stopFor(next: JwtVerifier): void {
    const kept = new Set(next.#issuers.map(({ keys }) => keys));
    for (const { keys } of this.#issuers) if (!kept.has(keys)) keys.stop();
  }

  /** Ends when every issuer's first attempt to get keys has, or its longest wait (2 s); never fails. */
  async settled(): Promise<void> {
    await Promise.all(this.#issuers.map((issuer) => issuer.keys.firstAttempt()));
  }

  /** One entry per issuer, in configured order. */
  health(): readonly IssuerHealth[] {
    return this.#issuers.map(({ policy, keys }) => ({
      issuer: policy.name,
      state: keys.state,
      keys: keys.usable()?.count ?? 0,
      keysAgeMs: keys.ageMs,
    }));
  }

  /**
   * Verifies a token of the issuer called `issuerNames`, of one of several, or (undefined) of any. Known tokens and malformed ones are answered at
   * once, the others by a promise. Rejections: `token_invalid`, `token_expired`, `keys_unavailable`.
   */
  verify(token: string, issuerNames: IssuerNames): Awaitable<AuthnOutcome> {
    const known = this.#cache.get(token);
    if (
      known !== undefined &&
      known.epoch === known.issuer.keys.epoch &&
      isNamed(known.issuer.policy.name, issuerNames)
    ) {
      const nowMs = this.#ports.clock.wallMs();
      if (nowMs >= known.untilMs) return EXPIRED;
      if (nowMs >= known.fromMs) return known.outcome;
    }
    return this.#judge(token, issuerNames);
  }

  #judge(token: string, issuerNames: IssuerNames): Awaitable<AuthnOutcome> {
    const read = readCompact(token);
    if (!read.ok) return refuse(read.error);
    const { header, payload } = read.value;
    const named = typeof payload.iss === "string" ? this.#byIdentifier.get(payload.iss) : undefined;
    let fault = "jwt_issuer";
    const issuers: Issuer[] = [];
    for (const issuer of named ?? []) {
      if (!isNamed(issuer.policy.name, issuerNames)) continue;
      const found = headerFault(header, issuer.policy);
      if (found === undefined) issuers.push(issuer);
      else fault = found;
    }
    return issuers.length === 0 ? refuse(fault) : this.#tryEach(token, read.value, issuers);
  }

  /** Nearly always one issuer; several when entries with different rules share an identifier. */
  async #tryEach(token: string, parsed: CompactToken, issuers: readonly Issuer[]): Promise<AuthnOutcome> {
    let refusal: AuthnOutcome | undefined;
    for (const issuer of issuers) {
      const outcome = await this.#authenticate(token, parsed, issuer);
      if (outcome.kind === "authenticated") return outcome;
      // What can't be judged weighs more than a refusal: the missing keys might have verified the token.
      if (refusal === undefined || outcome.denial.code === "keys_unavailable") refusal = outcome;
    }
    return refusal ?? refuse("jwt_issuer");
  }

  async #authenticate(token: string, parsed: CompactToken, issuer: Issuer): Promise<AuthnOutcome> {
    const { header, payload } = parsed;
    const { policy, keys } = issuer;
    const algorithm = String(header.alg);
    const kid = typeof header.kid === "string" ? header.kid : undefined;
    const found = await findKeys(keys, kid, algorithm);
    if (!found.ok) return rejected(found.error);
    const { keys: candidates, epoch } = found.value;
    if (!(await isSigned(token, candidates, algorithm))) return refuse("jwt_signature");
    const fault = claimsFault({ header, payload, policy, nowMs: this.#ports.clock.wallMs() });
    if (fault !== undefined) return refuse(fault);
    const principal = toPrincipal(payload, policy, this.#ports.grants);
    const outcome: AuthnOutcome = { kind: "authenticated", principal };
    this.#cache.set(token, { issuer, epoch, ...validity(payload, policy.leewaySeconds), outcome });
    return outcome;
  }
}

/** The issuer as it was before, or with the keys that it had before; undefined when its keys are others. */
function takenOver(before: readonly Issuer[], policy: IssuerPolicy): Issuer | undefined {
  const known = before.find((issuer) => issuer.policy.name === policy.name);
  if (known === undefined || isDeepStrictEqual(known.policy, policy)) return known;
  const { issuer, algorithms, source } = known.policy;
  const sameKeys = isDeepStrictEqual(
    { issuer, algorithms, source },
    { issuer: policy.issuer, algorithms: policy.algorithms, source: policy.source },
  );
  return sameKeys ? { policy, keys: known.keys } : undefined;
}

function makeKeySet(policy: IssuerPolicy, ports: JwtPorts, timings: KeyTimings): KeySet {
  const { source, algorithms, name, issuer } = policy;
  const broken = (sentence: string) => new GatewayFailure("config_invalid", `issuer ${name}: ${sentence}`);
  const fault = sourceFault(source, algorithms, issuer);
  if (fault !== undefined) throw broken(fault);
  if (source.kind === "jwksUri" || source.kind === "discovery") {
    return new RemoteKeySet(policy, source, ports, timings);
  }
  let table: Promise<KeyTable>;
  if (source.kind === "secret") table = importSecret(source.secret, algorithms);
  else {
    const entries = localKeys(source, algorithms);
    if (!entries.ok) throw broken(entries.error);
    const { keys } = readKeySet(entries.value, algorithms);
    table = importKeys(keys, algorithms).then((imported) => imported.table);
  }
  const failed = { kind: "keys_refresh_failed", issuer: name, reason: "import", stale: false } as const;
  return new StaticKeySet(table, () => ports.emit(failed));
}
