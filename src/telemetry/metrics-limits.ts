// Metrics of the limits, of the store that they share, and of failed credentials.

import type { Family } from "./exposition.ts";
import type { MetricsSource } from "./metrics-source.ts";

type LimitSource = Pick<MetricsSource, "limits" | "degraded" | "counters" | "store" | "failedCredentials">;

/** The families of limits, their store, and failed credentials. */
export function limitFamilies(source: LimitSource): Family[] {
  return [
    {
      name: "gateway_ratelimit_decisions_total",
      help: "Decisions of each limit",
      type: "counter",
      samples: function* () {
        for (const stats of source.limits()) {
          const { route, limit, admitted, refused, unavailable, wouldRefuse, mode, observed } = stats;
          yield [{ route, limit, result: "admitted" }, admitted];
          yield [{ route, limit, result: "refused" }, refused];
          // A file may have thousands of limits, so what can't happen to one has no series.
          if (mode === "deny" || unavailable > 0)
            yield [{ route, limit, result: "unavailable" }, unavailable];
          if (observed === true || wouldRefuse > 0)
            yield [{ route, limit, result: "would_refuse" }, wouldRefuse];
        }
      },
    },
    {
      name: "gateway_ratelimit_degraded",
      help: "Whether a limit's onStoreFailure decides now",
      type: "gauge",
      samples: function* () {
        const degraded = source.degraded() ? 1 : 0;
        // A limit that several routes share has one series.
        const told = { local: new Set<string>(), deny: new Set<string>(), allow: new Set<string>() };
        for (const { limit, mode } of source.limits()) {
          if (told[mode].has(limit)) continue;
          told[mode].add(limit);
          yield [{ limit, mode }, degraded];
        }
      },
    },
    {
      name: "gateway_ratelimit_counters",
      help: "Counters in the memory of this process",
      type: "gauge",
      samples: () => [[{}, source.counters()]],
    },
    {
      name: "gateway_ratelimit_backend_up",
      help: "Whether the shared store of the limits answers",
      type: "gauge",
      samples: function* () {
        const store = source.store();
        if (store !== undefined) yield [{ store: store.name }, store.up ? 1 : 0];
      },
    },
    {
      name: "gateway_ratelimit_backend_errors_total",
      help: "Failures of the shared store of the limits",
      type: "counter",
      samples: function* () {
        const store = source.store();
        if (store === undefined) return;
        for (const [reason, count] of store.failures) yield [{ store: store.name, reason }, count];
      },
    },
    {
      name: "gateway_failed_credentials_total",
      help: "Requests refused for failed credentials",
      type: "counter",
      samples: function* () {
        for (const [result, count] of source.failedCredentials?.() ?? []) yield [{ result }, count];
      },
    },
  ];
}
