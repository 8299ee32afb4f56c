// The shape of an explanation: one JSON value, the same from the command line and from the admin port. Members may be added
// under one `version`; none changes its meaning or goes.

import type { AlternativeReport, SeenCredential } from "../authn/examination.ts";
import type { DenialCode } from "../core/denial.ts";
import type { ObservePart } from "../core/observe.ts";
import type { TargetFault } from "../core/request-target.ts";
import type { LimitSource } from "../rate-limit/limiter.ts";
import type { Miss } from "../routing/explain.ts";
import type { DroppedField, ForwardedField } from "../upstream/field-origins.ts";

export interface Explanation {
  readonly version: 1;
  /** Path of the file; lines below are lines of it. */
  readonly file: string;
  readonly verdict: ExplainedVerdict;
  readonly request: ExplainedRequest;
  /** Absent when the request was refused for its form. */
  readonly routing?: ExplainedRouting;
  /** Absent without a route, and for what the gateway answers itself; so are the members that follow. */
  readonly authentication?: ExplainedAuthentication;
  readonly authorization?: ExplainedAuthorization;
  readonly limits?: ExplainedLimits;
  /** Where the request would be sent; also of a refused one whose caller is known, with `sent: false`. */
  readonly upstream?: ExplainedUpstream;
  /** Fields that the gateway itself puts on the answer. */
  readonly response: readonly ExplainedField[];
  /** What else has to be known to read this, such as where the counters are from. */
  readonly notes: readonly string[];
}

export interface ExplainedField {
  readonly name: string;
  readonly value: string;
}

/** A refusal, with what it means for the operator. */
export interface ExplainedDenial {
  readonly code: DenialCode;
  /** Stable word of the log: which check failed. */
  readonly reason: string;
  /** What the reason means. */
  readonly sentence: string;
}

export interface ExplainedVerdict extends Partial<ExplainedDenial> {
  /** `own`: a path that the gateway answers itself. */
  readonly decision: "forward" | "refuse" | "preflight" | "own";
  /** HTTP status of the gateway's own answer; absent where the upstream gives it. */
  readonly status?: number;
  /** gRPC status of a refusal, whose HTTP status is 200 then. */
  readonly grpcStatus?: number;
  readonly requiredScopes?: readonly string[];
  readonly retryAfterSeconds?: number;
  /** Refusals by checks that the route only observes. */
  readonly observed: readonly ExplainedDenial[];
}

export interface ExplainedRequest {
  readonly method: string;
  /** As on the request line; values of parameters that may be secrets are blanked. */
  readonly target: string;
  /** The one form that everything works with; absent when there is none. */
  readonly canonical?: { readonly path: string; readonly search: string };
  /** Why there is none: the rule, and the index of the character at fault. */
  readonly fault?: { readonly reason: TargetFault; readonly sentence: string; readonly at: number };
  readonly host?: string;
  readonly scheme: "http" | "https";
  readonly protocol: string;
  readonly client: {
    readonly address: string;
    readonly peer: string;
    /** `trustedProxies` lists the peer, so that forwarding fields are believed. */
    readonly peerTrusted: boolean;
    readonly from: "peer" | "x-forwarded-for";
  };
  readonly sizes: {
    readonly targetBytes: Bounded;
    readonly headerBytes: Bounded;
    readonly headerCount: Bounded;
  };
}

export interface Bounded {
  readonly used: number;
  readonly most: number;
}

export interface ExplainedRouting {
  readonly outcome: "match" | "method_not_allowed" | "host_unknown" | "none" | "own";
  readonly route?: ExplainedRoute;
  /** Methods that are allowed where this one isn't. */
  readonly allow?: readonly string[];
  readonly nearMisses: readonly ExplainedMiss[];
}

export interface ExplainedRoute {
  readonly name: string;
  readonly line: number;
  /** The pattern that matched, as written. */
  readonly pattern: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly access: "guarded" | "optional" | "public";
  /** Checks that are made and told but not enforced. */
  readonly observe: readonly ObservePart[];
}

export interface ExplainedMiss {
  readonly route: string;
  readonly line: number;
  readonly pattern: string;
  readonly why: Miss;
}

export interface ExplainedPrincipal {
  readonly method: string;
  readonly subject: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly keyId?: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly tier?: string;
  readonly org?: string;
  /** Names of the claims; their values are not told. */
  readonly claims: readonly string[];
  /** RFC 3339. */
  readonly expiresAt?: string;
}

export interface ExplainedAuthentication {
  /** What the caller was taken for without a credential, as the question said. */
  readonly assumed?: string;
  readonly seen: readonly SeenCredential[];
  readonly optional: boolean;
  readonly firstMatch: boolean;
  readonly alternatives: readonly AlternativeReport[];
  readonly outcome: "authenticated" | "anonymous" | "refused" | "not_reached";
  /** Why it was refused, enforced or not. */
  readonly denial?: ExplainedDenial;
  readonly principal?: ExplainedPrincipal;
  /** Seconds for which the failed-credential throttle blocks the address. */
  readonly addressBlockedSeconds: number;
}

/** `unknown`: nobody is known whom it could be asked of. */
export type Met = "yes" | "no" | "unknown";

export interface ExplainedAuthorization {
  readonly ips?: { readonly met: Met; readonly allow: readonly string[]; readonly deny: readonly string[] };
  readonly scopes?: {
    readonly met: Met;
    readonly mode: "all" | "any";
    readonly needed: readonly { readonly scope: string; readonly heldBy?: string }[];
    readonly missing: readonly string[];
  };
  readonly roles?: {
    readonly met: Met;
    readonly mode: "all" | "any";
    readonly needed: readonly { readonly role: string; readonly held: boolean }[];
  };
  readonly require: readonly {
    /** As written. */
    readonly text: string;
    readonly met: Met;
    /** The path parameter that it is compared with, and its value. */
    readonly parameter?: ExplainedField;
  }[];
}

export interface ExplainedLimits {
  /** `request`: the limits of a request that passes; `refusal`: those that a refused caller is charged on. */
  readonly kind: "request" | "refusal";
  readonly result: "admitted" | "refused" | "unavailable";
  readonly limits: readonly ExplainedLimit[];
}

export interface ExplainedLimit {
  readonly name: string;
  readonly units: number;
  readonly windowSeconds: number;
  readonly burst?: number;
  readonly per: string;
  readonly cost: number;
  readonly algorithm: string;
  readonly sync: string;
  readonly enforced: boolean;
  /** The counter's key: holds a hash of the caller. */
  readonly key: string;
  readonly source: LimitSource;
  /** Absent when nobody looked, since another limit is known to refuse. */
  readonly state?: {
    /** Most units at one moment. */
    readonly most: number;
    readonly used: number;
    readonly room: boolean;
    readonly remaining: number;
    readonly resetSeconds: number;
    readonly retryAfterSeconds: number;
  };
}

export interface ExplainedUpstream {
  readonly name: string;
  readonly sent: boolean;
  readonly method: string;
  /** Origin and path. */
  readonly url: string;
  /** Path and query after `stripPrefix` and with the upstream's own beginning. */
  readonly path: string;
  /** In the order in which they are sent; what frames the body is added. */
  readonly headers: readonly ForwardedField[];
  readonly dropped: readonly DroppedField[];
}
