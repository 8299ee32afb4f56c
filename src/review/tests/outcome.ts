// What becomes of a simulated request, as whoever sends it would see it: the decision, what the upstream gets, and what
// the gateway itself puts on the answer.

import type { GatewayConfig } from "../../config/gateway-config.ts";
import { catalogueEntry, type DenialCode, deny } from "../../core/denial.ts";
import { LIVE } from "../../core/health.ts";
import type { CallerProtocol, GatewayRequest } from "../../core/request.ts";
import type { Arrival } from "../../pipeline/arrival.ts";
import { preflightFields } from "../../pipeline/cors.ts";
import type { CompiledRoute, Decision, Forward, Refuse } from "../../pipeline/decision.ts";
import { portOf, upstreamPath } from "../../pipeline/forward-plan.ts";
import { ownFields } from "../../pipeline/own-fields.ts";
import { renderRefusal } from "../../pipeline/refusal.ts";
import { isLoop, requestFields } from "../../upstream/request-fields.ts";

/** What the upstream would get. */
export interface Sent {
  readonly upstream: string;
  readonly path: string;
  /** Flat name and value list. */
  readonly fields: readonly string[];
}

export interface Outcome {
  /** `own`: one of the gateway's own paths. */
  readonly kind: Decision["kind"] | "own";
  /** Status in the catalogue of a refusal; 200 of what is let through, 204 of a preflight. */
  readonly status: number;
  readonly grpcStatus: number | undefined;
  readonly code: DenialCode | undefined;
  readonly route: CompiledRoute | undefined;
  readonly sent: Sent | undefined;
  /** Fields that the gateway itself puts on the answer, as a flat list. */
  readonly answer: readonly string[];
  readonly decision: Decision | undefined;
}

/** The answer of a path that the gateway serves itself; undefined for every other request. */
export function ownOutcome({ health }: GatewayConfig, { method, rawTarget }: Arrival): Outcome | undefined {
  if (health === undefined || (method !== "GET" && method !== "HEAD")) return undefined;
  const path = rawTarget.split("?", 1)[0] ?? "";
  if (path !== health.live && path !== health.ready) return undefined;
  return { ...NOTHING, kind: "own", status: LIVE.status, answer: ["Cache-Control", "no-store"] };
}

/** What a decision means for its client and its upstream. */
export function outcomeOf(decision: Decision, config: GatewayConfig): Outcome {
  const { route } = decision;
  if (decision.kind === "refuse") return refused(decision, config);
  const { request } = decision;
  if (decision.kind === "preflight") {
    const answer = [...preflightFields(decision.cors, request.fields), "X-Request-Id", request.id];
    return { ...NOTHING, kind: "preflight", status: 204, route, answer, decision };
  }
  if (isLoop(request)) return refused(looped(decision), config);
  return {
    ...NOTHING,
    kind: "forward",
    status: 200,
    route,
    sent: sentOf(decision),
    answer: ownFields(legacy(config), request, decision.route, decision.limit),
    decision,
  };
}

function refused(decision: Refuse, config: GatewayConfig): Outcome {
  const { denial, protocol, request, route, limit } = decision;
  const { status } = catalogueEntry(denial.code);
  const answer = renderRefusal(denial, {
    protocol,
    requestId: request?.id ?? "simulated",
    contentType: request?.fields.first("content-type") ?? mediaTypeOf(protocol),
    fields:
      request === undefined || route === undefined
        ? []
        : ownFields(legacy(config), request, route, limit, true),
  });
  return {
    ...NOTHING,
    kind: "refuse",
    status,
    grpcStatus: answer.grpcStatus,
    code: denial.code,
    route,
    answer: answer.fields,
    decision,
  };
}

function sentOf({ route, request, principal }: Forward): Sent {
  const plan = route.forward;
  return {
    upstream: plan.upstream.name,
    path: upstreamPath(plan, request),
    fields: requestFields(plan.request, request, principal, portOf(request)),
  };
}

/** What passed this gateway too often is refused when it would be sent. */
function looped({ request, route, principal, limit, observed }: Forward): Refuse {
  const denial = deny("upstream_invalid", "proxy_loop");
  return { kind: "refuse", denial, protocol: request.protocol, request, route, principal, limit, observed };
}

function mediaTypeOf(protocol: CallerProtocol): string | undefined {
  return protocol === "http" ? undefined : `application/${protocol}`;
}

function legacy({ legacyRateLimitHeaders }: GatewayConfig): { readonly legacyLimitFields: boolean } {
  return { legacyLimitFields: legacyRateLimitHeaders };
}

const NOTHING: Omit<Outcome, "kind" | "status"> = {
  grpcStatus: undefined,
  code: undefined,
  route: undefined,
  sent: undefined,
  answer: [],
  decision: undefined,
};

/** Values of all lines called `name`, in any case. */
export function valuesIn(fields: readonly string[], name: string): readonly string[] {
  const lower = name.toLowerCase();
  return fields.filter((_, index) => index % 2 === 1 && fields[index - 1]?.toLowerCase() === lower);
}

/** The request that was decided on, where it could be read. */
export function requestOf(outcome: Outcome): GatewayRequest | undefined {
  return outcome.decision?.request;
}
