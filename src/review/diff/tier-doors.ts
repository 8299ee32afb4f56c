// Limits that admit nothing: they are no limits but closed doors, for everybody or for callers of some tiers.

import { type FileLimit, GUEST_TIER, isTiered, USER_TIER } from "../../rate-limit/policy.ts";

/** Which callers some limits shut out for good. */
export class TierDoors {
  readonly #limits: readonly FileLimit[];
  /** Tiers that make a difference. */
  readonly names: readonly string[];

  /** @param limits those that are enforced */
  constructor(limits: readonly FileLimit[]) {
    this.#limits = limits.filter((limit) => limit.observe !== true && limit.cost > 0 && closesAny(limit));
    this.names = [
      ...new Set(this.#limits.flatMap((limit) => (isTiered(limit) ? [...limit.tiers.keys()] : []))),
    ];
  }

  /** Whether anybody is shut out. */
  get any(): boolean {
    return this.#limits.length > 0;
  }

  /** Whether a caller with a credential is shut out; `undefined` is no tier. */
  shutsOut(tier: string | undefined): boolean {
    return this.#limits.some((limit) => admits(limit, [tier ?? USER_TIER, USER_TIER, GUEST_TIER]) === 0);
  }

  /** Whether callers without a credential are shut out. */
  get shutsOutGuests(): boolean {
    return this.#limits.some((limit) => admits(limit, [GUEST_TIER]) === 0);
  }
}

function closesAny(limit: FileLimit): boolean {
  return isTiered(limit) ? [...limit.tiers.values()].some((rate) => rate?.limit === 0) : limit.limit === 0;
}

/** Units for callers of the first of `tiers` that has numbers, or else of the first that is listed. */
function admits(limit: FileLimit, tiers: readonly string[]): number | undefined {
  if (!isTiered(limit)) return limit.limit;
  const tier = tiers.find((name) => limit.tiers.has(name)) ?? limit.tiers.keys().next().value ?? "";
  return limit.tiers.get(tier)?.limit;
}
