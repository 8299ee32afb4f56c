// Compiles `limit` of routes and defaults: rates, subjects, names, and the agreement of limits that share counters.

import type * as z from "zod";
import { parseRate } from "../../core/units.ts";
import { NOT_YET } from "../../core/wording.ts";
import {
  type limitObject,
  type limitOption,
  type ParsedLimit,
  parseLimitText,
  parseSubject,
} from "../../rate-limit/options.ts";
import type { LimitPolicy } from "../../rate-limit/policy.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { CLAIM_HINT, parseClaimPath } from "./claim-path.ts";
import { partOf } from "./entries.ts";

const MOST_WINDOW_MS = 366 * 86_400_000;
const MOST_UNITS = 1_000_000_000;

type LimitValue = z.output<typeof limitOption>;

/** A limit whose name is still to come from its route. */
export interface UnnamedLimit extends Omit<LimitPolicy, "name"> {
  readonly name: string | undefined;
  readonly place: Place;
}

/** The limits of a `limit` field; empty when it says false, nothing, or something wrong. */
export function compileLimits(report: Report, field: Field<LimitValue>): readonly UnnamedLimit[] {
  const { value } = field;
  if (value === undefined || value === false) return [];
  const list = Array.isArray(value) ? value : [value];
  return list.flatMap((one, index) => {
    const place = Array.isArray(value) ? partOf(field, index) : field;
    const limit = typeof one === "string" ? fromText(report, place, one) : fromObject(report, place, one);
    return limit === undefined ? [] : [limit];
  });
}

function fromText(report: Report, place: Place, text: string): UnnamedLimit | undefined {
  const parsed = parseLimitText(text);
  if (parsed.ok) return finish(report, place, parsed.value, { name: undefined, onStoreFailure: "local" });
  const code = parsed.error.endsWith(NOT_YET) ? "not_supported_yet" : "value_invalid";
  report.add(place.node.at, place.path, code, parsed.error);
  return undefined;
}

function fromObject(
  report: Report,
  place: Place,
  value: z.output<typeof limitObject>,
): UnnamedLimit | undefined {
  const rate = parseRate(value.rate);
  if (rate === undefined) return undefined;
  const parsed = { rate, per: value.per ?? "user", cost: value.cost ?? 1 };
  return finish(report, place, parsed, { name: value.name, onStoreFailure: value.onStoreFailure ?? "local" });
}

function finish(
  report: Report,
  place: Place,
  { rate, per, cost }: ParsedLimit,
  rest: Pick<UnnamedLimit, "name" | "onStoreFailure">,
): UnnamedLimit | undefined {
  const wrong = (code: "value_invalid" | "value_out_of_range", message: string): undefined => {
    report.add(place.node.at, place.path, code, message);
  };
  if (rate.count < 1)
    return wrong("value_out_of_range", "a limit admits at least 1 request; to close a route, remove it");
  if (rate.count > MOST_UNITS) return wrong("value_out_of_range", `expected at most ${MOST_UNITS} requests`);
  if (rate.windowMs > MOST_WINDOW_MS) return wrong("value_out_of_range", "expected a window of at most 366d");
  if (cost > rate.count)
    return wrong(
      "value_out_of_range",
      "`cost` is more than the limit admits, so every request would be refused",
    );
  const subject = parseSubject(per, parseClaimPath);
  if (subject === undefined) return wrong("value_invalid", CLAIM_HINT);
  return { ...rest, place, limit: rate.count, windowMs: rate.windowMs, subject, cost };
}

/** Gives the limits of a route their names: their own, or the route's. */
export function nameLimits(limits: readonly UnnamedLimit[], routeName: string): readonly LimitPolicy[] {
  return limits.map(({ name, place: _, ...limit }, index) => ({
    name: name ?? (index === 0 ? routeName : `${routeName} ${index + 1}`),
    ...limit,
  }));
}

/** Limits of one name share counters, so they have to agree on what is counted. */
export class SharedLimits {
  readonly #report: Report;
  readonly #byName = new Map<string, UnnamedLimit>();

  constructor(report: Report) {
    this.#report = report;
  }

  add(limit: UnnamedLimit): void {
    if (limit.name === undefined) return;
    const first = this.#byName.get(limit.name);
    this.#byName.set(limit.name, first ?? limit);
    if (first === undefined || first.place.node === limit.place.node || meaning(first) === meaning(limit))
      return;
    const { node, path } = limit.place;
    this.#report.add(
      node.at,
      path,
      "conflict",
      "limits of one name share counters and need the same rate and subject",
      {
        relatedAt: first.place.node.at,
      },
    );
  }

  /** Reports limits that are called like a route: a route's own limits bear its name. */
  checkAgainst(routeNames: ReadonlySet<string>): void {
    for (const [name, { place }] of this.#byName) {
      if (!routeNames.has(name)) continue;
      this.#report.add(
        place.node.at,
        place.path,
        "duplicate_name",
        "a route has this name; its own limits are counted under it",
      );
    }
  }
}

function meaning({ limit, windowMs, subject }: UnnamedLimit): string {
  return JSON.stringify([limit, windowMs, subject]);
}
