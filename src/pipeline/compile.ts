// From a validated configuration to the policy that requests are decided by. What verifies, counts and throttles is plugged
// in, so that the running gateway and whoever only wants to know what it would decide make the same policy.

import type { Authenticator, AuthnOutcome } from "../authn/authenticator.ts";
import { AuthnChain } from "../authn/chain.ts";
import type { IssuerNames } from "../authn/jwt/verifier.ts";
import type { CorsPolicy, GatewayConfig, RoutePolicy } from "../config/gateway-config.ts";
import type { Awaitable } from "../core/result.ts";
import { LIMIT_FIELDS } from "../rate-limit/fields.ts";
import {
  costFields,
  type FileLimit,
  isKeyed,
  type KeyedLimits,
  type RouteLimit,
  refusalLimits,
} from "../rate-limit/policy.ts";
import { RouteTable } from "../routing/table.ts";
import { RequestFieldRules } from "../upstream/field-rules.ts";
import { IdentityFields } from "../upstream/identity.ts";
import { CORS_FIELDS } from "./cors.ts";
import type { Policy } from "./decide.ts";
import type { CompiledRoute } from "./decision.ts";
import type { ForwardPlan } from "./forward-plan.ts";

/** Verifies tokens of the issuers called so, or (undefined) of any. */
export interface TokenVerifier {
  verify(token: string, issuers: IssuerNames): Awaitable<AuthnOutcome>;
}

/** What a policy needs beside the configuration. */
export interface PolicyParts {
  readonly verifier: TokenVerifier;
  readonly apiKeys: Authenticator;
  readonly limiter: Policy["limiter"];
  readonly failures: Policy["failures"];
}

export interface CompiledPolicy {
  readonly policy: Policy;
  /** In the order of the file. */
  readonly routes: readonly CompiledRoute[];
}

// What a browser may read of an answer beside what the file lists: without these a refusal can't be understood.
const ALWAYS_EXPOSED = [
  "WWW-Authenticate",
  "Retry-After",
  "X-Request-Id",
  "RateLimit",
  "RateLimit-Policy",
  "RateLimit-Limit",
  "RateLimit-Remaining",
  "RateLimit-Reset",
  "RateLimit-Mode",
  "grpc-status",
  "grpc-message",
  "grpc-status-details-bin",
];

const LEGACY_EXPOSED = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];

/** Compiles the policy. `config` must be valid. */
export function compilePolicy(config: GatewayConfig, parts: PolicyParts): CompiledPolicy {
  const compiler = new RouteCompiler(config, parts);
  const routes = config.routes.map((route) => compiler.compile(route));
  const { limits, paths } = config;
  const policy: Policy = {
    admission: {
      paths,
      trustedProxies: config.trustedProxies,
      urlBytes: limits.urlBytes,
      headerCount: limits.headerCount,
      headersBytes: limits.headersBytes,
      bodyBytes: limits.bodyBytes,
    },
    routes: new RouteTable(
      routes.flatMap((route, index) =>
        (config.routes[index]?.matches ?? []).map((match) => [match, route] as const),
      ),
      paths.caseSensitive,
    ),
    limiter: parts.limiter,
    failures: parts.failures,
    keyField: fieldCase(config.apiKeyHeaders[0] ?? "x-api-key"),
  };
  return { policy, routes };
}

class RouteCompiler {
  readonly #config: GatewayConfig;
  readonly #parts: PolicyParts;
  readonly #ofKeys: readonly KeyedLimits[];
  readonly #observedOfKeys: readonly KeyedLimits[];
  readonly #keyCostFields: readonly string[];
  readonly #rules: RequestFieldRules;
  readonly #identity: IdentityFields;
  readonly #upstreams: ReadonlyMap<string, ForwardPlan["upstream"]>;

  constructor(config: GatewayConfig, parts: PolicyParts) {
    this.#config = config;
    this.#parts = parts;
    this.#ofKeys = config.keyLimits.size > 0 ? [{ byKey: config.keyLimits }] : [];
    this.#observedOfKeys = this.#ofKeys.map(observed);
    this.#keyCostFields = costFields([...config.keyLimits.values()].flat());
    this.#rules = new RequestFieldRules(config.identityNames, ["authorization", ...config.apiKeyHeaders]);
    this.#identity = new IdentityFields(config.identity);
    this.#upstreams = new Map(config.upstreams.map((upstream) => [upstream.name, upstream]));
  }

  compile(route: RoutePolicy): CompiledRoute {
    const config = this.#config;
    const alternatives = joinIssuers(route.auth, this.#parts);
    const credentialKinds = new Set(alternatives.flat().map(({ kind }) => kind));
    const onlyObserved = route.observe.includes("limit");
    const own: readonly FileLimit[] = onlyObserved ? route.limits.map(observed) : route.limits;
    const ofKeys = onlyObserved ? this.#observedOfKeys : this.#ofKeys;
    const limits: readonly RouteLimit[] = credentialKinds.has("apiKey") ? [...own, ...ofKeys] : own;
    const cors =
      route.cors === undefined
        ? undefined
        : { ...route.cors, expose: exposedFields(route.cors, config.legacyRateLimitHeaders) };
    return {
      name: route.name,
      line: route.line,
      upstream: route.upstream,
      chain: new AuthnChain({
        alternatives,
        optional: route.access === "optional",
        firstMatch: route.credentials === "firstMatch",
        keyFields: config.apiKeyHeaders,
      }),
      credentialKinds,
      authz: route.authz,
      ips: route.ips,
      observe: route.observe.length === 0 ? undefined : new Set(route.observe),
      limits,
      refusalLimits: refusalLimits(own),
      cors,
      forward: this.#forwardPlan(route, limits.length > 0, cors),
    };
  }

  #forwardPlan(route: RoutePolicy, limited: boolean, cors: CorsPolicy | undefined): ForwardPlan {
    const upstream = this.#upstreams.get(route.upstream);
    if (upstream === undefined) throw new Error(`route ${route.name} has no upstream`);
    return {
      upstream,
      timeouts: { ...upstream.timeouts, ...route.timeouts },
      request: {
        rules: this.#rules,
        identity: this.#identity,
        forwardCredentials: route.forwardCredentials,
        edits: route.request,
        upstream,
        strippedPrefix: route.stripPrefix,
      },
      responseEdits: route.response,
      replaced: new Set([
        "x-request-id",
        ...(limited ? LIMIT_FIELDS : []),
        ...costFields(route.limits),
        ...this.#keyCostFields,
        ...(cors === undefined ? [] : CORS_FIELDS),
      ]),
      stripPrefix: route.stripPrefix,
    };
  }
}

/** The same limit, counted and told but not enforced. */
function observed<L extends RouteLimit>(limit: L): L {
  if (!isKeyed(limit)) return { ...limit, observe: true };
  const byKey = [...limit.byKey].map(([key, limits]) => [key, limits.map(observed)] as const);
  return { ...limit, byKey: new Map(byKey) };
}

function exposedFields({ expose }: CorsPolicy, legacy: boolean): readonly string[] {
  return [...new Set([...expose, ...ALWAYS_EXPOSED, ...(legacy ? LEGACY_EXPOSED : [])])];
}

/** Resolves names to authenticators. Issuers that stand as alternatives become one, since a token names its own issuer. */
function joinIssuers(
  auth: RoutePolicy["auth"],
  { verifier, apiKeys }: PolicyParts,
): readonly (readonly Authenticator[])[] {
  const lone = auth
    .filter((names) => names.length === 1 && names[0]?.startsWith("jwt"))
    .map((names) => names[0] ?? "");
  const joined = jwtAuthenticator(lone, verifier);
  const seen = new Set<Authenticator>();
  const alternatives: (readonly Authenticator[])[] = [];
  for (const names of auth) {
    const [first = ""] = names;
    if (names.length === 1 && first.startsWith("jwt")) {
      if (!seen.has(joined)) alternatives.push([joined]);
      seen.add(joined);
    } else {
      alternatives.push(
        names.map((name) => (name === "apiKey" ? apiKeys : jwtAuthenticator([name], verifier))),
      );
    }
  }
  return alternatives;
}

function jwtAuthenticator(names: readonly string[], verifier: TokenVerifier): Authenticator {
  if (names.includes("jwt")) {
    return { name: "jwt", kind: "jwt", authenticate: (token) => verifier.verify(token, undefined) };
  }
  const issuers = names.map((one) => one.slice("jwt:".length));
  return { name: names.join(", "), kind: "jwt", authenticate: (token) => verifier.verify(token, issuers) };
}

/** A field name as people write it: `x-api-key` is `X-API-Key`. */
function fieldCase(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()).replace("-Api-", "-API-");
}
