// What the failed-credential throttle needs from outside.

import type { Awaitable } from "../../core/result.ts";

/** Whose failures are counted together: a client's address, or the public part of a credential. */
export type FailureDimension = "address" | "credential";

/** Counts failures, for all instances where there is a store that they share. */
export interface FailureCounter {
  /**
   * Counts one failure of `hashedId` and gives the number of its failures in the trailing window, this one included:
   * at least those of this process. Nobody waits for the answer, and it never rejects.
   */
  count(dimension: FailureDimension, hashedId: string): Awaitable<number>;
}
