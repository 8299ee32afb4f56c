// A limit in words, in the order in which the file writes it.

import { type FileLimit, isTiered, subjectText, type TieredLimit } from "./policy.ts";
import { rateText } from "./rate-text.ts";

/** `100/min per user burst 40 (leased)`; `notes` come first in the brackets. */
export function limitText(limit: FileLimit, notes: readonly string[] = []): string {
  const { subject, cost, burst, costFrom } = limit;
  const words = [
    isTiered(limit) ? `tier [${tiersText(limit)}]` : rateText(limit.limit, limit.windowMs),
    `per ${subjectText(subject)}`,
    burst === undefined ? "" : `burst ${burst}`,
    cost === 1 ? "" : `cost ${cost}`,
    costFrom === undefined ? "" : `cost from ${costFrom}`,
  ];
  const traits = [
    ...notes,
    limit.algorithm ?? "",
    limit.sync === "leased" ? "leased" : "",
    limit.observe === true ? "observed only" : "",
    subject.by === "ip" && subject.ipv6Prefix !== undefined ? `IPv6 by /${subject.ipv6Prefix}` : "",
    limit.onStoreFailure === "local" ? "" : `store away: ${limit.onStoreFailure}`,
  ].filter((trait) => trait !== "");
  const text = words.filter((word) => word !== "").join(" ");
  return traits.length === 0 ? text : `${text} (${traits.join(", ")})`;
}

function tiersText({ tiers }: TieredLimit): string {
  return [...tiers]
    .map(
      ([tier, rate]) => `${tier} ${rate === undefined ? "unlimited" : rateText(rate.limit, rate.windowMs)}`,
    )
    .join(", ");
}
