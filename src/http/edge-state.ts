// What all requests of one running gateway share: the policy in force, the plans of its routes, the log, and who is in flight.

import type { Emit } from "../core/events.ts";
import { type Listed, LiveList } from "../core/live-list.ts";
import type { Arrival } from "../pipeline/arrival.ts";
import type { Policy } from "../pipeline/decide.ts";
import type { CompiledRoute, Decision } from "../pipeline/decision.ts";
import { type GatewayLog, loggedPath } from "../telemetry/log.ts";
import { Deadlines } from "../upstream/deadlines.ts";
import { RequestIds } from "./request-ids.ts";
import type { RoutePlan } from "./route-plan.ts";

export interface EdgeOptions {
  readonly policy: Policy;
  readonly plans: ReadonlyMap<CompiledRoute, RoutePlan>;
  readonly log: GatewayLog;
  readonly emit: Emit;
  /** Most requests in flight. */
  readonly inFlight: number;
  readonly legacyLimitFields: boolean;
  /** Share of requests that get an access line, 0 to 1; `denied`: refused ones only. */
  readonly access: number | "denied";
  readonly decisions: "all" | "denied" | "off";
}

/** How a request ended. */
export interface Ending {
  /** Status that was sent; 499 when the client went away before any. */
  readonly status: number;
  /** Refusal code, when the gateway answered itself. */
  readonly code?: string | undefined;
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

export class EdgeState {
  readonly policy: Policy;
  readonly log: GatewayLog;
  readonly inFlightLimit: number;
  readonly legacyLimitFields: boolean;
  readonly runs = new LiveList<InFlight>();
  readonly deadlines = new Deadlines();
  readonly tunnels = new Set<Cuttable>();
  draining = false;
  readonly #options: EdgeOptions;
  readonly #ids = new RequestIds();

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.policy = options.policy;
    this.log = options.log;
    this.inFlightLimit = options.inFlight;
    this.legacyLimitFields = options.legacyLimitFields;
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

  /** Every compiled route has a plan; the composition root makes both from one list. */
  planOf(route: CompiledRoute): RoutePlan {
    const plan = this.#options.plans.get(route);
    if (plan === undefined) throw new Error(`route ${route.name} has no plan`);
    return plan;
  }

  /** @param startedMs reading of `performance.now()` at the arrival */
  logAccess(arrival: Arrival, startedMs: number, decision: Decision | undefined, ending: Ending): void {
    const { access } = this.#options;
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
      durationMs: Math.round((performance.now() - startedMs) * 1_000) / 1_000,
      bytes: ending.bytes ?? 0,
      upstream: decision?.kind === "forward" ? decision.route.upstream : undefined,
      subject: decision?.principal?.subject,
      authMethod: decision?.principal?.method,
      ended: ending.ended,
    });
  }

  logDecision(decision: Decision, arrival: Arrival): void {
    const { decisions } = this.#options;
    const { limit } = decision;
    const observed = limit === undefined || limit.kind === "unavailable" ? undefined : limit.observed;
    // What would have been refused is told with what was refused.
    const quiet = decision.kind !== "refuse" && observed === undefined;
    if (decisions === "off" || (decisions === "denied" && quiet)) return;
    const refusal = decision.kind === "refuse" ? decision : undefined;
    const { request, principal } = decision;
    this.log.decision({
      requestId: request?.id ?? arrival.id,
      client: request?.clientAddress ?? arrival.peerAddress,
      method: arrival.method,
      path: loggedPath(request?.target.path ?? arrival.rawTarget),
      decision: decision.kind,
      route: decision.route?.name,
      line: decision.route?.line,
      code: refusal?.denial.code,
      reason: refusal?.denial.reason,
      subject: principal?.subject,
      authMethod: principal?.method,
      keyId: principal?.keyId,
      limit: refusal?.limit?.kind === "refused" ? refusal.limit.tightest.policy.name : undefined,
      wouldRefuse: observed,
    });
  }

  /** A defect of the gateway itself: the kind and place of the error, never its message, which may hold request data. */
  logDefect(error: unknown, id: string): void {
    this.log.defect(error, { requestId: id });
  }

  /** The upstream was to tell what a request cost, and what it told is no whole number. */
  costInvalid(upstream: string, field: string, requestId: string): void {
    this.#options.emit({ kind: "cost_invalid", upstream, field, requestId });
  }

  upstreamFailed(upstream: string, reason: string, requestId: string): void {
    this.#options.emit({ kind: "upstream_failed", upstream, reason, requestId });
  }
}
