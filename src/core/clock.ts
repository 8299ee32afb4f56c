// The two clocks. Token times follow the wall clock; limits, deadlines and cool-downs follow the steady one.

export interface Clock {
  /** Milliseconds since the Unix epoch; jumps when the system clock is set. */
  wallMs(): number;
  /** Milliseconds since an arbitrary origin; never goes backwards. */
  steadyMs(): number;
}

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
