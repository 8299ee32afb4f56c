// One forwarded request and its answer, streamed between the two sockets with back-pressure. The answer's head and a
// short body leave in one write; a failure after the head breaks the client's connection, so a cut answer never looks whole.

import type { ServerResponse } from "node:http";
import type { Deadlines, Watched } from "./deadlines.ts";
import { failureOf, type UpstreamFailure } from "./failure-map.ts";
import type { AnswerSink, FlowControl } from "./http1/connection.ts";
import type { ResponseHead } from "./http1/response-head.ts";
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

export interface ExchangeOptions {
  readonly outgoing: ServerResponse;
  readonly response: ResponseFieldsPolicy;
  readonly timeouts: UpstreamTimeouts;
  readonly deadlines: Deadlines;
  /** Sees the head of the final answer before anything of it is sent. */
  readonly onHead?: ((head: ResponseHead) => void) | undefined;
  readonly onEnd: (end: ExchangeEnd) => void;
}

// Bodies up to this size are copied into one write together with the head; beyond it the copy costs more than it saves.
const JOINED_BODY_BYTES = 16 * 1024;
// An upstream may announce early hints, but not without end.
const MOST_INTERIM_ANSWERS = 16;

export class Exchange implements AnswerSink, Watched {
  slot = -1;
  readonly #outgoing: ServerResponse;
  readonly #options: ExchangeOptions;
  #control: FlowControl | undefined;
  #interim = 0;
  #status = 0;
  #head: ResponseHead | undefined;
  #bytes = 0;
  #sent = false;
  #paused = false;
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
    if (this.#status === 0) {
      const phase = this.#control === undefined ? "connect_timeout" : "headers_timeout";
      const reason = total ? "total_timeout" : phase;
      this.#finish({ kind: "failed", failure: { code: "upstream_timeout", reason, unanswered: false } });
    } else this.#break(total ? "total_timeout" : "body_timeout");
    this.#control?.abort();
  }

  /** Bytes of the answer's body that came from the upstream. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Content-Type of the answer, empty until its head is there. */
  get mediaType(): string {
    const fields = this.#head?.fields ?? [];
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] === "content-type") return fields[index + 1] as string;
    }
    return "";
  }

  /** Ends a stream orderly before its upstream does; for event streams, whose end is never mistaken for completeness. */
  endEarly(): void {
    if (this.#ended) return;
    this.#outgoing.end();
    this.#finish({ kind: "answered", status: this.#status });
    this.#control?.abort();
  }

  /** The client went away: the upstream's work is cancelled. */
  abort(): void {
    if (this.#ended) return;
    this.#finish({ kind: "aborted" });
    this.#control?.abort();
  }

  /** Nobody waits for the answer any more. */
  get over(): boolean {
    return this.#ended;
  }

  onStart(control: FlowControl): void {
    this.#control = control;
    this.touch();
  }

  onHead(head: ResponseHead): void {
    const { status } = head;
    if (this.#ended) return;
    if (status < 200) {
      this.#interim += 1;
      if (status < 100 || this.#interim > MOST_INTERIM_ANSWERS) this.#invalid("interim_answers");
      return;
    }
    if (status > 599) {
      this.#invalid("status_invalid");
      return;
    }
    this.#status = status;
    this.#head = head;
    this.#awaitData();
    this.#options.onHead?.(head);
    try {
      this.#outgoing.writeHead(status, responseFields(head, this.#options.response));
    } catch {
      this.#invalid("header_invalid");
      return;
    }
    // Data that came with the head is handed over before microtasks run; only a head that stands alone is sent alone.
    queueMicrotask(() => this.#flushHead());
  }

  onData(piece: Buffer): boolean {
    if (this.#ended) return false;
    this.#bytes += piece.length;
    if (!this.#paused) this.#awaitData();
    const outgoing = this.#outgoing;
    if (!this.#sent) {
      this.#sent = true;
      if (piece.length === this.#head?.bodyLength && piece.length <= JOINED_BODY_BYTES) {
        outgoing.end(piece.toString("latin1"), "latin1");
        return false;
      }
    }
    if (!outgoing.write(piece) && !this.#paused) this.#pause();
    return true;
  }

  onEnd(): void {
    if (this.#ended) return;
    this.#sent = true;
    if (!this.#outgoing.writableEnded) this.#outgoing.end();
    this.#finish({ kind: "answered", status: this.#status });
  }

  onError(error: unknown, unanswered: boolean): void {
    if (this.#ended) return;
    const failure = failureOf(error, unanswered);
    if (this.#status === 0) this.#finish({ kind: "failed", failure });
    else this.#break(failure.reason);
  }

  /** Lets the upstream wait until the client has read on. */
  #pause(): void {
    this.#paused = true;
    this.#control?.pause();
    // A slow client is no fault of the upstream.
    this.#phaseEnd = Number.POSITIVE_INFINITY;
    this.#outgoing.once("drain", () => {
      if (this.#ended) return;
      this.#paused = false;
      this.#awaitData();
      this.#control?.resume();
    });
  }

  #invalid(reason: string): void {
    this.#status = 0;
    this.#finish({ kind: "failed", failure: { code: "upstream_invalid", reason, unanswered: false } });
    this.#control?.abort();
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
