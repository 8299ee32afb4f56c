// The log: JSON lines, one shape per `type`. The only file that knows pino. What may be logged is listed here, member by
// member; nothing takes a header, a body, a token or an error object.

import { type Logger, pino } from "pino";
import type { GatewayEvent } from "../core/events.ts";
import type { LineSink } from "./sink.ts";

/** One answered request. */
export interface AccessRecord {
  readonly requestId: string;
  readonly client: string;
  readonly method: string;
  readonly path: string;
  readonly route: string | undefined;
  readonly status: number;
  /** Refusal code, when the gateway answered itself. */
  readonly code: string | undefined;
  readonly grpcStatus: number | undefined;
  readonly durationMs: number;
  /** Bytes of the answer's body. */
  readonly bytes: number;
  readonly upstream: string | undefined;
  readonly subject: string | undefined;
  readonly authMethod: string | undefined;
  /** How the exchange ended when not by a complete answer: `client_aborted`, `upstream_truncated`. */
  readonly ended: string | undefined;
  /** Which of the configurations since the start was in force for it, from 1. */
  readonly generation: number;
}

/** One decision, with its reason. */
export interface DecisionRecord {
  readonly requestId: string;
  readonly client: string;
  readonly method: string;
  /** Host and port that the client addressed, lower case. */
  readonly host: string | undefined;
  readonly path: string;
  readonly decision: "forward" | "refuse" | "preflight";
  readonly route: string | undefined;
  readonly line: number | undefined;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  readonly authMethod: string | undefined;
  readonly keyId: string | undefined;
  readonly scopes: readonly string[] | undefined;
  readonly roles: readonly string[] | undefined;
  readonly tier: string | undefined;
  readonly org: string | undefined;
  /** The limit that refused. */
  readonly limit: string | undefined;
  /** The tightest limit that was looked at: `NAME UNITS/SECONDSs`. */
  readonly quota: string | undefined;
  /** Codes of the refusals that were only observed. */
  readonly observed?: readonly string[] | undefined;
  /** Limits that are only observed and had no room. */
  readonly wouldRefuse?: readonly string[] | undefined;
  /** Which of the configurations since the start decided, from 1. */
  readonly generation: number;
}

/** One act of an operator. */
export type AuditRecord =
  | { readonly event: "limits_reset"; readonly counters: number }
  | { readonly event: "reload"; readonly result: string }
  | {
      readonly event: "explained";
      readonly decision: string;
      readonly route: string | undefined;
      readonly code: string | undefined;
    };

/** What a file says about the log as a whole. */
export interface LogStyle {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Constant members of every line. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface LogOptions extends LogStyle {
  readonly sink: LineSink;
}

export class GatewayLog {
  #lines: Readonly<Record<LineType, Logger>>;
  readonly #sink: LineSink;

  constructor({ sink, ...style }: LogOptions) {
    this.#sink = sink;
    this.#lines = loggers(style, sink);
  }

  /** Writes in another style from now on. */
  restyle(style: LogStyle): void {
    this.#lines = loggers(style, this.#sink);
  }

  access(record: AccessRecord): void {
    this.#lines.access.info(record);
  }

  decision(record: DecisionRecord): void {
    this.#lines.decision.info(record);
  }

  /** One line about the gateway itself. `facts` are chosen by the caller and never hold request data. */
  system(
    level: "info" | "warn" | "error",
    event: string,
    facts: Readonly<Record<string, string | number | boolean>> = {},
  ): void {
    this.#lines.system[level]({ event, ...facts });
  }

  /** What an operator did; always written. Never holds an identity. */
  audit({ event, ...facts }: AuditRecord): void {
    this.#lines.audit.info({ event, ...facts });
  }

  /** A defect of the gateway itself: the kind and place of the error, never its message, which may hold request data. */
  defect(error: unknown, facts: Readonly<Record<string, string>> = {}): void {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    this.system("error", "defect", {
      ...facts,
      error: error instanceof Error ? error.name : typeof error,
      place: /\n\s+at ([^\n]+)/.exec(stack)?.[1] ?? "unknown",
    });
  }

  /** An operational event as a line. */
  event(event: GatewayEvent): void {
    const { kind, ...facts } = event;
    if (SECURITY.has(kind)) {
      this.#lines.security.warn({ event: kind, ...facts });
      return;
    }
    this.system(GOOD_NEWS.has(kind) ? "info" : "warn", kind, facts);
  }

  get dropped(): number {
    return this.#sink.dropped;
  }

  drain(withinMs: number): Promise<void> {
    return this.#sink.drain(withinMs);
  }
}

type LineType = "access" | "decision" | "audit" | "system" | "security";

function loggers({ level, fields }: LogStyle, sink: LineSink): Readonly<Record<LineType, Logger>> {
  const root = pino(
    {
      base: { ...fields },
      level,
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  return {
    // Access, decision and audit lines follow their own switches or none, whatever the level of the rest.
    access: root.child({ type: "access" }, { level: "info" }),
    decision: root.child({ type: "decision" }, { level: "info" }),
    audit: root.child({ type: "audit" }, { level: "info" }),
    system: root.child({ type: "system" }),
    // Nor is an attack less worth knowing where the gateway's own affairs are not.
    security: root.child({ type: "security" }, { level: "info" }),
  };
}

/** Events that are about those who call, not about the gateway. */
const SECURITY: ReadonlySet<GatewayEvent["kind"]> = new Set(["credential_failures"]);
const GOOD_NEWS: ReadonlySet<GatewayEvent["kind"]> = new Set([
  "keys_refreshed",
  "store_recovered",
  "config_applied",
]);

let lastMs = 0;
let lastText = "";

/** Time member of a line (RFC 3339, UTC); formatted once per millisecond. */
function isoTime(): string {
  const now = Date.now();
  if (now !== lastMs) {
    lastMs = now;
    lastText = `,"time":"${new Date(now).toISOString()}"`;
  }
  return lastText;
}

const LONGEST_LOGGED_PATH = 512;
const SECRET_LOOKING = /gwk_[A-Za-z0-9_]+|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.?[A-Za-z0-9_-]*/g;

/** A path fit for the log: without query, cut at 512 characters, and without what looks like a credential. */
export function loggedPath(target: string): string {
  const end = target.search(/[?#]/);
  let path = end === -1 ? target : target.slice(0, end);
  if (path.length > LONGEST_LOGGED_PATH) path = `${path.slice(0, LONGEST_LOGGED_PATH)}…`;
  return path.includes("gwk_") || path.includes("eyJ") ? path.replace(SECRET_LOOKING, "[redacted]") : path;
}
