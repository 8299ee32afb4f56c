// What a row asks of a program under test, and what a program under test offers to the benchmark.

import type { Fixtures } from "./fixtures.ts";

/** How the load authenticates; `none` measures the plain proxy. */
export type Credential = "none" | "HS256" | "RS256" | "ES256" | "apiKey";

/** How instances that share counters agree. */
export type Sync = "exact" | "leased";

export type Algorithm = "slidingWindow" | "slidingLog" | "tokenBucket";

export interface Scenario {
  readonly credential: Credential;
  /** Requests a minute and subject. */
  readonly limit: number;
  readonly accessLog: boolean;
  /** Routes besides the one of the task, as `serviceRoute` names them. */
  readonly routes: number;
  /** API keys besides those of the callers. */
  readonly keys: number;
  /** Undefined: counters live in the program itself. */
  readonly redisUrl: string | undefined;
  readonly sync: Sync;
  readonly algorithm: Algorithm;
  /** Port of the upstream on 127.0.0.1. */
  readonly upstreamPort: number;
  readonly fixtures: Fixtures;
  /** For configuration and logs; empty at the start, removed after the run. */
  readonly directory: string;
  /** Extra arguments for Node.js, such as `--cpu-prof`; programs that aren't Node.js ignore them. */
  readonly nodeArgs: readonly string[];
}

/** Pattern of the additional route N, and a path that only it matches. */
export function serviceRoute(n: number): { readonly pattern: string; readonly path: string } {
  return { pattern: `/services/service-${n}/items/:id`, path: `/services/service-${n}/items/${n % 89}` };
}

export interface Running {
  readonly port: number;
  readonly pid: number;
  /** From the start of the process to the first answer, milliseconds. */
  readonly startMs: number;
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** Why it can't be measured here, or undefined when it can; may install what it needs. */
  missing(): Promise<string | undefined>;
  start(scenario: Scenario): Promise<Running>;
}
