// What comes out of a decision. A value: nothing has been sent, neither to the client nor to an upstream.

import type { CredentialKind } from "../authn/authenticator.ts";
import type { CredentialRule } from "../authn/chain.ts";
import type { AddressRules, AuthzPolicy } from "../authz/policy.ts";
import type { CorsPolicy } from "../config/gateway-config.ts";
import type { Denial } from "../core/denial.ts";
import type { ObservePart } from "../core/observe.ts";
import type { Principal } from "../core/principal.ts";
import type { CallerProtocol, GatewayRequest } from "../core/request.ts";
import type { LimitResult } from "../rate-limit/outcome.ts";
import type { RouteLimit } from "../rate-limit/policy.ts";
import type { ForwardPlan } from "./forward-plan.ts";

/** A route, compiled: everything that a decision needs, and how what it lets through is sent. */
export interface CompiledRoute {
  readonly name: string;
  /** Line in gateway.yaml. */
  readonly line: number;
  readonly upstream: string;
  readonly chain: CredentialRule;
  /** Kinds of credentials that the route accepts, for challenges. */
  readonly credentialKinds: ReadonlySet<CredentialKind>;
  readonly authz: AuthzPolicy;
  readonly ips: AddressRules;
  /** What is decided and told, but not enforced; undefined when everything is. */
  readonly observe: ReadonlySet<ObservePart> | undefined;
  /** Every limit, charged together when the request passes. */
  readonly limits: readonly RouteLimit[];
  /** What a refused caller is charged: the limits that need no principal, or else all of them at cost 0, to be told. */
  readonly refusalLimits: readonly RouteLimit[];
  readonly cors: CorsPolicy | undefined;
  readonly forward: ForwardPlan;
}

export interface Forward {
  readonly kind: "forward";
  readonly request: GatewayRequest;
  readonly route: CompiledRoute;
  readonly principal: Principal;
  readonly parameters: Readonly<Record<string, string>>;
  readonly limit: LimitResult | undefined;
  /** Refusals by parts of the route that are only observed, in the order of the checks; undefined when there is none. */
  readonly observed: readonly Denial[] | undefined;
}

export interface Refuse {
  readonly kind: "refuse";
  readonly denial: Denial;
  readonly protocol: CallerProtocol;
  /** Absent when the request could not even be read. */
  readonly request: GatewayRequest | undefined;
  readonly route: CompiledRoute | undefined;
  readonly principal: Principal | undefined;
  readonly limit: LimitResult | undefined;
  /** What would have refused before, had it not been observed only. */
  readonly observed: readonly Denial[] | undefined;
}

/** A CORS preflight, answered here (Fetch standard, section 3.2). */
export interface Preflight {
  readonly kind: "preflight";
  readonly request: GatewayRequest;
  readonly route: CompiledRoute;
  readonly cors: CorsPolicy;
  readonly principal: undefined;
  readonly limit: undefined;
  readonly observed: undefined;
}

export type Decision = Forward | Refuse | Preflight;
