// The limits of the file as the admin API tells them, with what they decided so far.

import type { GatewayConfig } from "../config/gateway-config.ts";
import { type FileLimit, isTiered, subjectText } from "../rate-limit/policy.ts";
import type { LimitStats } from "../telemetry/metrics.ts";

/** One rate of a limit; a limit by tiers has several. */
export interface RateEntry {
  readonly tier?: string;
  /** Undefined for a tier without a limit. */
  readonly units?: number;
  readonly windowSeconds?: number;
}

/** One limit of one route, or of an API key. */
export interface LimitEntry {
  /** Empty for the limits of keys, which hold on every route. */
  readonly route: string;
  readonly limit: string;
  readonly rates: readonly RateEntry[];
  readonly per: string;
  readonly cost: number;
  readonly algorithm: string;
  readonly sync: string;
  readonly onStoreFailure: string;
  readonly observe: boolean;
  readonly decisions: {
    readonly admitted: number;
    readonly refused: number;
    readonly unavailable: number;
    readonly wouldRefuse: number;
  };
}

/** Where the limits of a file are. */
export type LimitsOfFile = Pick<GatewayConfig, "routes" | "keyLimits">;

/** Every limit of the file: those of routes in its order, then those of keys. */
export function limitEntries(
  { routes, keyLimits }: LimitsOfFile,
  stats: Iterable<LimitStats>,
): readonly LimitEntry[] {
  const byLimit = new Map([...stats].map((one) => [keyOf(one.route, one.limit), one]));
  const entriesOf = (route: string, limits: readonly FileLimit[]): LimitEntry[] =>
    limits.map((limit) => entry(route, limit, byLimit.get(keyOf(route, limit.name))));
  return [
    ...routes.flatMap(({ name, limits }) => entriesOf(name, limits)),
    ...[...keyLimits.values()].flatMap((limits) => entriesOf("", limits)),
  ];
}

function keyOf(route: string, limit: string): string {
  return JSON.stringify([route, limit]);
}

function entry(route: string, limit: FileLimit, stats: LimitStats | undefined): LimitEntry {
  return {
    route,
    limit: limit.name,
    rates: ratesOf(limit),
    per: subjectText(limit.subject),
    cost: limit.cost,
    algorithm: limit.algorithm ?? "slidingWindow",
    sync: limit.sync ?? "exact",
    onStoreFailure: limit.onStoreFailure,
    observe: limit.observe ?? false,
    decisions: {
      admitted: stats?.admitted ?? 0,
      refused: stats?.refused ?? 0,
      unavailable: stats?.unavailable ?? 0,
      wouldRefuse: stats?.wouldRefuse ?? 0,
    },
  };
}

function ratesOf(limit: FileLimit): readonly RateEntry[] {
  if (!isTiered(limit)) return [{ units: limit.limit, windowSeconds: limit.windowMs / 1_000 }];
  return [...limit.tiers].map(([tier, rate]) =>
    rate === undefined ? { tier } : { tier, units: rate.limit, windowSeconds: rate.windowMs / 1_000 },
  );
}
