// Sets of client addresses, so that rules can be compared by what they let through and not by how they are written.

import type { AddressRules } from "../../authz/policy.ts";
import type { AddressRange } from "../../core/address.ts";

/** First and last address, both part of it. */
type Interval = readonly [first: bigint, last: bigint];

/** Disjoint intervals in ascending order. */
type Intervals = readonly Interval[];

export interface AddressSet {
  readonly v4: Intervals;
  readonly v6: Intervals;
  /** Whether addresses that can't be parsed belong to it: only where no rule stands. */
  readonly unknown: boolean;
}

const V4_LAST = (1n << 32n) - 1n;
const V6_LAST = (1n << 128n) - 1n;

/** Every address. */
export const EVERYWHERE: AddressSet = { v4: [[0n, V4_LAST]], v6: [[0n, V6_LAST]], unknown: true };

/** The addresses that may call under `rules`. */
export function allowedBy({ allow, deny }: AddressRules): AddressSet {
  if (allow.length === 0 && deny.length === 0) return EVERYWHERE;
  const listed = allow.length === 0 ? { ...EVERYWHERE, unknown: false } : setOf(allow);
  return intersect(listed, complement(setOf(deny)));
}

/** The addresses in one of `ranges`; every address when there is none. */
export function withinAny(ranges: readonly AddressRange[]): AddressSet {
  return ranges.length === 0 ? EVERYWHERE : setOf(ranges);
}

/** The addresses in one of `ranges`. */
export function setOf(ranges: readonly AddressRange[]): AddressSet {
  const of = (length: number): Intervals =>
    merged(ranges.filter(({ bytes }) => bytes.length === length).map(intervalOf));
  return { v4: of(4), v6: of(16), unknown: false };
}

export function intersect(a: AddressSet, b: AddressSet): AddressSet {
  if (a === EVERYWHERE) return b;
  if (b === EVERYWHERE) return a;
  return { v4: common(a.v4, b.v4), v6: common(a.v6, b.v6), unknown: a.unknown && b.unknown };
}

/** Whether every address of `inner` is in `outer`. */
export function isWithin(inner: AddressSet, outer: AddressSet): boolean {
  return outer === EVERYWHERE || isNone(without(inner, outer));
}

export function isNone({ v4, v6, unknown }: AddressSet): boolean {
  return v4.length === 0 && v6.length === 0 && !unknown;
}

export function isEverywhere(set: AddressSet): boolean {
  return isWithin(EVERYWHERE, set);
}

/** The addresses of `a` that aren't in `b`. */
export function without(a: AddressSet, b: AddressSet): AddressSet {
  return intersect(a, complement(b));
}

function complement({ v4, v6, unknown }: AddressSet): AddressSet {
  return { v4: gaps(v4, V4_LAST), v6: gaps(v6, V6_LAST), unknown: !unknown };
}

function intervalOf({ bytes, prefix }: AddressRange): Interval {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const free = (1n << BigInt(bytes.length * 8 - prefix)) - 1n;
  const first = value & ~free;
  return [first, first | free];
}

function merged(intervals: readonly Interval[]): Intervals {
  const out: Interval[] = [];
  for (const [first, last] of intervals.toSorted((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const before = out.at(-1);
    if (before === undefined || first > before[1] + 1n) out.push([first, last]);
    else if (last > before[1]) out[out.length - 1] = [before[0], last];
  }
  return out;
}

function gaps(intervals: Intervals, end: bigint): Intervals {
  const out: Interval[] = [];
  let next = 0n;
  for (const [first, last] of intervals) {
    if (first > next) out.push([next, first - 1n]);
    next = last + 1n;
  }
  if (next <= end) out.push([next, end]);
  return out;
}

function common(a: Intervals, b: Intervals): Intervals {
  const out: Interval[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [one, other] = [a[i], b[j]];
    if (one === undefined || other === undefined) return out;
    const first = one[0] > other[0] ? one[0] : other[0];
    const last = one[1] < other[1] ? one[1] : other[1];
    if (first <= last) out.push([first, last]);
    if (one[1] < other[1]) i++;
    else j++;
  }
}
