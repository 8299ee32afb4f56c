// Warns of limits that can never be reached, because another one of the same route and subject is always tighter.

import { type FileLimit, isTiered, type LimitPolicy } from "../../rate-limit/policy.ts";
import type { Report } from "../report.ts";
import type { NamedLimit } from "./limit-names.ts";

/** Warnings only. @param own limits of one route @param shared limits of all routes */
export function checkReachable(
  report: Report,
  own: readonly NamedLimit[],
  shared: readonly NamedLimit[],
): void {
  // Counters that other routes fill as well can be reached, whatever this route does.
  judge(
    report,
    own.filter(({ name }) => name === undefined),
    [...shared, ...own],
  );
  judge(
    report,
    shared.filter(({ name }) => name === undefined),
    shared,
  );
}

function judge(report: Report, suspects: readonly NamedLimit[], all: readonly NamedLimit[]): void {
  for (const suspect of suspects) {
    const at = all.indexOf(suspect);
    const tighter = all.find(
      (one, index) =>
        // Of two that hide each other the first one stays.
        one !== suspect &&
        hides(one.limit, suspect.limit) &&
        (index < at || !hides(suspect.limit, one.limit)),
    );
    if (tighter === undefined) continue;
    const { place } = suspect;
    report.add(
      place.node.at,
      place.path,
      "unused",
      "this limit can never be reached: another one is always tighter",
      {
        severity: "warning",
        relatedAt: tighter.place.node.at,
      },
    );
  }
}

/** Whether what `tight` admits can never use `loose` up. */
function hides(tight: FileLimit, loose: FileLimit): boolean {
  const [tights, looses] = [numbersOf(tight), numbersOf(loose)];
  // Where a tier has no limit, nothing is tighter.
  if (tights === undefined || looses === undefined) return false;
  return tights.every((one) => looses.every((other) => hidesOne(one, other)));
}

/** The limit with each of its numbers; undefined when there are callers whom it doesn't count. */
function numbersOf(limit: FileLimit): readonly LimitPolicy[] | undefined {
  if (!isTiered(limit)) return [limit];
  const { tiers, ...traits } = limit;
  const rates = [...tiers.values()];
  // A tier that admits nothing is there to close the route.
  if (rates.some((rate) => rate === undefined || rate.limit === 0)) return undefined;
  return rates.flatMap((rate) => (rate === undefined ? [] : [{ ...traits, ...rate }]));
}

function hidesOne(tight: LimitPolicy, loose: LimitPolicy): boolean {
  if (JSON.stringify(tight.subject) !== JSON.stringify(loose.subject)) return false;
  // What is only observed holds nobody back, and is there to be looked at. Costs told afterwards may differ.
  if (tight.observe === true || loose.observe === true) return false;
  if (tight.costFrom !== undefined || loose.costFrom !== undefined) return false;
  if (tight.onStoreFailure === "allow" && loose.onStoreFailure !== "allow") return false;
  if (loose.algorithm === "tokenBucket") return false;
  return mostIn(loose.windowMs, tight) * loose.cost <= loose.limit;
}

/** Most requests that a limit admits within any `windowMs` milliseconds. */
function mostIn(windowMs: number, limit: LimitPolicy): number {
  if (limit.algorithm === "tokenBucket") {
    const refilled = Math.floor((windowMs * limit.limit) / limit.windowMs);
    return Math.floor(((limit.burst ?? limit.limit) + refilled) / limit.cost);
  }
  return Math.ceil(windowMs / limit.windowMs) * Math.floor(limit.limit / limit.cost);
}
