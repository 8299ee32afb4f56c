// What the admin port asks of the running gateway.

import type { ReloadOutcome, ReloadState } from "../config/reloader.ts";
import type { Readiness } from "../core/health.ts";
import type { Result } from "../core/result.ts";
import type { AskedQuestion } from "../pipeline/asked.ts";
import type { Explanation } from "../pipeline/explanation.ts";
import type { AuditRecord } from "../telemetry/log.ts";
import type { MetricsSource } from "../telemetry/metrics.ts";

/** The state of one counter. */
export interface CounterState {
  /** Name of the limit. */
  readonly limit: string;
  /** Undefined for a limit that several routes share. */
  readonly route?: string | undefined;
  /** The counter's own key: holds a hash, never the identity. */
  readonly key: string;
  readonly algorithm: string;
  /** Units counted in the window that ends now. */
  readonly used: number;
  readonly remaining: number;
  readonly limitUnits: number;
  readonly windowSeconds: number;
  /** Whole seconds until the whole limit is free again. */
  readonly resetSeconds: number;
  /** Where the numbers are from: this process, the shared store, or a part of the limit leased from it. */
  readonly source: "memory" | "redis" | "lease";
}

/**
 * The counters of one identity: `KIND:VALUE` such as `user:alice`, `user:ISSUER|alice`, `key:ci-bot`, `ip:203.0.113.7`,
 * `org:acme`, `header:x-tenant=acme`, `claim:plan=pro` and `route:NAME`, or a counter's own key as `show` gave it.
 */
export interface CountersPort {
  /**
   * The counters that there are; undefined when `identity` is of no known form.
   * @throws GatewayFailure `dependency_unreachable` when the shared store can't answer
   */
  show(identity: string): Promise<readonly CounterState[] | undefined>;
  /** Empties them, and tells how many there were. Otherwise as `show`. */
  reset(identity: string): Promise<number | undefined>;
}

/** The file that the gateway runs by. */
export interface ReloadPort {
  state(): ReloadState;
  /** SHA-256 of the file as it is on disk now; undefined when it can't be read. */
  fileHash(): Promise<string | undefined>;
  /** Looks at the file. Never rejects. */
  now(): Promise<ReloadOutcome>;
}

/** Explains what would become of a request; a sentence when the question can't be put to this file. */
export type ExplainPort = (question: AskedQuestion) => Promise<Result<Explanation, string>>;

/** How the gateway stands, for `/status`. */
export interface StatusFacts {
  /** Wall-clock milliseconds. */
  readonly startedAtMs: number;
  readonly routes: number;
  /** Addresses of the traffic port. */
  readonly listening: readonly string[];
  readonly inFlight: number;
  readonly tunnels: number;
  readonly dependencies: {
    readonly issuers: readonly {
      readonly name: string;
      readonly state: string;
      readonly keysAgeSeconds: number | null;
    }[];
    /** Null when nothing is shared. */
    readonly redis: { readonly up: boolean } | null;
    readonly upstreams: readonly { readonly name: string; readonly origin: string }[];
  };
}

export interface AdminPorts {
  readonly readiness: () => Readiness;
  readonly status: () => StatusFacts;
  /** Undefined when the gateway was made without a file. */
  readonly reload: ReloadPort | undefined;
  readonly metrics: MetricsSource;
  readonly counters: CountersPort;
  readonly explain: ExplainPort;
  readonly audit: (act: AuditRecord) => void;
  /** The gateway itself failed. */
  readonly defect: (error: unknown) => void;
}
