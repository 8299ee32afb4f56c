// Whether the limits of a route got looser: whether there is one that nothing at least as tight stands for any more.

import { isDeepStrictEqual } from "node:util";
import {
  type FileLimit,
  isTiered,
  type LimitTraits,
  type StoreFailurePolicy,
  type TierRate,
} from "../../rate-limit/policy.ts";

const STRICTNESS: Readonly<Record<StoreFailurePolicy, number>> = { deny: 2, local: 1, allow: 0 };

/** Whether some limit of `before` has nothing in `after` that is at least as tight. */
export function isLooser(before: readonly FileLimit[], after: readonly FileLimit[]): boolean {
  return before.some((old) => old.observe !== true && !after.some((one) => isAsTight(one, old)));
}

/** Limits alike, whatever they are called. Names that the file gives count, since they share counters. */
export function sameLimits(
  before: readonly FileLimit[],
  after: readonly FileLimit[],
  owners: readonly [before: string, after: string],
): boolean {
  const plain = (limits: readonly FileLimit[], owner: string) =>
    limits.map((limit) => ({
      ...limit,
      name: limit.name === owner || limit.name.startsWith(`${owner} `) ? "" : limit.name,
      ...(isTiered(limit) ? { tiers: [...limit.tiers].toSorted() } : {}),
    }));
  return isDeepStrictEqual(plain(before, owners[0]), plain(after, owners[1]));
}

function isAsTight(one: FileLimit, old: FileLimit): boolean {
  return (
    one.observe !== true &&
    isDeepStrictEqual(one.subject, old.subject) &&
    one.algorithm === old.algorithm &&
    one.costFrom === old.costFrom &&
    one.cost >= old.cost &&
    STRICTNESS[one.onStoreFailure] >= STRICTNESS[old.onStoreFailure] &&
    (one.sync === old.sync || one.sync === undefined) &&
    ratesAsTight(one, old)
  );
}

function ratesAsTight(one: FileLimit, old: FileLimit): boolean {
  if (!isTiered(one) && !isTiered(old))
    return isRateAsTight(one, old) && isBurstAsTight(one, one.limit, old, old.limit);
  if (!isTiered(one) || !isTiered(old) || one.burst !== old.burst) return false;
  // Callers whose tier isn't listed fall back to another one, so the same tiers have to be there.
  if (!isDeepStrictEqual([...one.tiers.keys()].toSorted(), [...old.tiers.keys()].toSorted())) return false;
  return [...old.tiers].every(([tier, rate]) => {
    const now = one.tiers.get(tier);
    return rate === undefined || (now !== undefined && isRateAsTight(now, rate));
  });
}

/** The window has to be as long as well: more at once in a longer window is another limit. */
function isRateAsTight(one: TierRate, old: TierRate): boolean {
  return one.limit <= old.limit && one.windowMs >= old.windowMs;
}

function isBurstAsTight(one: LimitTraits, limit: number, old: LimitTraits, oldLimit: number): boolean {
  return (one.burst ?? limit) <= (old.burst ?? oldLimit);
}
