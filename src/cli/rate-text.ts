// A rate as the file writes it.

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
  const [length, unit] = UNITS.find(([ms]) => windowMs % ms === 0) ?? [1, "ms"];
  return `${units}/${PERIODS.get(windowMs) ?? `${windowMs / length}${unit}`}`;
}
