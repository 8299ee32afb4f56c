// Rates and durations as the file writes them.

const UNITS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1_000, "s"],
] as const;

const PERIODS: ReadonlyMap<number, string> = new Map([
  [1_000, "s"],
  [60_000, "min"],
  [3_600_000, "h"],
  [86_400_000, "day"],
]);

/** `100/min`, `5000/day`, `10/30s`. */
export function rateText(units: number, windowMs: number): string {
  return `${units}/${PERIODS.get(windowMs) ?? durationText(windowMs)}`;
}

/** `250ms`, `30s`, `5m`, in the largest unit that leaves no rest. */
export function durationText(ms: number): string {
  const [length, unit] = UNITS.find(([one]) => ms >= one && ms % one === 0) ?? [1, "ms"];
  return `${ms / length}${unit}`;
}
