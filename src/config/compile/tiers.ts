// Compiles tables of tiers, the one of `tiers` and those of single limits, and judges whether a table has numbers for
// everybody who may call.

import { parseRate, type Rate } from "../../core/units.ts";
import { NAME, NAME_HINT } from "../../core/wording.ts";
import { MOST_UNITS, MOST_WINDOW_MS, tierRate } from "../../rate-limit/options.ts";
import { GUEST_TIER, type LimitSubject, type TierRate, USER_TIER } from "../../rate-limit/policy.ts";
import type { RoutePolicy } from "../gateway-config.ts";
import { readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { namedEntries } from "./entries.ts";

export interface TierTable {
  /** Every tier of the table, also those whose numbers are wrong. */
  readonly names: ReadonlySet<string>;
  readonly rates: ReadonlyMap<string, TierRate | undefined>;
}

// Tiers of callers whose credential names none, declared or not.
const GIVEN_TIERS: ReadonlySet<string> = new Set([GUEST_TIER, USER_TIER]);

/** `tiers`; undefined when the file has none. */
export function compileTiers(report: Report, place: Place | undefined): TierTable | undefined {
  if (place === undefined) return undefined;
  const names = new Set<string>();
  const rates = new Map<string, TierRate | undefined>();
  for (const entry of namedEntries(report, place)) {
    names.add(entry.name);
    const value = readValue(report, entry, tierRate, entry.keyAt);
    if (value !== undefined) addRate(report, entry, rates, entry.name, value);
  }
  return { names, rates };
}

/** The table of a single limit, `tier: {guest: 0/day, …}`. @param declared those of `tiers` */
export function compileOwnTable(
  report: Report,
  place: Place,
  value: Readonly<Record<string, string | false>>,
  declared: TierTable | undefined,
): TierTable {
  const { node } = place;
  const entries = node.kind === "map" ? node.entries : [];
  const rates = new Map<string, TierRate | undefined>();
  for (const { key, keyAt, value: at } of entries) {
    const path = [...place.path, key];
    if (!NAME.test(key)) report.add(keyAt, path, "key_invalid", NAME_HINT);
    else if (declared !== undefined && !declared.names.has(key) && !GIVEN_TIERS.has(key)) {
      report.add(keyAt, path, "unknown_reference", "no tier of this name is declared in `tiers`", {
        severity: "warning",
        suggestion: report.nearest(key, declared.names),
      });
    }
    const rate = Object.hasOwn(value, key) ? value[key] : undefined;
    if (rate !== undefined) addRate(report, { node: at, path }, rates, key, rate);
  }
  return { names: new Set(entries.map(({ key }) => key)), rates };
}

function addRate(
  report: Report,
  place: Place,
  rates: Map<string, TierRate | undefined>,
  name: string,
  value: string | false,
): void {
  const rate = value === false ? undefined : parseRate(value);
  if (value === false) rates.set(name, undefined);
  else if (rate !== undefined && checkRate(report, place, rate, 0)) rates.set(name, numbersOf(rate));
}

export function numbersOf({ count, windowMs }: Rate): TierRate {
  return { limit: count, windowMs };
}

/** Whether a rate keeps the bounds of all limits; reported when not. */
export function checkRate(report: Report, place: Place, { count, windowMs }: Rate, least: 0 | 1): boolean {
  const wrong = (message: string, hint?: string): false => {
    const extra = hint === undefined ? {} : { hint };
    report.add(place.node.at, place.path, "value_out_of_range", message, extra);
    return false;
  };
  if (count < least) {
    return wrong(
      "a limit admits at least 1 request; to close a route, remove it",
      "only a tier may have none: `tier: {guest: 0/day, user: 5/day}`",
    );
  }
  if (count > MOST_UNITS) return wrong(`expected at most ${MOST_UNITS} requests`);
  if (windowMs > MOST_WINDOW_MS) return wrong("expected a window of at most 366d");
  return true;
}

/** Reports a `tier` that a role or a key names and `tiers` doesn't hold. Without `tiers` names are free. */
export function checkTierName(
  report: Report,
  { node, path }: Place,
  name: string | undefined,
  declared: TierTable | undefined,
): void {
  if (name === undefined || declared === undefined || declared.names.has(name)) return;
  const message = "no tier of this name is declared in `tiers`";
  report.addUnknown(node.at, path, "unknown_reference", message, name, declared.names);
}

/** Reports a table that has no numbers for somebody who may call: what it doesn't say would be guessed. */
export function checkCallers(
  report: Report,
  { node, path }: Place,
  table: TierTable,
  subject: LimitSubject,
  access: RoutePolicy["access"],
): void {
  if (table.names.has(GUEST_TIER)) return;
  const why =
    access !== "guarded"
      ? "callers without a credential are `guest`"
      : subject.by === "ip" || subject.by === "route"
        ? "refused callers count as `guest` on limits per ip and per route"
        : table.names.has(USER_TIER)
          ? undefined
          : "callers whose credential names no tier are `user`, or else `guest`";
  if (why === undefined) return;
  report.add(node.at, path, "required_key", `${why}, and the table has no numbers for them`, {
    hint: "a rate such as `10/h`, `0/day` to admit none of them, or false for no limit",
  });
}
