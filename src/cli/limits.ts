// `gatewarden limits show` and `gatewarden limits reset`: what a running gateway's limits count, and starting anew.

import type { LimitEntry, RateEntry } from "../admin/limits.ts";
import type { CounterState } from "../admin/ports.ts";
import { rateText } from "../rate-limit/rate-text.ts";
import { adminOf, askAdmin } from "./admin-client.ts";
import { clean } from "./load-file.ts";
import { alignedTable } from "./table.ts";

export interface LimitsOptions {
  /** Path of the file. */
  readonly config: string;
  /** An identity (`user:alice`), or the key of a counter. */
  readonly key?: string;
  readonly format: "text" | "json";
}

/**
 * Prints the limits, or the counters of one identity, and resolves with the exit code: 0 done, 1 no such counter,
 * 2 wrong usage or no admin port in the file, 3 no answer.
 */
export async function limitsShow(options: LimitsOptions): Promise<number> {
  if (options.key === undefined) {
    return await ask(options, "GET", "/api/v1/limits", (body) => {
      // The gateway's own answer; a program of another version may leave members out, which then show as empty.
      const { limits = [], store, degraded } = body as Partial<LimitsBody>;
      return { text: limitsText(limits, store ?? undefined, degraded === true), exitCode: 0 };
    });
  }
  return await ask(options, "GET", countersPath(options.key), (body) => {
    const { counters = [] } = body as { readonly counters?: readonly CounterState[] };
    if (counters.length === 0) return { text: "", exitCode: 1 };
    return { text: countersText(counters), exitCode: 0 };
  });
}

/** Empties the counters of one identity. Exit codes as above. */
export async function limitsReset(options: LimitsOptions & { readonly key: string }): Promise<number> {
  return await ask(options, "DELETE", countersPath(options.key), (body) => {
    const count = Number((body as { readonly counters?: number }).counters ?? 0);
    return { text: `${count} counter${count === 1 ? "" : "s"} reset\n`, exitCode: count > 0 ? 0 : 1 };
  });
}

interface LimitsBody {
  readonly store: { readonly name: string; readonly up: boolean } | null;
  readonly degraded: boolean;
  readonly limits: readonly LimitEntry[];
}

interface Shown {
  readonly text: string;
  readonly exitCode: 0 | 1;
}

async function ask(
  { config, key, format }: LimitsOptions,
  method: "GET" | "DELETE",
  path: string,
  show: (body: unknown) => Shown,
): Promise<number> {
  const admin = await adminOf(config);
  const answer = admin.ok ? await askAdmin(admin.value, method, path) : admin;
  if (!answer.ok) {
    process.stderr.write(`gatewarden: ${clean(answer.error.message)}\n`);
    return answer.error.exitCode;
  }
  const { text, exitCode } = show(answer.value);
  if (format === "json") process.stdout.write(`${JSON.stringify(answer.value, null, 2)}\n`);
  else if (exitCode === 0) process.stdout.write(clean(text));
  else process.stderr.write(`gatewarden: there is no counter of ${clean(key ?? "")}\n`);
  return exitCode;
}

function countersPath(key: string): string {
  return `/api/v1/limits/counters?key=${encodeURIComponent(key)}`;
}

function limitsText(
  limits: readonly LimitEntry[],
  store: LimitsBody["store"] | undefined,
  degraded: boolean,
): string {
  const head = [
    "ROUTE",
    "LIMIT",
    "RATE",
    "PER",
    "ALGORITHM",
    "SYNC",
    "STORE AWAY",
    "ADMITTED",
    "REFUSED",
    "UNAVAILABLE",
    "WOULD REFUSE",
  ];
  const rows = limits.map((one) => [
    one.route,
    `${one.limit}${one.observe ? " (observed)" : ""}`,
    one.rates.map(entryText).join(", "),
    one.per,
    one.algorithm,
    one.sync,
    one.onStoreFailure,
    String(one.decisions.admitted),
    String(one.decisions.refused),
    String(one.decisions.unavailable),
    String(one.decisions.wouldRefuse),
  ]);
  const where =
    store === undefined || store === null
      ? "counted in this process"
      : `counted in ${store.name}${degraded ? ", which can't be used now: STORE AWAY decides" : ""}`;
  return `${alignedTable(head, rows)}\n${limits.length} limit${limits.length === 1 ? "" : "s"}, ${where}\n`;
}

function entryText({ tier, units, windowSeconds = 0 }: RateEntry): string {
  const rate = units === undefined ? "unlimited" : rateText(units, Math.round(windowSeconds * 1_000));
  return tier === undefined ? rate : `${tier} ${rate}`;
}

function countersText(counters: readonly CounterState[]): string {
  const head = ["LIMIT", "ROUTE", "USED", "LEFT", "OF", "WINDOW", "RESET", "ALGORITHM", "SOURCE", "KEY"];
  const rows = counters.map((one) => [
    one.limit,
    one.route ?? "",
    String(one.used),
    String(one.remaining),
    String(one.limitUnits),
    `${one.windowSeconds}s`,
    `${one.resetSeconds}s`,
    one.algorithm,
    one.source,
    one.key,
  ]);
  return alignedTable(head, rows);
}
