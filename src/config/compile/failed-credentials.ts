// Compiles `failedCredentials`: what is borne of those who send bad credentials.

import { failedCredentialsOption, failedCredentialsShape } from "../../authn/failures/options.ts";
import { DEFAULT_FAILURES, type FailurePolicy } from "../../authn/failures/policy.ts";
import { parseRate } from "../../core/units.ts";
import { readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { checkRange, durationOf } from "./entries.ts";

const MOST_FAILURES = 1_000_000;
const DAY_MS = 86_400_000;

/** `failedCredentials`; the defaults where there is no such section, undefined where it says false. */
export function compileFailedCredentials(
  report: Report,
  place: Place | undefined,
): FailurePolicy | undefined {
  if (place === undefined) return DEFAULT_FAILURES;
  if (place.node.kind !== "map") {
    readValue(report, place, failedCredentialsOption);
    return undefined;
  }
  const fields = readFields(report, place, failedCredentialsShape);
  if (fields === undefined) return undefined;
  const { limit, windowMs } = DEFAULT_FAILURES;
  const rate = parseRate(fields.limit.value ?? "") ?? { count: limit, windowMs };
  const backoffMs = durationOf(fields.backoff, DEFAULT_FAILURES.backoffMs);
  const longestMs = durationOf(fields.longest, Math.max(backoffMs, DEFAULT_FAILURES.longestMs));
  const words = `expected 1 to ${MOST_FAILURES} failures`;
  checkRange(report, fields.limit, rate.count, [1, MOST_FAILURES], words);
  checkRange(report, fields.limit, rate.windowMs, [1_000, DAY_MS], "expected a window of 1s to 1 day");
  checkRange(report, fields.backoff, backoffMs, [100, DAY_MS], "expected 100ms to 24h");
  checkRange(report, fields.longest, longestMs, [100, DAY_MS], "expected 100ms to 24h");
  if (longestMs < backoffMs) {
    const { node, path } = fields.longest;
    report.add(node.at, path, "conflict", "`longest` can't be shorter than `backoff`");
  }
  return { limit: rate.count, windowMs: rate.windowMs, backoffMs, longestMs };
}
