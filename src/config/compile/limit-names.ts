// Gives limits their names and judges which of them share counters: those of one name do, and have to agree for it.

import type { FileLimit, TierRate } from "../../rate-limit/policy.ts";
import type { Report } from "../report.ts";
import type { PlacedLimit } from "./limits.ts";

/** A limit as it will run, with its place in the file. */
export interface NamedLimit extends PlacedLimit {
  readonly limit: FileLimit;
}

/** Gives limits their names: their own, or that of the route, the key or the section that they belong to. */
export function nameLimits(limits: readonly PlacedLimit[], owner: string): readonly NamedLimit[] {
  return limits.map((one, index) => {
    const name = one.name ?? (index === 0 ? owner : `${owner} ${index + 1}`);
    return { ...one, limit: { name, ...one.body } };
  });
}

/** Limits of one name share counters, so they have to agree on what is counted, and nothing may share them by chance. */
export class SharedLimits {
  readonly #report: Report;
  readonly #given = new Map<string, PlacedLimit>();
  readonly #made = new Map<string, PlacedLimit>();

  constructor(report: Report) {
    this.#report = report;
  }

  /** A limit that may bear a name of the file. */
  add(limit: PlacedLimit): void {
    if (limit.name === undefined) return;
    const first = this.#given.get(limit.name);
    this.#given.set(limit.name, first ?? limit);
    if (first === undefined || first.place.node === limit.place.node || meaning(first) === meaning(limit))
      return;
    this.#complain(
      limit,
      "conflict",
      "limits of one name share counters and need the same numbers, subject, algorithm, burst and sync",
      first,
    );
  }

  /** The limits of one owner, with their names. */
  addNamed(limits: readonly NamedLimit[]): void {
    for (const one of limits) {
      this.add(one);
      if (one.name !== undefined) continue;
      const first = this.#made.get(one.limit.name);
      this.#made.set(one.limit.name, first ?? one);
      if (first !== undefined && first.place.node !== one.place.node) this.#complainTaken(one, first);
    }
  }

  /** Reports limits that would count a request twice under one name. @param limits all of one route */
  checkTogether(limits: readonly NamedLimit[]): void {
    for (const [index, one] of limits.entries()) {
      const first = limits.slice(0, index).find(({ limit }) => limit.name === one.limit.name);
      if (first === undefined || one.name === undefined || first.name === undefined) continue;
      const message = "a request of this route would be counted twice under one name";
      this.#complain(one, "duplicate_value", message, first);
    }
  }

  /** Reports limits that are called like a route, whose own limits bear its name, or like other limits without one. */
  finish(routeNames: ReadonlySet<string>): void {
    for (const [name, limit] of this.#given) {
      const made = this.#made.get(name);
      if (routeNames.has(name)) {
        const message = "a route has this name; its own limits are counted under it";
        this.#complain(limit, "duplicate_name", message);
      } else if (made !== undefined) this.#complainTaken(limit, made);
    }
  }

  #complainTaken(limit: PlacedLimit, first: PlacedLimit): void {
    const message = "another limit is counted under this name already, because it has none of its own";
    this.#complain(limit, "duplicate_name", message, first);
  }

  #complain(
    { place }: PlacedLimit,
    code: "conflict" | "duplicate_name" | "duplicate_value",
    message: string,
    first?: PlacedLimit,
  ): void {
    const extra = first === undefined ? {} : { relatedAt: first.place.node.at };
    this.#report.add(place.node.at, place.path, code, message, extra);
  }
}

// A table in `tiers` may be that of thousands of limits: each is put into words once.
const tableTexts = new WeakMap<object, string>();

function tableText(tiers: ReadonlyMap<string, TierRate | undefined>): string {
  const known = tableTexts.get(tiers);
  if (known !== undefined) return known;
  const text = JSON.stringify(
    [...tiers].map(([tier, rate]) => [tier, rate?.limit, rate?.windowMs]).toSorted(),
  );
  tableTexts.set(tiers, text);
  return text;
}

function meaning({ body }: PlacedLimit): string {
  const { subject, algorithm, burst, sync } = body;
  const numbers = "tiers" in body ? tableText(body.tiers) : [body.limit, body.windowMs, burst ?? body.limit];
  return JSON.stringify([subject, algorithm, burst, sync, numbers]);
}
