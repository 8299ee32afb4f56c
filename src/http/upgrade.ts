// WebSocket handshakes. The same decision as for any request, before a byte reaches the upstream; refusals are ordinary
// HTTP answers, since no tunnel exists yet.

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Denial, type DenialCode, deny } from "../core/denial.ts";
import type { Arrival } from "../pipeline/arrival.ts";
import { decide } from "../pipeline/decide.ts";
import type { Decision, Forward } from "../pipeline/decision.ts";
import { portOf, upstreamPath } from "../pipeline/forward-plan.ts";
import { ownFields } from "../pipeline/own-fields.ts";
import { renderRefusal } from "../pipeline/refusal.ts";
import { requestFields } from "../upstream/request-fields.ts";
import { GOING_AWAY, POLICY_VIOLATION, type Tunnel } from "../upstream/tunnel.ts";
import { arrivalOf, hold } from "./connection.ts";
import { countedOf, type EdgePlan, type EdgeState, type Served, transportsOf } from "./edge-state.ts";
import { laterCosts } from "./later-costs.ts";
import { writeToSocket } from "./parser-error.ts";

// setTimeout can't hold more; a credential that lives longer is looked at again then.
const LONGEST_TIMER_MS = 2_147_483_647;
const SWITCHING_PROTOCOLS = 101;

/** Whether Node should hand a request over as an upgrade: a WebSocket handshake and nothing else. */
export function isWebSocketHandshake(incoming: IncomingMessage): boolean {
  const { headers } = incoming;
  return (
    incoming.method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-version"] === "13" &&
    /^[A-Za-z0-9+/]{22}==$/.test(headers["sec-websocket-key"] ?? "") &&
    headers["transfer-encoding"] === undefined &&
    headers["content-length"] === undefined
  );
}

/** Decides on a handshake and opens the tunnel or refuses. Never throws. */
export async function handleUpgrade(
  state: EdgeState,
  incoming: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  socket.on("error", () => {});
  hold(incoming.socket);
  const id = state.newRequestId();
  const startedMs = performance.now();
  const { plan } = state;
  try {
    const arrival = arrivalOf(incoming, id, true);
    const decision = state.draining ? undefined : await decide(plan.policy, arrival);
    if (decision !== undefined) state.decided(plan, decision, arrival);
    new Handshake(state, plan, { incoming, socket, head, arrival, startedMs }).proceed(decision);
  } catch (error) {
    state.logDefect(error, id);
    socket.destroy();
  }
}

interface Arrived {
  readonly incoming: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly arrival: Arrival;
  readonly startedMs: number;
}

class Handshake {
  readonly #state: EdgeState;
  readonly #plan: EdgePlan;
  readonly #arrived: Arrived;
  #decision: Decision | undefined;

  constructor(state: EdgeState, plan: EdgePlan, arrived: Arrived) {
    this.#state = state;
    this.#plan = plan;
    this.#arrived = arrived;
  }

  proceed(decision: Decision | undefined): void {
    this.#decision = decision;
    if (this.#arrived.socket.destroyed) this.#ended(499, undefined, "client_aborted");
    else if (decision === undefined) this.#refuse(deny("draining", "draining", { retryAfterSeconds: 1 }));
    else if (decision.kind === "forward") this.#open(decision);
    else if (decision.kind === "refuse") this.#refuse(decision.denial);
    else this.#refuse(deny("request_invalid", "preflight_upgrade"));
  }

  #open(decision: Forward): void {
    const { incoming, socket, head } = this.#arrived;
    const { request, route, principal } = decision;
    const plan = route.forward;
    const chargeLater = laterCosts(decision, (field) =>
      this.#state.costInvalid(plan.upstream.name, field, request.id),
    );
    const counted = countedOf(this.#plan, route).upstream;
    const sentMs = performance.now();
    counted.requests += 1;
    this.#state.traffic.decisions.observe(sentMs - this.#arrived.startedMs);
    const opening = transportsOf(this.#plan, route).tunnels.open(
      {
        incoming,
        socket,
        head,
        path: upstreamPath(plan, request),
        fields: requestFields(plan.request, request, principal, portOf(request)),
        response: {
          replaced: plan.replaced,
          own: ownFields(this.#plan, request, route, decision.limit),
        },
      },
      {
        onHead: (fields) => {
          counted.answers.observe(performance.now() - sentMs);
          chargeLater?.({ fields });
        },
        onOpen: (tunnel) => this.#onOpen(tunnel, decision),
        onAnswer: (status) => this.#ended(status, undefined, undefined),
        onFailure: (failure) => {
          this.#state.upstreamFailed(plan.upstream.name, failure.reason, request.id);
          this.#refuse(deny(failure.code, failure.reason));
        },
      },
    );
    opening.catch((error: unknown) => {
      this.#state.logDefect(error, request.id);
      socket.destroy();
    });
  }

  #onOpen(tunnel: Tunnel, decision: Forward): void {
    // What opened it is over; the tunnel itself may last for days.
    this.#state.count(this.#plan, this.#served, { status: SWITCHING_PROTOCOLS });
    const entry = { cut: () => tunnel.close(GOING_AWAY) };
    this.#state.tunnels.add(entry);
    const expiry = new ExpiryTimer(decision.principal.expiresAtMs, () => tunnel.close(POLICY_VIOLATION));
    tunnel.onClosed(() => {
      this.#state.tunnels.delete(entry);
      expiry.stop();
      this.#state.logAccess(this.#plan, this.#served, { status: SWITCHING_PROTOCOLS });
    });
  }

  #refuse(denial: Denial): void {
    const decision = this.#decision;
    const request = decision?.request;
    const route = decision?.route;
    const answer = renderRefusal(denial, {
      protocol: "http",
      requestId: request?.id ?? this.#arrived.arrival.id,
      contentType: undefined,
      fields:
        request === undefined || route === undefined
          ? []
          : ownFields(this.#plan, request, route, decision?.limit, true),
    });
    writeToSocket(this.#arrived.socket, answer);
    this.#ended(answer.status, denial.code, undefined);
  }

  #ended(status: number, code: DenialCode | undefined, ended: string | undefined): void {
    this.#state.ended(this.#plan, this.#served, { status, code, ended });
  }

  get #served(): Served {
    const { arrival, startedMs } = this.#arrived;
    return { arrival, startedMs, decision: this.#decision };
  }
}

/** Calls back when a credential has ended, however far away that is. */
class ExpiryTimer {
  #timer: NodeJS.Timeout | undefined;

  constructor(expiresAtMs: number | undefined, onExpiry: () => void) {
    if (expiresAtMs === undefined) return;
    const arm = (): void => {
      const leftMs = expiresAtMs - Date.now();
      if (leftMs <= 0) onExpiry();
      else this.#timer = setTimeout(arm, Math.min(leftMs, LONGEST_TIMER_MS)).unref();
    };
    arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
