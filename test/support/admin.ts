// A gateway as the admin port sees one, for tests that need no limiter.

import type { AdminAppOptions } from "../../src/admin/app.ts";
import type { CounterState } from "../../src/admin/ports.ts";
import type { RoutePolicy } from "../../src/config/gateway-config.ts";
import { err } from "../../src/core/result.ts";
import type { AuditRecord } from "../../src/telemetry/log.ts";
import type { LimitStats, StoreStats } from "../../src/telemetry/metrics.ts";
import { TrafficStats } from "../../src/telemetry/traffic.ts";
import { load } from "./config.ts";

/** One counter; `key` is made of the limit. */
export function counterState(over: Partial<CounterState> = {}): CounterState {
  return {
    limit: "GET /a",
    route: "GET /a",
    key: "gw:GET /a:60000:user:AAAAAAAAAAAAAAAAAAAAAA",
    algorithm: "slidingWindow",
    used: 3,
    remaining: 7,
    limitUnits: 10,
    windowSeconds: 60,
    resetSeconds: 42,
    source: "redis",
    ...over,
  };
}

/** What a test may change, and what it may look at. */
export class FakeGateway {
  ready = true;
  notes: string[] = [];
  degraded = false;
  store: StoreStats | undefined = { name: "redis", up: true, failures: new Map() };
  stats: LimitStats[] = [];
  /** Counters by identity. */
  readonly counters = new Map<string, CounterState[]>();
  /** What the limiter throws when it is asked. */
  failure: Error | undefined;
  readonly asked: string[] = [];
  readonly audits: AuditRecord[] = [];
  readonly defects: unknown[] = [];

  /** Identities are well-formed when they have a colon. */
  #find(identity: string): CounterState[] | undefined {
    this.asked.push(identity);
    if (this.failure !== undefined) throw this.failure;
    return identity.includes(":") ? (this.counters.get(identity) ?? []) : undefined;
  }

  options(
    routes: readonly RoutePolicy[] = [],
    over: Partial<Pick<AdminAppOptions, "token">> = {},
  ): AdminAppOptions {
    return {
      token: undefined,
      file: { routes, keyLimits: new Map() },
      readiness: () => ({ ready: this.ready, notes: this.notes }),
      status: () => ({
        startedAtMs: 0,
        routes: routes.length,
        listening: ["127.0.0.1:8080"],
        inFlight: 0,
        tunnels: 0,
        dependencies: { issuers: [], redis: null, upstreams: [] },
      }),
      reload: undefined,
      metrics: {
        traffic: new TrafficStats(),
        open: () => ({ requests: 0, connections: 0, tunnels: 0 }),
        ready: () => this.ready,
        logLinesDropped: () => 0,
        issuers: () => [],
        limits: () => this.stats,
        degraded: () => this.degraded,
        counters: () => 5,
        store: () => this.store,
      },
      counters: {
        show: async (identity) => this.#find(identity),
        reset: async (identity) => {
          const found = this.#find(identity);
          this.counters.delete(identity);
          return found?.length;
        },
      },
      explain: async () => err("nothing is explained here"),
      audit: (act) => void this.audits.push(act),
      defect: (error) => void this.defects.push(error),
      ...over,
    };
  }
}

/** The routes of a file with these entries. */
export async function routesOf(entries: string): Promise<readonly RoutePolicy[]> {
  return (await load(`upstreams: { app: http://127.0.0.1:9 }\nroutes:\n${entries}`)).routes;
}
