// The policy of a configuration without anything that runs: no network, no store, counters of its own. What it decides is
// what a gateway with empty counters would decide; tokens whose keys are elsewhere can't be verified.

import { ApiKeyAuthenticator } from "../authn/api-key/authenticator.ts";
import { type AuthnOutcome, rejected } from "../authn/authenticator.ts";
import { readCompact } from "../authn/jwt/compact.ts";
import type { IssuerPolicy } from "../authn/jwt/policy.ts";
import { type Grants, toPrincipal } from "../authn/jwt/principal.ts";
import { JwtVerifier } from "../authn/jwt/verifier.ts";
import { grantsOf } from "../authz/roles.ts";
import type { AuthRule, GatewayConfig } from "../config/gateway-config.ts";
import type { AssumedCaller } from "../config/test-policy.ts";
import { claimAt } from "../core/claims.ts";
import type { Clock } from "../core/clock.ts";
import { deny } from "../core/denial.ts";
import { Fields } from "../core/fields.ts";
import type { Principal } from "../core/principal.ts";
import type { Awaitable } from "../core/result.ts";
import { ScopeSet } from "../core/scope.ts";
import { Limiter } from "../rate-limit/limiter.ts";
import { type CompiledPolicy, compilePolicy, type TokenVerifier } from "./compile.ts";
import type { CompiledRoute } from "./decision.ts";
import type { Stand } from "./simulate.ts";

export class OfflineGateway {
  readonly config: GatewayConfig;
  readonly compiled: CompiledPolicy;
  readonly #clock: Clock;
  readonly #apiKeys: ApiKeyAuthenticator;
  /** By name of the route. */
  readonly #auth: ReadonlyMap<string, AuthRule>;

  /**
   * @param config a valid configuration
   * @param verifier what verifies tokens; unless given, what can be verified without network is
   */
  constructor(config: GatewayConfig, clock: Clock, verifier: TokenVerifier = offlineVerifier(config, clock)) {
    this.config = config;
    this.#clock = clock;
    this.#auth = new Map(config.routes.map(({ name, auth }) => [name, auth]));
    const grants = (roles: readonly string[]) => grantsOf(config.roles, roles);
    this.#apiKeys = new ApiKeyAuthenticator(config.apiKeys, { clock, grants });
    this.compiled = compilePolicy(config, {
      verifier,
      apiKeys: this.#apiKeys,
      limiter: this.emptyCounters(),
      failures: undefined,
    });
  }

  /** A limiter on which nothing was counted yet; a policy with it is `{ ...compiled.policy, limiter }`. @param mostKeys counters that it keeps */
  emptyCounters(mostKeys?: number): Limiter {
    return new Limiter({
      ...(mostKeys === undefined ? {} : { mostKeys }),
      prefix: "gw",
      clock: this.#clock,
      issuers: this.config.issuers.map(({ issuer }) => issuer),
    });
  }

  /** Stands for the API key of this id, as if it alone had been sent; undefined when the file has none of it. */
  key(id: string): Stand | undefined {
    if (!this.config.apiKeys.some((record) => record.id === id)) return undefined;
    return (route, clientAddress) => {
      if (!route.credentialKinds.has("apiKey")) return withoutCredential(route, clientAddress);
      const alone = this.#authOf(route).some((names) => names.length === 1 && names[0] === "apiKey");
      return alone
        ? this.#apiKeys.authenticateId(id, clientAddress)
        : rejected(deny("credentials_missing", "key_not_enough"));
    };
  }

  /** Stands for a verified caller of whom this is known, with every credential that the route asks of its issuer. */
  caller(known: AssumedCaller): Stand {
    return (route, clientAddress) => {
      if (known.issuer !== undefined) {
        if (!route.credentialKinds.has("jwt")) return withoutCredential(route, clientAddress);
        if (!this.accepts(route, known.issuer)) return rejected(deny("token_invalid", "jwt_issuer"));
      }
      return { kind: "authenticated", principal: this.principalOf(known, route) };
    };
  }

  /** Whether the route takes tokens of the issuer of this name in the file. */
  accepts(route: CompiledRoute, issuer: string): boolean {
    return this.#authOf(route).some((names) => names.includes("jwt") || names.includes(`jwt:${issuer}`));
  }

  #authOf({ name }: CompiledRoute): AuthRule {
    return this.#auth.get(name) ?? [];
  }

  /** The principal that such a caller is on a route: by the claims of a token where it takes tokens, else as a key's. */
  principalOf(known: AssumedCaller, route: CompiledRoute): Principal {
    const issuer = route.credentialKinds.has("jwt") ? this.#issuerOf(known, route) : undefined;
    const table = this.config.roles;
    const base =
      issuer === undefined
        ? keyPrincipal(known)
        : tokenPrincipal(known, issuer, (roles) => grantsOf(table, roles));
    const more = known.roles ?? [];
    const granted = grantsOf(table, more);
    const tier = known.tier ?? base.tier ?? granted.tier;
    return {
      ...base,
      scopes: new ScopeSet([...base.scopes.values, ...(known.scopes ?? []), ...granted.scopes]),
      roles: [...new Set([...base.roles, ...more])],
      ...(known.org === undefined ? {} : { org: known.org }),
      ...(known.email === undefined ? {} : { email: known.email }),
      ...(known.clientId === undefined ? {} : { clientId: known.clientId }),
      ...(tier === undefined ? {} : { tier }),
    };
  }

  #issuerOf({ issuer: wanted }: AssumedCaller, route: CompiledRoute): IssuerPolicy | undefined {
    const { issuers } = this.config;
    return (
      issuers.find(({ name }) => name === wanted) ?? issuers.find(({ name }) => this.accepts(route, name))
    );
  }
}

/** What becomes of a request whose credential is of no kind that the route looks at. */
function withoutCredential(route: CompiledRoute, clientAddress: string): Awaitable<AuthnOutcome> {
  return route.chain.authenticate(NO_FIELDS, "", clientAddress);
}

const NO_FIELDS = new Fields([]);
const NOBODY_IN_PARTICULAR = "test";

function keyPrincipal({ subject = NOBODY_IN_PARTICULAR, claims = {} }: AssumedCaller): Principal {
  return { method: "apiKey", subject, scopes: ScopeSet.EMPTY, roles: [], claims };
}

function tokenPrincipal(
  { subject, claims = {} }: AssumedCaller,
  issuer: IssuerPolicy,
  grants: Grants,
): Principal {
  const named = claimAt(claims, issuer.claims.subject);
  const who = subject ?? (typeof named === "string" ? named : NOBODY_IN_PARTICULAR);
  const { expiresAtMs: _, ...lasting } = toPrincipal(
    { iss: issuer.issuer, sub: who, ...claims },
    issuer,
    grants,
  );
  return { ...lasting, subject: who };
}

/** Verifies what can be verified here, and says of the rest that its keys aren't. */
function offlineVerifier({ issuers, roles: table }: GatewayConfig, clock: Clock): TokenVerifier {
  const isFar = ({ source }: IssuerPolicy): boolean =>
    source.kind === "jwksUri" || source.kind === "discovery";
  const far = issuers.filter(isFar);
  const verifier = new JwtVerifier(
    issuers.filter((issuer) => !isFar(issuer)),
    { clock, emit: () => undefined, grants: (roles) => grantsOf(table, roles) },
  );
  const away = rejected(deny("keys_unavailable", "keys_not_fetched"));
  return {
    verify: (token, names) => {
      const read = readCompact(token);
      const named = read.ok ? read.value.payload.iss : undefined;
      const asked = far.some(
        ({ issuer, name }) =>
          issuer === named && (names === undefined || names === name || names.includes(name)),
      );
      return asked ? away : verifier.verify(token, names);
    },
  };
}
