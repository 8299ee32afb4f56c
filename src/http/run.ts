// One request through the edge: from the server's objects to the decision, the exchange or the refusal, and the log.

import type { IncomingMessage, ServerResponse } from "node:http";
import { type Denial, type DenialCode, deny } from "../core/denial.ts";
import type { GatewayRequest } from "../core/request.ts";
import { isPromise } from "../core/result.ts";
import type { Arrival } from "../pipeline/arrival.ts";
import { preflightFields } from "../pipeline/cors.ts";
import { decide } from "../pipeline/decide.ts";
import type { Decision, Forward, Preflight, Refuse } from "../pipeline/decision.ts";
import { portOf, upstreamPath } from "../pipeline/forward-plan.ts";
import { ownFields } from "../pipeline/own-fields.ts";
import { renderRefusal } from "../pipeline/refusal.ts";
import { Exchange, type ExchangeEnd } from "../upstream/exchange.ts";
import { RequestBody } from "../upstream/request-body.ts";
import { isLoop, requestFields } from "../upstream/request-fields.ts";
import { arrivalOf, closeAfterAnswer, hold, lingerAtClose, readRest, release } from "./connection.ts";
import { countedOf, type EdgePlan, type EdgeState, type InFlight, transportsOf } from "./edge-state.ts";
import { laterCosts } from "./later-costs.ts";

// Bodies that are announced as no longer than this are read to their end after a refusal, so the connection lives on.
const DRAINED_BYTES = 64 * 1024;
const NO_BODY_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

export class Run implements InFlight {
  slot = -1;
  readonly #state: EdgeState;
  readonly #plan: EdgePlan;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #expectsContinue: boolean;
  readonly #startedMs: number;
  readonly #arrival: Arrival;
  #decision: Decision | undefined;
  #exchange: Exchange | undefined;
  #code: DenialCode | undefined;
  #grpcStatus: number | undefined;
  #ended: string | undefined;
  #answered = false;

  constructor(
    state: EdgeState,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    expectsContinue: boolean,
  ) {
    this.#state = state;
    this.#plan = state.plan;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#expectsContinue = expectsContinue;
    this.#startedMs = performance.now();
    this.#arrival = arrivalOf(incoming, state.newRequestId());
  }

  /** Refuses the request without deciding on it. */
  refuseWith(denial: Denial): void {
    if (this.#open()) this.#refuse(unread(denial));
  }

  /** Answers the request. Never throws. */
  start(): void {
    if (!this.#open()) return;
    try {
      if (this.#state.runs.size > this.#plan.inFlight) {
        this.#refuse(unread(deny("overloaded", "in_flight", { retryAfterSeconds: 1 })));
        return;
      }
      const decision = decide(this.#plan.policy, this.#arrival);
      if (!isPromise(decision)) this.#act(decision);
      else {
        decision.then(
          (settled) => this.#act(settled),
          (error: unknown) => this.#fail(error),
        );
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends what is still open when the time for draining is over: event streams orderly, everything else by a reset. */
  cut(): void {
    const exchange = this.#exchange;
    if (exchange?.mediaType.startsWith("text/event-stream")) {
      exchange.endEarly();
      return;
    }
    this.#ended = "drain_timeout";
    this.#exchange?.abort();
    this.#incoming.socket.destroy();
  }

  closeAfter(): void {
    this.#outgoing.shouldKeepAlive = false;
  }

  /** Takes part in what the edge has in flight; false when the connection may carry nothing more. */
  #open(): boolean {
    const { socket } = this.#incoming;
    if (hold(socket).closing) {
      release(socket);
      socket.destroy();
      return false;
    }
    this.#state.runs.add(this);
    this.#outgoing.on("error", ignore);
    this.#outgoing.on("close", () => this.#onClose());
    if (this.#state.draining) this.#outgoing.shouldKeepAlive = false;
    return true;
  }

  #act(decision: Decision): void {
    if (this.#outgoing.destroyed) return;
    this.#decision = decision;
    this.#state.decided(this.#plan, decision, this.#arrival);
    try {
      if (decision.kind === "forward") this.#forward(decision, false);
      else if (decision.kind === "refuse") this.#refuse(decision);
      else this.#answerPreflight(decision);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#state.logDefect(error, this.#decision?.request?.id ?? this.#arrival.id);
    if (this.#outgoing.headersSent) this.#outgoing.destroy();
    else this.#refuseForwarded(deny("internal_error"));
  }

  #forward(decision: Forward, again: boolean): void {
    const { request, route, principal } = decision;
    const plan = route.forward;
    if (isLoop(request)) {
      this.#state.upstreamFailed(plan.upstream.name, "proxy_loop", request.id);
      this.#refuseForwarded(deny("upstream_invalid", "proxy_loop"));
      return;
    }
    const bodyLength = announcedLength(request);
    const body = this.#body(request, bodyLength);
    if (body !== null) lingerAtClose(this.#incoming);
    const counted = countedOf(this.#plan, route).upstream;
    const sentMs = performance.now();
    counted.requests += 1;
    if (!again) this.#state.traffic.decisions.observe(sentMs - this.#startedMs);
    const chargeLater = laterCosts(decision, (field) =>
      this.#state.costInvalid(plan.upstream.name, field, request.id),
    );
    const exchange = new Exchange({
      outgoing: this.#outgoing,
      response: {
        edits: plan.responseEdits,
        replaced: plan.replaced,
        keepPrivate: principal.method === "apiKey",
        own: ownFields(this.#plan, decision.request, route, decision.limit),
      },
      timeouts: plan.timeouts,
      deadlines: this.#state.deadlines,
      onHead: (head) => {
        counted.answers.observe(performance.now() - sentMs);
        chargeLater?.(head);
      },
      onEnd: (end) => {
        try {
          this.#onExchangeEnd(decision, end, again || body !== null);
        } catch (error) {
          this.#fail(error);
        }
      },
    });
    this.#exchange = exchange;
    if (this.#expectsContinue && body !== null) this.#outgoing.writeContinue();
    transportsOf(this.#plan, route).http.send(
      {
        method: request.method,
        path: upstreamPath(plan, request),
        fields: requestFields(plan.request, request, principal, portOf(request)),
        body,
        bodyLength,
      },
      exchange,
    );
  }

  #body({ fields }: GatewayRequest, length: number | undefined): RequestBody | null {
    if (!fields.names.includes("transfer-encoding") && (length ?? 0) === 0) return null;
    return new RequestBody(this.#incoming, this.#plan.policy.admission.bodyBytes, () =>
      this.#exchange?.touch(),
    );
  }

  #onExchangeEnd(decision: Forward, end: ExchangeEnd, final: boolean): void {
    const { upstream } = decision.route;
    if (end.kind === "answered") return;
    if (end.kind === "aborted") {
      this.#ended ??= "client_aborted";
      return;
    }
    if (end.kind === "broken") {
      this.#ended = "upstream_truncated";
      this.#state.upstreamFailed(upstream, end.reason, decision.request.id);
      return;
    }
    const { failure } = end;
    // The upstream closed an idle connection just when it was used: safe to try once more where nothing can be done twice.
    if (
      failure.unanswered &&
      !final &&
      NO_BODY_METHODS.has(decision.request.method) &&
      !this.#outgoing.destroyed
    ) {
      this.#forward(decision, true);
      return;
    }
    if (failure.code !== "body_too_large")
      this.#state.upstreamFailed(upstream, failure.reason, decision.request.id);
    this.#refuseForwarded(deny(failure.code, failure.reason));
  }

  /** A refusal after the decision to forward: of the upstream's failure, or of a body that grew too large. */
  #refuseForwarded(denial: Denial): void {
    const known = this.#decision;
    this.#refuse({
      kind: "refuse",
      denial,
      protocol: known?.request?.protocol ?? "http",
      request: known?.request,
      route: known?.route,
      principal: known?.principal,
      limit: known?.limit,
      observed: known?.observed,
    });
  }

  #refuse(refusal: Refuse): void {
    const { request, route, denial } = refusal;
    const answer = renderRefusal(denial, {
      protocol: refusal.protocol,
      requestId: request?.id ?? this.#arrival.id,
      contentType: request?.fields.first("content-type") ?? this.#incoming.headers["content-type"],
      fields:
        request === undefined || route === undefined
          ? NO_FIELDS
          : ownFields(this.#plan, request, route, refusal.limit, true),
    });
    this.#code = denial.code;
    this.#grpcStatus = answer.grpcStatus;
    this.#answer(answer.status, answer.fields, answer.body, answer.closes);
  }

  #answerPreflight({ request, cors }: Preflight): void {
    this.#answer(204, [...preflightFields(cors, request.fields), "X-Request-Id", request.id], "", false);
  }

  #answer(status: number, fields: readonly string[], body: string, closes: boolean): void {
    const outgoing = this.#outgoing;
    if (outgoing.headersSent || outgoing.destroyed) {
      outgoing.destroy();
      return;
    }
    this.#answered = true;
    if (closes || this.#leavesBodyUnread()) {
      outgoing.shouldKeepAlive = false;
      closeAfterAnswer(this.#incoming);
    }
    outgoing.writeHead(status, fields as string[]);
    outgoing.end(body, "utf8");
  }

  #leavesBodyUnread(): boolean {
    if (this.#incoming.complete) return false;
    const { headers } = this.#incoming;
    if (headers["transfer-encoding"] !== undefined) return true;
    const length = Number(headers["content-length"] ?? 0);
    return length > DRAINED_BYTES || (this.#expectsContinue && length > 0);
  }

  #onClose(): void {
    this.#state.runs.remove(this);
    release(this.#incoming.socket);
    if (!this.#outgoing.writableFinished) {
      this.#ended ??= "client_aborted";
      this.#exchange?.abort();
    } else if (!this.#answered && !this.#incoming.complete) {
      // The upstream answered before it had read the whole body; the rest must not be taken for another request.
      readRest(this.#incoming);
    }
    const { headersSent, statusCode } = this.#outgoing;
    const served = { arrival: this.#arrival, startedMs: this.#startedMs, decision: this.#decision };
    this.#state.ended(this.#plan, served, {
      status: headersSent ? statusCode : 499,
      code: this.#code,
      grpcStatus: this.#grpcStatus,
      bytes: this.#exchange?.bytes ?? 0,
      ended: this.#ended,
    });
  }
}

/** Bytes of the request's body; undefined when its head doesn't tell. */
function announcedLength({ fields }: GatewayRequest): number | undefined {
  const length = fields.first("content-length");
  return length === undefined ? undefined : Number(length);
}

const NO_FIELDS: readonly string[] = [];

function ignore(): void {}

function unread(denial: Denial): Refuse {
  return {
    kind: "refuse",
    denial,
    protocol: "http",
    request: undefined,
    route: undefined,
    principal: undefined,
    limit: undefined,
    observed: undefined,
  };
}
