// Where the numbers of the metrics come from: whoever counts does so in plain numbers, which are read at each scrape.

import type { TrafficStats } from "./traffic.ts";

/** The decisions of one limit of one route since the start. */
export interface LimitStats {
  readonly route: string;
  /** Name of the limit. */
  readonly limit: string;
  readonly admitted: number;
  readonly refused: number;
  /** The store could not answer and the limit says `deny`. */
  readonly unavailable: number;
  /** Refused by a limit that only observes. */
  readonly wouldRefuse: number;
  /** Its `onStoreFailure`. */
  readonly mode: "local" | "deny" | "allow";
  readonly observed?: boolean;
}

/** The shared store of the limits. */
export interface StoreStats {
  readonly name: string;
  readonly up: boolean;
  /** How often it failed since the start, by reason. */
  readonly failures: ReadonlyMap<string, number>;
}

/** How an issuer's keys stand. */
export interface IssuerKeys {
  readonly issuer: string;
  /** `stale`: the last refresh failed and older ones are in use; `waiting`: there is none. */
  readonly state: "ready" | "stale" | "waiting";
  readonly keys: number;
  /** Since their source last confirmed them; undefined when there is none. */
  readonly keysAgeMs: number | undefined;
}

/** What there is at this moment. */
export interface OpenNow {
  /** Requests that are not answered to the last byte. */
  readonly requests: number;
  /** Connections of clients. */
  readonly connections: number;
  /** WebSockets. */
  readonly tunnels: number;
}

/** The configuration in force and the looks at its file since the start. */
export interface ReloadFigures {
  readonly applied: number;
  readonly rejected: number;
  readonly unchanged: number;
  /** False when the last look found a file that was not taken. */
  readonly lastOk: boolean;
  /** Wall-clock milliseconds. */
  readonly loadedAtMs: number;
  /** SHA-256 of the text that is in force. */
  readonly hash: string;
}

/** Where the numbers come from; asked at each scrape. */
export interface MetricsSource {
  readonly traffic: TrafficStats;
  open(): OpenNow;
  ready(): boolean;
  /** Lines of the log that nobody took. */
  logLinesDropped(): number;
  issuers(): Iterable<IssuerKeys>;
  limits(): Iterable<LimitStats>;
  /** Whether each limit's `onStoreFailure` decides now. */
  degraded(): boolean;
  /** Counters in the memory of this process. */
  counters(): number;
  /** Undefined when nothing is shared. */
  store(): StoreStats | undefined;
  /** Requests refused for the sake of failed credentials, by what was blocked; absent when nobody counts them. */
  failedCredentials?(): ReadonlyMap<string, number>;
  /** Absent when the gateway was made without a file. */
  reload?(): ReloadFigures;
}
