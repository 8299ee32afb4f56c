// Judges the numbers of a limit against each other: what can't work, or can't be counted exactly, is refused at load.

import { MOST_LOGGED } from "../../rate-limit/options.ts";
import type { LimitTraits, TierRate } from "../../rate-limit/policy.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";

/** One rate of a limit: its only one, or that of a tier. */
export interface PlacedRate extends TierRate {
  readonly tier: string | undefined;
  readonly place: Place;
}

type Traits = Pick<LimitTraits, "algorithm" | "burst" | "cost">;

/** Whether cost, burst and algorithm fit every one of `rates`; reported when not. @param at the place of a key */
export function checkNumbers(
  report: Report,
  at: (key: "cost" | "burst") => Place,
  traits: Traits,
  rates: readonly PlacedRate[],
): boolean {
  // A tier that admits nothing fits everything.
  return rates
    .filter(({ limit }) => limit > 0)
    .map((rate) => {
      const fault = costFault(traits, rate) ?? logFault(traits, rate) ?? bucketFault(traits, rate);
      if (fault === undefined) return true;
      const { node, path } = fault.about === "rate" ? rate.place : at(fault.about);
      const extra = fault.hint === undefined ? {} : { hint: fault.hint };
      report.add(node.at, path, "value_out_of_range", fault.message, extra);
      return false;
    })
    .every(Boolean);
}

interface Fault {
  readonly about: "rate" | "cost" | "burst";
  readonly message: string;
  readonly hint?: string;
}

function costFault({ algorithm, burst, cost }: Traits, { limit, tier }: PlacedRate): Fault | undefined {
  const most = algorithm === "tokenBucket" ? (burst ?? limit) : limit;
  if (cost <= most) return undefined;
  const what = burst === undefined ? "the limit admits" : "`burst` holds";
  return tier === undefined || burst !== undefined
    ? { about: "cost", message: `\`cost\` is more than ${what}, so every request would be refused` }
    : {
        about: "cost",
        message: `\`cost\` is more than the tier ${tier} admits, so every request would be refused`,
        hint: `for a tier that may not call at all, say so: \`tier: {${tier}: 0/day, …}\``,
      };
}

function logFault({ algorithm }: Traits, { limit }: PlacedRate): Fault | undefined {
  if (algorithm !== "slidingLog" || limit <= MOST_LOGGED) return undefined;
  return {
    about: "rate",
    message: `a slidingLog keeps an entry for each request and admits at most ${MOST_LOGGED}`,
    hint: "slidingWindow needs no more memory for larger limits",
  };
}

/**
 * A bucket is counted in whole parts of a token, so that nothing is lost to rounding: as many to the token as its
 * window has microseconds, in lowest terms. A full bucket has to be a whole number that is exact.
 */
function bucketFault({ algorithm, burst }: Traits, { limit, windowMs }: PlacedRate): Fault | undefined {
  if (algorithm !== "tokenBucket") return undefined;
  const windowMicroseconds = windowMs * 1_000;
  const parts = windowMicroseconds / greatestCommonDivisor(windowMicroseconds, limit);
  const most = Math.floor(Number.MAX_SAFE_INTEGER / parts);
  if ((burst ?? limit) <= most) return undefined;
  return {
    about: burst === undefined ? "rate" : "burst",
    message: `with this rate a bucket can hold at most ${most} tokens exactly`,
    hint: `say \`burst: ${most}\` or less, or a rate in rounder numbers`,
  };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
