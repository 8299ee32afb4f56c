// The whole of gateway.yaml after validation: plain, immutable data with every duration in milliseconds and every
// size in bytes. The composition root turns it into a running gateway.

import type { ApiKeyRecord } from "../authn/api-key/policy.ts";
import type { FailurePolicy } from "../authn/failures/policy.ts";
import type { IssuerPolicy } from "../authn/jwt/policy.ts";
import type { AddressRules, AuthzPolicy, RoleTable } from "../authz/policy.ts";
import type { AddressRange } from "../core/address.ts";
import type { ObservePart } from "../core/observe.ts";
import type { PathRules } from "../core/request-target.ts";
import type { FileLimit, LimitPolicy } from "../rate-limit/policy.ts";
import type { RouteMatch } from "../routing/policy.ts";
import type { RedisAccess, RedisServers } from "../store/redis-address.ts";
import type { IdentityFact } from "../upstream/identity.ts";
import type { UpstreamPolicy, UpstreamTimeouts } from "../upstream/policy.ts";
import type { FieldEdits } from "../upstream/request-fields.ts";
import type { ConfigTest } from "./test-policy.ts";

export type { FieldEdits, IdentityFact };

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** The port for operators. */
export interface AdminPolicy {
  readonly listen: ListenAddress;
  /** What requests have to carry; undefined on loopback only. */
  readonly token: string | undefined;
}

export interface ServerLimits {
  readonly headersBytes: number;
  readonly headerCount: number;
  readonly bodyBytes: number;
  readonly urlBytes: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly connections: number;
  readonly inFlight: number;
}

/** Paths of files are absolute. */
export type RedisPolicy = RedisServers &
  RedisAccess & {
    readonly prefix: string;
    /** Deadline of one call, milliseconds. */
    readonly timeoutMs: number;
  };

export interface CorsPolicy {
  /** Exact serialised origins, or the single entry `*` (never with credentials). */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Lower case. */
  readonly headers: readonly string[];
  readonly credentials: boolean;
  readonly maxAgeSeconds: number;
  readonly expose: readonly string[];
}

/** OR of ANDs: the first alternative whose credentials are all present decides. Names as in `Authenticator.name`. */
export type AuthRule = readonly (readonly string[])[];

export interface RoutePolicy {
  /** `name` of the file, or the first pattern as written. Unique. */
  readonly name: string;
  /** Line of the route in its file, from 1. */
  readonly line: number;
  readonly matches: readonly RouteMatch[];
  readonly upstream: string;
  readonly access: "guarded" | "optional" | "public";
  /** Empty when public. */
  readonly auth: AuthRule;
  readonly credentials: "single" | "firstMatch";
  readonly authz: AuthzPolicy;
  readonly ips: AddressRules;
  /** Checks that are made and told but not enforced, in their order. */
  readonly observe: readonly ObservePart[];
  /** The route's own, then those of `globalLimit`. */
  readonly limits: readonly FileLimit[];
  readonly cors: CorsPolicy | undefined;
  /** Without a last slash, empty when nothing is cut. */
  readonly stripPrefix: string;
  readonly request: FieldEdits;
  readonly response: FieldEdits;
  readonly timeouts: Partial<UpstreamTimeouts>;
  readonly forwardCredentials: boolean;
}

export interface LogPolicy {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Share of requests that get an access line, 0 to 1; `denied`: refused ones only. */
  readonly access: number | "denied";
  readonly decisions: "all" | "denied" | "off";
  /** Constant members added to every line. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface GatewayConfig {
  /** Path of the file as given. */
  readonly file: string;
  readonly listen: readonly ListenAddress[];
  readonly admin: AdminPolicy | undefined;
  readonly health: { readonly live: string; readonly ready: string } | undefined;
  readonly trustedProxies: readonly AddressRange[];
  readonly limits: ServerLimits;
  readonly paths: PathRules & { readonly caseSensitive: boolean };
  readonly drain: { readonly delayMs: number; readonly timeoutMs: number };
  readonly redis: RedisPolicy | undefined;
  readonly issuers: readonly IssuerPolicy[];
  readonly apiKeys: readonly ApiKeyRecord[];
  /** Limits of keys that have their own, by the key's id: counted per key, on every route. */
  readonly keyLimits: ReadonlyMap<string, readonly LimitPolicy[]>;
  /** Lower case. */
  readonly apiKeyHeaders: readonly string[];
  /** Undefined when it is switched off. */
  readonly failedCredentials: FailurePolicy | undefined;
  readonly roles: RoleTable;
  readonly identity: readonly (readonly [header: string, fact: IdentityFact])[];
  /** Lower case: every header that a client must never set, whether or not the upstream is sent it. */
  readonly identityNames: readonly string[];
  readonly upstreams: readonly UpstreamPolicy[];
  readonly routes: readonly RoutePolicy[];
  /** The members of `RoutePolicy.limits` that all routes have, except those that say `limit: false`. */
  readonly globalLimits: readonly FileLimit[];
  readonly logs: LogPolicy;
  readonly legacyRateLimitHeaders: boolean;
  /** In the order of the file. */
  readonly tests: readonly ConfigTest[];
}
