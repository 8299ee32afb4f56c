// How many failed credentials are borne, and what follows when there are more.

export interface FailurePolicy {
  /** Failures in any trailing window after which a block begins, at least 1. */
  readonly limit: number;
  readonly windowMs: number;
  /** Length of the first block; each further one is twice as long as the one before. */
  readonly backoffMs: number;
  /** Longest length of a block, at least `backoffMs`. */
  readonly longestMs: number;
}

/** What holds unless the file says otherwise. */
export const DEFAULT_FAILURES: FailurePolicy = {
  limit: 300,
  windowMs: 60_000,
  backoffMs: 1_000,
  longestMs: 15 * 60_000,
};
