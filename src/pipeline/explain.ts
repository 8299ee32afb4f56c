// Explains a decision: lets the decision itself be made, on counters that are only looked at, and puts beside it what the
// same functions say of each step. Sends nothing and changes nothing.

import type { Examination } from "../authn/examination.ts";
import type { ThrottleView } from "../authn/failures/throttle.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { catalogueEntry, type Denial, deny } from "../core/denial.ts";
import { Fields } from "../core/fields.ts";
import { maskTarget } from "../core/masking.ts";
import { sentenceOf } from "../core/reasons.ts";
import { callerProtocol, type GatewayRequest } from "../core/request.ts";
import type { TargetFault } from "../core/request-target.ts";
import { faultPosition } from "../core/target-fault.ts";
import { limitFields } from "../rate-limit/fields.ts";
import type { Limiter, Peek } from "../rate-limit/limiter.ts";
import { droppedFields, forwardedFields } from "../upstream/field-origins.ts";
import { isLoop } from "../upstream/request-fields.ts";
import { type Arrival, admit, isAuthority } from "./arrival.ts";
import { corsFields, preflightFields } from "./cors.ts";
import { decide, type Policy } from "./decide.ts";
import type { CompiledRoute, Decision, Forward } from "./decision.ts";
import { explainAuthentication, explainAuthorization, explainLimits } from "./explain-guard.ts";
import { explainRouting } from "./explain-routing.ts";
import type {
  ExplainedDenial,
  ExplainedField,
  ExplainedRequest,
  ExplainedUpstream,
  ExplainedVerdict,
  Explanation,
} from "./explanation.ts";
import { portOf, upstreamPath } from "./forward-plan.ts";
import { arrivalOf, decideAs, type SimulatedRequest, type Stand } from "./simulate.ts";

/** The gateway that is asked. */
export interface Explained {
  readonly config: GatewayConfig;
  readonly policy: Policy;
  readonly limiter: Pick<Limiter, "peek">;
  readonly failures: ThrottleView | undefined;
  /** Whether it would answer 200 on its path for readiness; undefined where nothing runs. */
  readonly ready?: boolean;
  /** Said beside every explanation of this gateway. */
  readonly notes?: readonly string[];
}

export interface ExplainQuestion {
  readonly request: SimulatedRequest;
  /** Whom to take the caller for, in place of credentials that came; `text` describes him. */
  readonly as?: { readonly stand: Stand; readonly text: string } | undefined;
  /** Most near misses told of; 5 unless said. */
  readonly nearMisses?: number | undefined;
}

const NEAR_MISSES = 5;

/** Explains what would become of a request. */
export async function explain(gateway: Explained, question: ExplainQuestion): Promise<Explanation> {
  const arrival = arrivalOf(question.request);
  const own = ownAnswer(gateway, arrival);
  if (own !== undefined) return own;
  const seen: Noticed = { examination: undefined, peek: undefined };
  const policy = watchedPolicy(gateway, seen);
  const { as } = question;
  const decision = await (as === undefined ? decide(policy, arrival) : decideAs(policy, arrival, as.stand));
  return describe(gateway, question, arrival, decision, seen);
}

/** What was noticed while it was decided. */
interface Noticed {
  examination: Examination | undefined;
  peek: Peek | undefined;
}

/** The policy in force, on counters that are only looked at, with its credential checks watched. */
function watchedPolicy({ policy, limiter, failures }: Explained, seen: Noticed): Policy {
  const watched = (route: CompiledRoute): CompiledRoute => {
    const { chain } = route;
    return {
      ...route,
      chain: {
        deciding: (fields, search) => chain.deciding(fields, search),
        authenticate: async (fields, search, clientAddress) => {
          if (chain.examine === undefined) return await chain.authenticate(fields, search, clientAddress);
          seen.examination = await chain.examine(fields, search, clientAddress);
          return seen.examination.outcome;
        },
      },
    };
  };
  return {
    ...policy,
    failures,
    limiter: {
      take: async (limits, input) => {
        seen.peek = await limiter.peek(limits, input);
        return seen.peek.result;
      },
    },
    routes: {
      match: (request) => {
        const found = policy.routes.match(request);
        return found.kind === "match" ? { ...found, route: watched(found.route) } : found;
      },
    },
  };
}

function describe(
  gateway: Explained,
  question: ExplainQuestion,
  arrival: Arrival,
  decision: Decision,
  seen: Noticed,
): Explanation {
  const { config, failures } = gateway;
  const { request, route } = decision;
  const basis = {
    version: 1,
    file: config.file,
    verdict: verdictOf(decision),
    request: explainRequest(gateway, arrival, request, decision),
  } as const;
  const notes = gateway.notes ?? [];
  if (request === undefined) return { ...basis, response: responseFields(config, decision), notes };
  const routing = explainRouting(
    config,
    gateway.policy,
    request,
    decision,
    question.nearMisses ?? NEAR_MISSES,
  );
  if (route === undefined || decision.kind === "preflight")
    return { ...basis, routing, response: responseFields(config, decision), notes };
  const parameters = routing.route?.parameters ?? {};
  const blockedSeconds = failures?.addressBlockedSeconds(request.clientAddress) ?? 0;
  const upstream = explainUpstream(request, route, decision);
  return {
    ...basis,
    routing,
    authentication: explainAuthentication(decision, seen.examination, question.as?.text, blockedSeconds),
    authorization: explainAuthorization(route, request, principalOf(decision, seen), parameters),
    ...(seen.peek === undefined ? {} : { limits: explainLimits(seen.peek, decision) }),
    ...(upstream === undefined ? {} : { upstream }),
    response: responseFields(config, decision),
    notes,
  };
}

function principalOf(decision: Decision, { examination }: Noticed): Forward["principal"] | undefined {
  if (decision.principal !== undefined) return decision.principal;
  return examination?.outcome.kind === "authenticated" ? examination.outcome.principal : undefined;
}

/** The refusal that a forwarded request meets after the decision. */
function laterDenial(decision: Decision): Denial | undefined {
  return decision.kind === "forward" && isLoop(decision.request)
    ? deny("upstream_invalid", "proxy_loop")
    : undefined;
}

function verdictOf(decision: Decision): ExplainedVerdict {
  const observed = (decision.observed ?? []).map(explainDenial);
  const denial = decision.kind === "refuse" ? decision.denial : laterDenial(decision);
  if (denial === undefined)
    return decision.kind === "preflight"
      ? { decision: "preflight", status: 204, observed }
      : { decision: "forward", observed };
  const { status, grpc } = catalogueEntry(denial.code);
  const { requiredScopes, retryAfterSeconds } = denial;
  const protocol = decision.kind === "refuse" ? decision.protocol : decision.request.protocol;
  return {
    decision: "refuse",
    ...(protocol === "http" ? { status } : { status: 200, grpcStatus: grpc }),
    ...explainDenial(denial),
    ...(requiredScopes === undefined ? {} : { requiredScopes }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    observed,
  };
}

function explainDenial(denial: Denial): ExplainedDenial {
  return { code: denial.code, reason: denial.reason, sentence: sentenceOf(denial) };
}

function explainRequest(
  { policy: { admission } }: Explained,
  arrival: Arrival,
  request: GatewayRequest | undefined,
  decision: Decision | undefined,
): ExplainedRequest {
  const fields = request?.fields ?? new Fields(arrival.rawFields);
  const headerBytes = fields.raw.reduce((bytes, text) => bytes + text.length, fields.count * 4);
  const peer = request?.peerAddress ?? arrival.peerAddress;
  const address = request?.clientAddress ?? peer;
  const host = request?.authority ?? fields.first("host");
  const denial = decision?.kind === "refuse" && request === undefined ? decision.denial : undefined;
  return {
    method: arrival.method,
    target: maskTarget(arrival.rawTarget),
    ...(request === undefined
      ? {}
      : { canonical: { path: maskTarget(request.target.path), search: maskTarget(request.target.search) } }),
    ...(denial?.code === "request_target_invalid" ? { fault: targetFault(arrival.rawTarget, denial) } : {}),
    ...(host === undefined ? {} : { host }),
    scheme: request?.scheme ?? arrival.scheme,
    protocol: request?.protocol ?? callerProtocol(fields.first("content-type")),
    client: {
      address,
      peer,
      peerTrusted: request?.peerTrusted ?? false,
      from: address === peer ? "peer" : "x-forwarded-for",
    },
    sizes: {
      targetBytes: { used: arrival.rawTarget.length, most: admission.urlBytes },
      headerBytes: { used: headerBytes, most: admission.headersBytes },
      headerCount: { used: fields.count, most: admission.headerCount },
    },
  };
}

function targetFault(target: string, denial: Denial): NonNullable<ExplainedRequest["fault"]> {
  // Refusals of this code have the target's fault for their reason.
  const reason = denial.reason as TargetFault;
  return { reason, sentence: sentenceOf(denial), at: faultPosition(target, reason) };
}

/** Paths for load balancers never come to a decision. */
function ownAnswer(gateway: Explained, arrival: Arrival): Explanation | undefined {
  const { health, file } = gateway.config;
  const [path] = arrival.rawTarget.split("?", 1);
  const isLive = path === health?.live;
  if (health === undefined || (!isLive && path !== health.ready)) return undefined;
  if (arrival.method !== "GET" && arrival.method !== "HEAD") return undefined;
  if (!isAuthority(new Fields(arrival.rawFields).first("host") ?? "")) return undefined;
  const admission = admit(gateway.policy.admission, arrival);
  const ready = isLive ? true : gateway.ready;
  const notes = ready === undefined ? ["200 while the gateway is ready, else 503"] : [];
  return {
    version: 1,
    file,
    verdict: { decision: "own", ...(ready === undefined ? {} : { status: ready ? 200 : 503 }), observed: [] },
    request: explainRequest(gateway, arrival, admission.ok ? admission.request : undefined, undefined),
    routing: { outcome: "own", nearMisses: [] },
    response: [{ name: "Cache-Control", value: "no-store" }],
    notes: [...notes, ...(gateway.notes ?? [])],
  };
}

function explainUpstream(
  request: GatewayRequest,
  route: CompiledRoute,
  decision: Decision,
): ExplainedUpstream | undefined {
  const { principal } = decision;
  if (principal === undefined) return undefined;
  const { forward } = route;
  const path = upstreamPath(forward, request);
  return {
    name: route.upstream,
    sent: decision.kind === "forward" && laterDenial(decision) === undefined,
    method: request.method,
    url: forward.upstream.origin + maskTarget(path),
    path: maskTarget(path),
    headers: forwardedFields(forward.request, request, principal, portOf(request)),
    dropped: droppedFields(forward.request, request),
  };
}

/** The gateway's own fields on the answer; the request id is another one for every request. */
function responseFields(config: GatewayConfig, decision: Decision): readonly ExplainedField[] {
  const flat: string[] = [];
  const { request, route, limit } = decision;
  if (decision.kind === "preflight") flat.push(...preflightFields(decision.cors, decision.request.fields));
  if (limit !== undefined) flat.push(...limitFields(limit, config.legacyRateLimitHeaders));
  if (decision.kind !== "preflight" && request !== undefined && route?.cors !== undefined)
    flat.push(...corsFields(route.cors, request.fields));
  if (decision.kind === "refuse") {
    const { challenges = [], retryAfterSeconds, allow } = decision.denial;
    flat.push(...challenges.flatMap((challenge) => ["WWW-Authenticate", challenge]));
    if (retryAfterSeconds !== undefined) flat.push("Retry-After", String(retryAfterSeconds));
    if (allow !== undefined) flat.push("Allow", allow);
  }
  return flat.flatMap((name, index) => (index % 2 === 0 ? [{ name, value: flat[index + 1] ?? "" }] : []));
}
