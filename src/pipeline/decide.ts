// The decision, in the order that users can rely on: target → route → address → failed-credential throttle →
// credentials → authorization → limits. Everything it uses was compiled at load; it answers at once unless a key set or
// the limit store has to be asked.

import type { AuthnOutcome } from "../authn/authenticator.ts";
import { challengesFor, wantsChallenge } from "../authn/challenge.ts";
import type { FailureThrottle } from "../authn/failures/throttle.ts";
import { addressAllowed } from "../authz/addresses.ts";
import { authorize } from "../authz/authorize.ts";
import { type Denial, deny } from "../core/denial.ts";
import type { ObservePart } from "../core/observe.ts";
import { ANONYMOUS, type Principal } from "../core/principal.ts";
import type { GatewayRequest } from "../core/request.ts";
import { type Awaitable, isPromise } from "../core/result.ts";
import type { LimitInput } from "../rate-limit/limiter.ts";
import type { LimitResult } from "../rate-limit/outcome.ts";
import { isCharged, type RouteLimit } from "../rate-limit/policy.ts";
import type { RouteResult, RouteTable } from "../routing/table.ts";
import { type AdmissionPolicy, type Arrival, admit } from "./arrival.ts";
import { preflightMethod } from "./cors.ts";
import type { CompiledRoute, Decision, Forward, Refuse } from "./decision.ts";

/** Everything that decisions are made from; immutable, swapped as a whole. */
export interface Policy {
  readonly admission: AdmissionPolicy;
  readonly routes: Pick<RouteTable<CompiledRoute>, "match">;
  readonly limiter: { take(limits: readonly RouteLimit[], input: LimitInput): Awaitable<LimitResult> };
  /** What becomes of those who send bad credentials in numbers; undefined: they are answered like everybody. */
  readonly failures: Pick<FailureThrottle, "beforeAuthentication" | "afterRejection"> | undefined;
  /** Header that API-key challenges name. */
  readonly keyField: string;
}

interface Matched {
  readonly request: GatewayRequest;
  readonly route: CompiledRoute;
  readonly parameters: Readonly<Record<string, string>>;
  /** Takes what a route that is observed in part would have refused; undefined where everything is enforced. */
  readonly notes: Notes | undefined;
}

/** The refusals of the observed parts of one route. */
class Notes {
  readonly #parts: ReadonlySet<ObservePart>;
  denials: Denial[] | undefined;

  constructor(parts: ReadonlySet<ObservePart>) {
    this.#parts = parts;
  }

  /** Whether `part` is observed, so that its refusal was noted and isn't enforced. */
  readonly take = (part: ObservePart, denial: Denial): boolean => {
    if (!this.#parts.has(part)) return false;
    this.denials ??= [];
    this.denials.push(denial);
    return true;
  };
}

// TRACE would reflect credentials to whoever asks; CONNECT is for forward proxies (RFC 9110 sections 9.3.6 and 9.3.8).
const NEVER_FORWARDED: ReadonlySet<string> = new Set(["TRACE", "CONNECT"]);
/** What a resource that takes any method allows. */
export const FORWARDED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** Decides on one request. Pure but for the counters of limits and failures and the caches of keys. */
export function decide(policy: Policy, arrival: Arrival): Awaitable<Decision> {
  const admission = admit(policy.admission, arrival);
  if (!admission.ok) return { ...NOTHING_KNOWN, denial: admission.denial, protocol: admission.protocol };
  const { request } = admission;
  const wanted = preflightMethod(request.method, request.fields);
  if (wanted !== undefined) {
    const asked = findRoute(policy, request, wanted);
    if (asked.kind === "match" && asked.route.cors !== undefined) {
      const { route } = asked;
      return {
        kind: "preflight",
        request,
        route,
        cors: asked.route.cors,
        principal: undefined,
        limit: undefined,
        observed: undefined,
      };
    }
  }
  const found = findRoute(policy, request, request.method);
  if (found.kind !== "match" || NEVER_FORWARDED.has(request.method)) return unrouted(request, found);
  const { observe } = found.route;
  const matched: Matched = {
    request,
    route: found.route,
    parameters: found.parameters,
    notes: observe === undefined ? undefined : new Notes(observe),
  };
  if (!addressAllowed(found.route.ips, request.clientAddress)) {
    const denial = deny("address_denied");
    if (matched.notes?.take("ips", denial) !== true) return refuseOn(policy, matched, undefined, denial);
  }
  const guess = policy.failures?.beforeAuthentication(found.route.chain, request);
  if (guess !== undefined) return unauthenticated(policy, matched, guess);
  const outcome = found.route.chain.authenticate(
    request.fields,
    request.target.search,
    request.clientAddress,
  );
  if (isPromise(outcome)) return outcome.then((settled) => afterAuthentication(policy, matched, settled));
  return afterAuthentication(policy, matched, outcome);
}

function findRoute(policy: Policy, request: GatewayRequest, method: string): RouteResult<CompiledRoute> {
  const { path, search } = request.target;
  return policy.routes.match({ method, path, search, authority: request.authority, fields: request.fields });
}

function afterAuthentication(policy: Policy, matched: Matched, outcome: AuthnOutcome): Awaitable<Decision> {
  if (outcome.kind === "rejected") {
    const { denial } = outcome;
    const answer = policy.failures?.afterRejection(matched.route.chain, matched.request, denial) ?? denial;
    return unauthenticated(policy, matched, answer);
  }
  return afterCredentials(policy, matched, outcome.principal);
}

/** Where credentials are only observed, whoever has no good one is nobody: nothing unverified becomes an identity. */
function unauthenticated(policy: Policy, matched: Matched, denial: Denial): Awaitable<Decision> {
  return matched.notes?.take("auth", denial) === true
    ? afterCredentials(policy, matched, ANONYMOUS)
    : refuseOn(policy, matched, undefined, denial);
}

function afterCredentials(policy: Policy, matched: Matched, principal: Principal): Awaitable<Decision> {
  const denial = authorize(matched.route.authz, principal, matched.parameters, matched.notes?.take);
  if (denial !== undefined) {
    // Whoever sent no credential is asked for one; telling what is missing is for those who did.
    return principal.method === "anonymous"
      ? refuseOn(policy, matched, undefined, deny("credentials_missing", denial.reason))
      : refuseOn(policy, matched, principal, denial);
  }
  if (matched.route.limits.length === 0) return forward(matched, principal, undefined);
  const taken = policy.limiter.take(matched.route.limits, limitInput(matched, principal));
  return isPromise(taken)
    ? taken.then((limit) => afterLimits(policy, matched, principal, limit))
    : afterLimits(policy, matched, principal, taken);
}

function afterLimits(policy: Policy, matched: Matched, principal: Principal, limit: LimitResult): Decision {
  if (limit.kind === "admitted") return forward(matched, principal, limit);
  return refusal(policy, matched, principal, limitDenial(limit), limit);
}

function forward(
  { request, route, parameters, notes }: Matched,
  principal: Principal,
  limit: LimitResult | undefined,
): Forward {
  return { kind: "forward", request, route, principal, parameters, limit, observed: notes?.denials };
}

/** A refused caller is charged on the limits that need no principal, and learns of those first once they are used up. */
function refuseOn(
  policy: Policy,
  matched: Matched,
  principal: Principal | undefined,
  denial: Denial,
): Awaitable<Decision> {
  const limits = matched.route.refusalLimits;
  if (limits.length === 0) return refusal(policy, matched, principal, denial, undefined);
  const taken = policy.limiter.take(limits, limitInput(matched, principal));
  const settle = (limit: LimitResult): Decision => {
    const charged = limits.some(isCharged);
    return refusal(
      policy,
      matched,
      principal,
      limit.kind === "admitted" || !charged ? denial : limitDenial(limit),
      limit,
    );
  };
  return isPromise(taken) ? taken.then(settle) : settle(taken);
}

function limitInput(matched: Matched, principal: Principal | undefined): LimitInput {
  const { request } = matched;
  return { principal, clientAddress: request.clientAddress, fields: request.fields };
}

function limitDenial(limit: LimitResult): Denial {
  if (limit.kind === "refused") {
    return deny("rate_limited", "rate_limited", {
      retryAfterSeconds: Math.max(1, limit.tightest.retryAfterSeconds),
    });
  }
  return deny("limiter_unavailable", "limiter_unavailable", { retryAfterSeconds: 1 });
}

function refusal(
  policy: Policy,
  { request, route, notes }: Matched,
  principal: Principal | undefined,
  denial: Denial,
  limit: LimitResult | undefined,
): Refuse {
  const challenged = wantsChallenge(denial)
    ? { ...denial, challenges: challengesFor(denial, route.credentialKinds, policy.keyField) }
    : denial;
  const { protocol } = request;
  return {
    kind: "refuse",
    denial: challenged,
    protocol,
    request,
    route,
    principal,
    limit,
    observed: notes?.denials,
  };
}

const NOTHING_KNOWN = {
  kind: "refuse",
  request: undefined,
  route: undefined,
  principal: undefined,
  limit: undefined,
  observed: undefined,
} as const;

function unrouted(request: GatewayRequest, found: RouteResult<CompiledRoute>): Refuse {
  const known = { ...NOTHING_KNOWN, request, protocol: request.protocol };
  switch (found.kind) {
    case "method_not_allowed":
      return {
        ...known,
        denial: deny("method_not_allowed", "method_not_allowed", { allow: found.allow.join(", ") }),
      };
    case "match":
      return {
        ...known,
        denial: deny("method_not_allowed", "method_never_forwarded", { allow: FORWARDED_METHODS }),
      };
    case "host_unknown":
      return { ...known, denial: deny("misdirected_request") };
    case "none":
      return { ...known, denial: deny("route_not_found") };
  }
}
