// The sliding window: never more than the limit in any trailing window, with bounded memory per key however large the
// limit is. Its log groups admissions, so that about 100 groups suffice for any limit.

import { AdmissionLog } from "./admission-log.ts";
import { decideOn, type Verdict } from "./meter.ts";

// A group holds at most 1/50 of the limit, so a caller is refused early by less than 2 % of the limit.
const GROUPS_PER_LIMIT = 50;

export { AdmissionLog };

/** Most units that one group of a log for `limit` holds. */
export function grainOf(limit: number): number {
  return Math.max(1, Math.floor(limit / GROUPS_PER_LIMIT));
}

/** One decision under the sliding window; see `decideOn`. */
export function step(log: AdmissionLog, limit: number, now: number, cost: number): Verdict {
  return decideOn(log, limit, grainOf(limit), now, cost);
}
