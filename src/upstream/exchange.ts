// One forwarded request and its answer, streamed between the two sockets with back-pressure. The answer's head and a
// short body leave in one write; a failure after the head breaks the client's connection, so a cut answer never looks whole.

import type { ServerResponse } from "node:http";
import type { Deadlines, Watched } from "./deadlines.ts";
import type { UpstreamFailure } from "./failure-map.ts";
import { failureOf } from "./failure-map.ts";
import type { UpstreamTimeouts } from "./policy.ts";
import { type ResponseFieldsPolicy, responseFields } from "./response-fields.ts";

/** How an exchange ended. */
export type ExchangeEnd =
  | { readonly kind: "answered"; readonly status: number }
  /** Nothing was sent to the client yet: the caller answers with a refusal. */
  | { readonly kind: "failed"; readonly failure: UpstreamFailure }
  /** The answer broke off after its head; the client's connection was reset. */
  | { readonly kind: "broken"; readonly status: number; readonly reason: string }
  | { readonly kind: "aborted" };

/** What the exchange needs of the transport's controller. */
export interface FlowControl {
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
}

export interface ExchangeOptions {
  readonly outgoing: ServerResponse;
  readonly response: ResponseFieldsPolicy;
  readonly timeouts: UpstreamTimeouts;
  readonly deadlines: Deadlines;
  readonly onEnd: (end: ExchangeEnd) => void;
}

class Aborted extends Error {
  readonly code = "CLIENT_ABORTED";
}

// Bodies up to this size are copied into one write together with the head; beyond it the copy costs more than it saves.
const JOINED_BODY_BYTES = 16 * 1024;
// An upstream may announce early hints, but not without end.
const MOST_INTERIM_ANSWERS = 16;

export class Exchange implements Watched {
  slot = -1;
  readonly #outgoing: ServerResponse;
  readonly #options: ExchangeOptions;
  #control: FlowControl | undefined;
  #abortedBeforeStart = false;
  #interim = 0;
  #status = 0;
  /** Bytes that the answer's Content-Length announces; -1 when unknown. */
  #length = -1;
  #bytes = 0;
  #mediaType = "";
  #sent = false;
  #ended = false;
  #phaseEnd: number;
  readonly #totalEnd: number;

  constructor(options: ExchangeOptions) {
    this.#outgoing = options.outgoing;
    this.#options = options;
    const { deadlines, timeouts } = options;
    deadlines.run();
    this.#totalEnd = timeouts.totalMs > 0 ? deadlines.after(timeouts.totalMs) : Number.POSITIVE_INFINITY;
    this.#phaseEnd = deadlines.after(timeouts.connectMs);
    deadlines.watch(this);
  }

  get deadline(): number {
    return Math.min(this.#phaseEnd, this.#totalEnd);
  }

  /** The request's body moves on, so the upstream can't be expected to answer yet. */
  touch(): void {
    if (this.#status !== 0 || this.#control === undefined) return;
    this.#phaseEnd = this.#options.deadlines.after(this.#options.timeouts.headersMs);
  }

  onDeadline(): void {
    if (this.#ended) return;
    const total = this.#totalEnd <= this.#phaseEnd;
    const control = this.#control;
    if (this.#status === 0) {
      const reason = total ? "total_timeout" : control === undefined ? "connect_timeout" : "headers_timeout";
      this.#finish({ kind: "failed", failure: { code: "upstream_timeout", reason, unanswered: false } });
    } else this.#break(total ? "total_timeout" : "body_timeout");
    if (control === undefined) this.#abortedBeforeStart = true;
    else control.abort(new Aborted("timeout"));
  }

  /** Bytes of the answer's body that came from the upstream. */
  get bytes(): number {
    return this.#bytes;
  }

  get status(): number {
    return this.#status;
  }

  /** Content-Type of the answer, empty until its head is there. */
  get mediaType(): string {
    return this.#mediaType;
  }

  /** Ends a stream orderly before its upstream does; for event streams, whose end is never mistaken for completeness. */
  endEarly(): void {
    if (this.#ended) return;
    this.#outgoing.end();
    this.#finish({ kind: "answered", status: this.#status });
    this.#control?.abort(new Aborted("the gateway is shutting down"));
  }

  /** The client went away: the upstream's work is cancelled. */
  abort(): void {
    if (this.#ended) return;
    this.#finish({ kind: "aborted" });
    if (this.#control === undefined) this.#abortedBeforeStart = true;
    else this.#control.abort(new Aborted("the client went away"));
  }

  onRequestStart(control: FlowControl): void {
    this.#control = control;
    this.touch();
    if (this.#abortedBeforeStart || this.#ended) control.abort(new Aborted("the client went away"));
  }

  onResponseStart(
    control: FlowControl,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (this.#ended) return;
    if (status < 200) {
      this.#interim += 1;
      if (status < 100 || this.#interim > MOST_INTERIM_ANSWERS) this.#invalid(control, "interim_answers");
      return;
    }
    if (status > 599) {
      this.#invalid(control, "status_invalid");
      return;
    }
    this.#status = status;
    this.#awaitData();
    const length = headers["content-length"];
    const type = headers["content-type"];
    this.#mediaType = typeof type === "string" ? type : "";
    this.#length = typeof length === "string" ? Number(length) : -1;
    try {
      this.#outgoing.writeHead(status, responseFields(headers, status, this.#options.response));
    } catch {
      this.#invalid(control, "header_invalid");
      return;
    }
    // Data that came with the head is handed over before microtasks run; only a head that stands alone is sent alone.
    queueMicrotask(() => this.#flushHead());
  }

  onResponseData(control: FlowControl, chunk: Buffer): void {
    if (this.#ended) return;
    this.#bytes += chunk.length;
    this.#awaitData();
    const outgoing = this.#outgoing;
    if (!this.#sent) {
      this.#sent = true;
      if (chunk.length === this.#length && chunk.length <= JOINED_BODY_BYTES) {
        outgoing.end(chunk.toString("latin1"), "latin1");
        return;
      }
    }
    if (!outgoing.write(chunk)) {
      control.pause();
      // A slow client is no fault of the upstream.
      this.#phaseEnd = Number.POSITIVE_INFINITY;
      outgoing.once("drain", () => {
        this.#awaitData();
        control.resume();
      });
    }
  }

  onResponseEnd(): void {
    if (this.#ended) return;
    this.#sent = true;
    if (!this.#outgoing.writableEnded) this.#outgoing.end();
    this.#finish({ kind: "answered", status: this.#status });
  }

  onResponseError(_control: FlowControl | undefined, error: unknown): void {
    if (this.#ended) return;
    const failure = failureOf(error);
    if (this.#status === 0) {
      this.#finish({ kind: "failed", failure });
      return;
    }
    this.#break(failure.reason);
  }

  #invalid(control: FlowControl, reason: string): void {
    this.#status = 0;
    this.#finish({ kind: "failed", failure: { code: "upstream_invalid", reason, unanswered: false } });
    control.abort(new Aborted(reason));
  }

  #break(reason: string): void {
    this.#finish({ kind: "broken", status: this.#status, reason });
    // Neither a last chunk nor an orderly end: the client must see that the answer is incomplete (RFC 9112 section 8).
    this.#outgoing.destroy();
  }

  #finish(end: ExchangeEnd): void {
    this.#ended = true;
    this.#options.deadlines.forget(this);
    this.#options.onEnd(end);
  }

  #awaitData(): void {
    this.#phaseEnd = this.#options.deadlines.after(this.#options.timeouts.idleMs);
  }

  #flushHead(): void {
    if (this.#sent || this.#ended || this.#outgoing.destroyed) return;
    this.#sent = true;
    this.#outgoing.flushHeaders();
  }
}
