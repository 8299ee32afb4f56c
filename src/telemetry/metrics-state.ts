// Metrics of how the gateway stands: readiness, issuers' keys, the configuration in force, its log.

import type { Family, Sample } from "./exposition.ts";
import type { IssuerKeys, MetricsSource, ReloadFigures } from "./metrics-source.ts";
import { VERSION } from "./version.ts";

type StateSource = Pick<MetricsSource, "ready" | "logLinesDropped" | "issuers" | "reload">;

const KEY_STATES: readonly IssuerKeys["state"][] = ["ready", "stale", "waiting"];
const MS_PER_SECOND = 1_000;

/** The families of readiness, keys, configuration and log. */
export function stateFamilies(source: StateSource): Family[] {
  const reload = (read: (figures: ReloadFigures) => Iterable<Sample>) => (): Iterable<Sample> => {
    const figures = source.reload?.();
    return figures === undefined ? [] : read(figures);
  };
  return [
    {
      name: "gateway_build_info",
      help: "The program, as labels; always 1",
      type: "gauge",
      samples: () => [[{ version: VERSION, node: process.version }, 1]],
    },
    {
      name: "gateway_ready",
      help: "Whether requests can be decided",
      type: "gauge",
      samples: () => [[{}, source.ready() ? 1 : 0]],
    },
    {
      name: "gateway_issuer_keys",
      help: "Usable keys of an issuer",
      type: "gauge",
      samples: function* () {
        for (const { issuer, keys } of source.issuers()) yield [{ issuer }, keys];
      },
    },
    {
      name: "gateway_issuer_keys_age_seconds",
      help: "Time since an issuer last confirmed its keys",
      type: "gauge",
      samples: function* () {
        for (const { issuer, keysAgeMs } of source.issuers())
          if (keysAgeMs !== undefined) yield [{ issuer }, keysAgeMs / MS_PER_SECOND];
      },
    },
    {
      name: "gateway_issuer_keys_state",
      help: "How an issuer's keys stand; 1 for the state that holds",
      type: "gauge",
      samples: function* () {
        for (const { issuer, state: now } of source.issuers())
          for (const state of KEY_STATES) yield [{ issuer, state }, state === now ? 1 : 0];
      },
    },
    {
      name: "gateway_config_info",
      help: "The configuration in force, as labels; always 1",
      type: "gauge",
      samples: reload(({ hash }) => [[{ hash }, 1]]),
    },
    {
      name: "gateway_config_loaded_timestamp_seconds",
      help: "When the configuration was put in force",
      type: "gauge",
      samples: reload(({ loadedAtMs }) => [[{}, loadedAtMs / MS_PER_SECOND]]),
    },
    {
      name: "gateway_config_reloads_total",
      help: "Looks at the file, by what came of them",
      type: "counter",
      samples: reload(({ applied, rejected, unchanged }) => [
        [{ result: "applied" }, applied],
        [{ result: "rejected" }, rejected],
        [{ result: "unchanged" }, unchanged],
      ]),
    },
    {
      name: "gateway_config_last_reload_successful",
      help: "Whether the file was good when it was last looked at",
      type: "gauge",
      samples: reload(({ lastOk }) => [[{}, lastOk ? 1 : 0]]),
    },
    {
      name: "gateway_log_lines_dropped_total",
      help: "Lines of the log that were not written",
      type: "counter",
      samples: () => [[{}, source.logLinesDropped()]],
    },
  ];
}
