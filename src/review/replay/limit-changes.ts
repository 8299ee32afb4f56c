// What a log tells about limits. Its lines hold the tightest limit that was looked at, and only a log of all decisions
// holds the requests that used a limit up.

import type { Decision } from "../../pipeline/decision.ts";
import { isKeyed, isTiered, type RouteLimit } from "../../rate-limit/policy.ts";
import type { LoggedDecision } from "./log-lines.ts";

export interface LimitQuestion {
  readonly line: LoggedDecision;
  /** The new one, with its limits counted. */
  readonly decision: Decision;
  /** Limits of the route that were not counted. */
  readonly uncounted: readonly RouteLimit[];
  /** The log holds admitted requests of the route. */
  readonly isWhole: boolean;
  /** Whether both files give the route this limit, alike in all; undefined when the old file isn't known. */
  readonly isUnchanged: (quota: string) => boolean | undefined;
}

export type LimitAnswer = { readonly kind: "same" } | { readonly kind: "unknown"; readonly reason: string };

/** Judges only where one of the two decisions is a 429 and the other is none; undefined leaves it to the comparison. */
export function compareLimits(question: LimitQuestion): LimitAnswer | undefined {
  const { line, decision, uncounted, isWhole, isUnchanged } = question;
  const was = line.code === "rate_limited";
  const is = decision.kind === "refuse" && decision.denial.code === "rate_limited";
  if (was === is) return undefined;
  const refusing =
    is && decision.limit?.kind === "refused" ? quotaText(decision.limit.tightest.policy) : undefined;
  const quota = was ? line.quota : refusing;
  if (quota === undefined) return undefined;
  if (was && uncounted.some((limit) => ratesOf(limit).includes(quota))) {
    return { kind: "unknown", reason: "limits by header or claim, which the log doesn't hold" };
  }
  // A refusal for another reason than a limit comes first in the new file.
  if (was && decision.kind === "refuse") return undefined;
  const inBoth = was ? quotasOf(question).includes(quota) : line.quota === quota;
  if (isUnchanged(quota) === true) return { kind: "same" };
  if (inBoth) {
    return {
      kind: "unknown",
      reason:
        "limits of the same rate that other requests, which the log doesn't hold, had used up or given back",
    };
  }
  if (was && !isWhole && quotasOf(question).length > 0) {
    return {
      kind: "unknown",
      reason: "limits of which the log holds no admitted requests (`logs.decisions: all`)",
    };
  }
  return undefined;
}

/** Every limit of the new decision, as decision lines write it. */
export function quotasOf({
  decision,
  uncounted,
}: Pick<LimitQuestion, "decision" | "uncounted">): readonly string[] {
  const { limit } = decision;
  const counted =
    limit === undefined || limit.kind === "unavailable"
      ? []
      : limit.outcomes.map(({ policy }) => quotaText(policy));
  return [...counted, ...uncounted.flatMap(ratesOf)];
}

/** The rates that a limit may show. */
export function ratesOf(limit: RouteLimit): readonly string[] {
  if (isKeyed(limit)) return [...limit.byKey.values()].flat().map(quotaText);
  if (!isTiered(limit)) return [quotaText(limit)];
  const { name } = limit;
  return [...limit.tiers.values()].flatMap((rate) =>
    rate === undefined ? [] : [quotaText({ name, ...rate })],
  );
}

/** A limit as decision lines write it: `NAME UNITS/SECONDSs`. */
export function quotaText(limit: {
  readonly name: string;
  readonly limit: number;
  readonly windowMs: number;
}): string {
  return `${limit.name} ${limit.limit}/${limit.windowMs / 1_000}s`;
}
