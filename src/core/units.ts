// The text forms of amounts in gateway.yaml: durations, sizes and rates. Pure text in, numbers out.

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const MS_PER_PERIOD: Readonly<Record<string, number>> = {
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  day: 86_400_000,
};
const BYTES_PER_UNIT: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Form of a duration: a whole number and one unit. */
export const DURATION = /^(0|[1-9]\d{0,9})(ms|s|m|h|d)$/;
/** What a duration has to look like, for messages. */
export const DURATION_HINT = "expected a duration such as 250ms, 10s, 5m, 1h or 7d";

/** Form of a size: a whole number and one binary unit. */
export const SIZE = /^(0|[1-9]\d{0,9})(B|KiB|MiB|GiB)$/;
/** What a size has to look like, for messages. */
export const SIZE_HINT = "expected a size such as 512B, 16KiB or 10MiB";

/** Form of a rate: a count per second, minute, hour, day or any duration. */
export const RATE = /^(\d{1,10})\/(s|min|h|day|[1-9]\d{0,9}(?:ms|s|m|h|d))$/;
/** What a rate has to look like, for messages. */
export const RATE_HINT = "expected a rate such as 10/s, 100/min, 1000/h, 5000/day or 100/30s";

/** Milliseconds of a duration; undefined when the text is none. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * (MS_PER_UNIT[match[2] ?? ""] ?? 0);
}

/** Bytes of a size; undefined when the text is none. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  return match === null ? undefined : Number(match[1]) * (BYTES_PER_UNIT[match[2] ?? ""] ?? 0);
}

/** `count` units per trailing window of `windowMs` milliseconds. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** Reads a rate; undefined when the text is none. The count may be 0, which callers refuse where it makes no sense. */
export function parseRate(text: string): Rate | undefined {
  const match = RATE.exec(text);
  if (match === null) return undefined;
  const period = match[2] ?? "";
  const windowMs = MS_PER_PERIOD[period] ?? parseDuration(period);
  return windowMs === undefined ? undefined : { count: Number(match[1]), windowMs };
}
