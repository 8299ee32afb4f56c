// What clients of several gateways saw of one limit, request by request, and whether it proves that the limit was exceeded.

/** One admitted request by the client's clock, in milliseconds: the decision lies between the two times. */
export interface Admission {
  readonly sent: number;
  readonly answered: number;
}

/**
 * The most requests that certainly were admitted within one window of `windowMs`: those that were sent and answered within
 * it. Requests that straddle its border are not counted, so a figure beyond the limit is a proof.
 */
export function mostInWindow(admissions: readonly Admission[], windowMs: number): number {
  const bySent = [...admissions].sort((one, other) => one.sent - other.sent);
  let most = 0;
  for (let first = 0; first < bySent.length; first++) {
    const end = bySent[first]!.sent + windowMs;
    let within = 0;
    for (let index = first; index < bySent.length && bySent[index]!.sent < end; index++) {
      if (bySent[index]!.answered < end) within++;
    }
    most = Math.max(most, within);
  }
  return most;
}
