// The limits of a route before it is known who calls, and which of them concern a caller.

import type { Principal } from "../core/principal.ts";
import { type BoundLimit, type BoundLimits, joinLimits } from "./bound-limit.ts";
import {
  GUEST_TIER,
  isKeyed,
  isTiered,
  type KeyedLimits,
  type LimitPolicy,
  type RouteLimit,
  type TieredLimit,
  type TierRate,
  USER_TIER,
} from "./policy.ts";

/** Makes limits ready for the hot path. */
export interface Binder {
  /** A limit of the route itself. */
  bind(policy: LimitPolicy): BoundLimit;
  /** Limits of API keys, which all routes share: bound once for all of them. */
  bindKeys(limits: KeyedLimits): ReadonlyMap<string, readonly BoundLimit[]>;
}

type Choice = (principal: Principal | undefined) => readonly BoundLimit[];

/** Binds a route's limits once, and picks those of a caller by a look-up. */
export class LimitPlan {
  readonly #every: readonly (() => readonly BoundLimit[])[];
  readonly #fixed: BoundLimits | undefined;
  readonly #choices: readonly Choice[];
  /** Tiers that make a difference here. */
  readonly #tiers: ReadonlySet<string>;
  /** Those whose keys make a difference here. */
  readonly #keyed: readonly KeyedLimits[];
  // One entry for each tier and key of the file at most.
  readonly #chosen = new Map<string, BoundLimits>();

  constructor(limits: readonly RouteLimit[], binder: Binder) {
    const every: (() => readonly BoundLimit[])[] = [];
    const tiers = new Set<string>();
    this.#choices = limits.map((limit): Choice => {
      if (isKeyed(limit)) {
        const bound = binder.bindKeys(limit);
        return (principal) => bound.get(principal?.keyId ?? "") ?? [];
      }
      if (isTiered(limit)) {
        for (const tier of limit.tiers.keys()) tiers.add(tier);
        const { choice, all } = tiered(limit, binder);
        every.push(all);
        return choice;
      }
      const bound = [binder.bind(limit)];
      every.push(() => bound);
      return () => bound;
    });
    this.#every = every;
    this.#tiers = tiers;
    this.#keyed = limits.filter(isKeyed).filter(({ byKey }) => byKey.size > 0);
    this.#fixed =
      tiers.size === 0 && this.#keyed.length === 0
        ? joinLimits(this.#choices.flatMap((pick) => pick(undefined)))
        : undefined;
  }

  /** Every limit of the route that could concern somebody; those of keys are not among them. */
  get all(): readonly BoundLimit[] {
    return this.#every.flatMap((some) => some());
  }

  /** The limits that concern `principal`; undefined: nobody is known. The same object for everybody who is alike in this. */
  of(principal: Principal | undefined): BoundLimits {
    if (this.#fixed !== undefined) return this.#fixed;
    const known = principal === undefined || principal.method === "anonymous" ? undefined : principal;
    const tier =
      known === undefined ? GUEST_TIER : this.#tiers.has(known.tier ?? "") ? known.tier : USER_TIER;
    const id = known?.keyId ?? "";
    const key = this.#keyed.some(({ byKey }) => byKey.has(id)) ? id : "";
    const name = `${known === undefined ? "-" : "+"}${tier} ${key}`;
    let chosen = this.#chosen.get(name);
    if (chosen === undefined) {
      chosen = joinLimits(this.#choices.flatMap((pick) => pick(known)));
      this.#chosen.set(name, chosen);
    }
    return chosen;
  }
}

interface Tiered {
  readonly choice: Choice;
  /** The limits of all tiers, made for whoever asks: many routes times many tiers are too many to keep. */
  readonly all: () => readonly BoundLimit[];
}

function tiered({ tiers, ...traits }: TieredLimit, binder: Binder): Tiered {
  const make = (rate: TierRate | undefined): readonly BoundLimit[] =>
    rate === undefined ? [] : [binder.bind({ ...traits, ...rate })];
  const known = new Map<string, readonly BoundLimit[]>();
  const of = (tier: string): readonly BoundLimit[] | undefined => {
    const list = known.get(tier);
    if (list !== undefined || !tiers.has(tier)) return list;
    const made = make(tiers.get(tier));
    known.set(tier, made);
    return made;
  };
  const [first = GUEST_TIER] = tiers.keys();
  // One at once, so that the limit is known to the statistics before anybody calls.
  for (const [tier, rate] of tiers) {
    if (rate === undefined) continue;
    of(tier);
    break;
  }
  const choice: Choice = (principal) => {
    const own = principal === undefined ? GUEST_TIER : (principal.tier ?? USER_TIER);
    // Whom the table doesn't know is a guest, and without guests there is nothing for him.
    const limits = of(own) ?? (principal === undefined ? undefined : of(USER_TIER)) ?? of(GUEST_TIER);
    return limits ?? of(first) ?? [];
  };
  return { choice, all: () => [...tiers].flatMap(([tier, rate]) => known.get(tier) ?? make(rate)) };
}
