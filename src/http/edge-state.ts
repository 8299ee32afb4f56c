// What all requests of one running gateway share: the plan in force, the log, and who is in flight.

import type { DenialCode } from "../core/denial.ts";
import type { Emit } from "../core/events.ts";
import { type Listed, LiveList } from "../core/live-list.ts";
import type { Principal } from "../core/principal.ts";
import type { Arrival } from "../pipeline/arrival.ts";
import type { Policy } from "../pipeline/decide.ts";
import type { CompiledRoute, Decision } from "../pipeline/decision.ts";
import type { LimitResult } from "../rate-limit/outcome.ts";
import { type DecisionRecord, type GatewayLog, loggedPath } from "../telemetry/log.ts";
import type { Counted, TrafficStats } from "../telemetry/traffic.ts";
import { Deadlines } from "../upstream/deadlines.ts";
import type { Transports } from "../upstream/transports.ts";
import { RequestIds } from "./request-ids.ts";

/**
 * What one configuration makes of the edge: immutable, swapped as a whole. A request keeps the plan that was in force at
 * its arrival to its end.
 */
export interface EdgePlan {
  /** 1 for the first configuration, one more for each that followed; tells in the log by which one a request was judged. */
  readonly generation: number;
  readonly policy: Policy;
  /** By name of the upstream. */
  readonly transports: ReadonlyMap<string, Transports>;
  /** Most requests in flight. */
  readonly inFlight: number;
  readonly legacyLimitFields: boolean;
  /** Share of requests that get an access line, 0 to 1; `denied`: refused ones only. */
  readonly access: number | "denied";
  readonly decisions: "all" | "denied" | "off";
  /** Where the requests of each route are counted. */
  readonly counted: ReadonlyMap<CompiledRoute, Counted>;
}

/** A request that was answered, or not. */
export interface Served {
  readonly arrival: Arrival;
  /** Reading of `performance.now()` at the arrival; undefined for what never became a request. */
  readonly startedMs: number | undefined;
  readonly decision: Decision | undefined;
}

/** How a request ended. */
export interface Ending {
  /** Status that was sent; 499 when the client went away before any. */
  readonly status: number;
  /** Refusal code, when the gateway answered itself. */
  readonly code?: DenialCode | undefined;
  readonly grpcStatus?: number | undefined;
  readonly bytes?: number;
  readonly ended?: string | undefined;
}

/** Something in flight that a drain may have to cut. */
export interface Cuttable {
  cut(): void;
}

/** A request in flight. */
export interface InFlight extends Cuttable, Listed {
  /** Makes its answer the last one on its connection. */
  closeAfter(): void;
}

/** Where the edge tells what happens. */
export interface EdgePorts {
  readonly log: GatewayLog;
  readonly emit: Emit;
  readonly traffic: TrafficStats;
}

/** What carries a route's requests. Every upstream has its transports: the composition root makes both from one list. */
export function transportsOf(plan: EdgePlan, route: CompiledRoute): Transports {
  const transports = plan.transports.get(route.upstream);
  if (transports === undefined) throw new Error(`upstream ${route.upstream} has no transport`);
  return transports;
}

/** Where the requests of a route are counted. The plan counts all of its routes. */
export function countedOf(plan: EdgePlan, route: CompiledRoute): Counted {
  const counted = plan.counted.get(route);
  if (counted === undefined) throw new Error(`route ${route.name} is not counted`);
  return counted;
}

export class EdgeState {
  /** In force for requests that arrive now. */
  plan: EdgePlan;
  readonly log: GatewayLog;
  readonly traffic: TrafficStats;
  readonly runs = new LiveList<InFlight>();
  readonly deadlines = new Deadlines();
  readonly tunnels = new Set<Cuttable>();
  draining = false;
  readonly #emit: Emit;
  readonly #ids = new RequestIds();

  constructor(plan: EdgePlan, { log, emit, traffic }: EdgePorts) {
    this.plan = plan;
    this.log = log;
    this.traffic = traffic;
    this.#emit = emit;
  }

  /** From now on every answer is the last one on its connection, those under way included. */
  startDraining(): void {
    this.draining = true;
    for (const run of this.runs.snapshot()) run.closeAfter();
  }

  /** Unique over all instances and restarts, cheap to make, and without a count that tells strangers of the traffic. */
  newRequestId(): string {
    return this.#ids.next();
  }

  /** A decision was made: counts and logs it. */
  decided(plan: EdgePlan, decision: Decision, arrival: Arrival): void {
    this.#countDecision(plan, decision);
    this.#logDecision(plan, decision, arrival);
  }

  /** A request is over: counts and logs it. */
  ended(plan: EdgePlan, served: Served, ending: Ending): void {
    this.count(plan, served, ending);
    this.logAccess(plan, served, ending);
  }

  /** What `ended` counts. */
  count(plan: EdgePlan, { arrival, startedMs, decision }: Served, { status, code }: Ending): void {
    const route = decision?.route;
    const traffic = route === undefined ? this.traffic.unmatched : countedOf(plan, route).route;
    // Refused by the edge itself, before anything was decided.
    if (decision === undefined && code !== undefined) traffic.refusals.add(code);
    if (startedMs === undefined) traffic.counted(arrival.method, status);
    else traffic.ended(arrival.method, status, performance.now() - startedMs);
  }

  /** What `ended` logs. */
  logAccess(
    { access, generation }: EdgePlan,
    { arrival, startedMs, decision }: Served,
    ending: Ending,
  ): void {
    const logged =
      access === "denied" ? ending.code !== undefined : access >= 1 || (access > 0 && Math.random() < access);
    if (!logged) return;
    const request = decision?.request;
    this.log.access({
      requestId: request?.id ?? arrival.id,
      client: request?.clientAddress ?? arrival.peerAddress,
      method: arrival.method,
      path: loggedPath(request?.target.path ?? arrival.rawTarget),
      route: decision?.route?.name,
      status: ending.status,
      code: ending.code,
      grpcStatus: ending.grpcStatus,
      durationMs: startedMs === undefined ? 0 : Math.round((performance.now() - startedMs) * 1_000) / 1_000,
      bytes: ending.bytes ?? 0,
      upstream: decision?.kind === "forward" ? decision.route.upstream : undefined,
      subject: decision?.principal?.subject,
      authMethod: decision?.principal?.method,
      ended: ending.ended,
      generation,
    });
  }

  #countDecision(plan: EdgePlan, decision: Decision): void {
    const { route, observed, limit } = decision;
    const traffic = route === undefined ? this.traffic.unmatched : countedOf(plan, route).route;
    if (decision.kind === "forward") traffic.forwarded += 1;
    else if (decision.kind === "refuse") traffic.refusals.add(decision.denial.code);
    else traffic.preflights += 1;
    if (observed !== undefined) for (const { code } of observed) traffic.observed.add(code);
    if (limit !== undefined && limit.kind !== "unavailable" && limit.observed !== undefined)
      traffic.observed.add("rate_limited");
  }

  #logDecision({ decisions, generation }: EdgePlan, decision: Decision, arrival: Arrival): void {
    const { limit } = decision;
    const overLimits = limit === undefined || limit.kind === "unavailable" ? undefined : limit.observed;
    // What would have been refused is told with what was refused.
    const quiet = decision.kind !== "refuse" && overLimits === undefined && decision.observed === undefined;
    if (decisions === "off" || (decisions === "denied" && quiet)) return;
    const refusal = decision.kind === "refuse" ? decision : undefined;
    const { request, principal } = decision;
    this.log.decision({
      requestId: request?.id ?? arrival.id,
      client: request?.clientAddress ?? arrival.peerAddress,
      method: arrival.method,
      host: request?.authority,
      path: loggedPath(request?.target.path ?? arrival.rawTarget),
      decision: decision.kind,
      route: decision.route?.name,
      line: decision.route?.line,
      code: refusal?.denial.code,
      reason: refusal?.denial.reason,
      ...whoOf(principal),
      limit: refusal?.limit?.kind === "refused" ? refusal.limit.tightest.policy.name : undefined,
      quota: quotaOf(limit),
      observed: decision.observed?.map(({ code }) => code),
      wouldRefuse: overLimits,
      generation,
    });
  }

  /** A defect of the gateway itself: the kind and place of the error, never its message, which may hold request data. */
  logDefect(error: unknown, id: string): void {
    this.log.defect(error, { requestId: id });
  }

  /** The upstream was to tell what a request cost, and what it told is no whole number. */
  costInvalid(upstream: string, field: string, requestId: string): void {
    this.#emit({ kind: "cost_invalid", upstream, field, requestId });
  }

  upstreamFailed(upstream: string, reason: string, requestId: string): void {
    this.traffic.upstreamFailed(upstream, reason);
    this.#emit({ kind: "upstream_failed", upstream, reason, requestId });
  }
}

/** What the log may tell of a caller: what rules are made of, and no claim beyond. */
function whoOf(
  principal: Principal | undefined,
): Pick<DecisionRecord, "subject" | "issuer" | "authMethod" | "keyId" | "scopes" | "roles" | "tier" | "org"> {
  return {
    subject: principal?.subject,
    issuer: principal?.issuer,
    authMethod: principal?.method,
    keyId: principal?.keyId,
    scopes: principal?.scopes.values,
    roles: principal?.roles,
    tier: principal?.tier,
    org: principal?.org,
  };
}

function quotaOf(limit: LimitResult | undefined): string | undefined {
  if (limit === undefined || limit.kind === "unavailable" || limit.outcomes.length === 0) return undefined;
  const { name, limit: units, windowMs } = limit.tightest.policy;
  return `${name} ${units}/${windowMs / 1_000}s`;
}
