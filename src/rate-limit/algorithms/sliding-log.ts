// The sliding log: exactly the limit in any trailing window, at the price of one entry per admission.

import type { AdmissionLog } from "./admission-log.ts";
import { decideOn, type Verdict } from "./meter.ts";

/** Every admission is a group of its own, so none is forgotten too late. */
export const LOG_GRAIN = 1;

/** One decision under the sliding log; see `decideOn`. */
export function stepLog(log: AdmissionLog, limit: number, now: number, cost: number): Verdict {
  return decideOn(log, limit, LOG_GRAIN, now, cost);
}
