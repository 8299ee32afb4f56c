// Costs that the upstream tells with its answer.

import type { Forward } from "../pipeline/decision.ts";
import { type AnswerFields, costIn } from "../upstream/response-cost.ts";

/** Charges what the upstream says that the request cost, when its head is there; undefined when nothing waits for it. */
export function laterCosts(
  { limit }: Forward,
  onInvalid: (field: string) => void,
): ((head: AnswerFields) => void) | undefined {
  const later = limit?.kind === "admitted" ? limit.later : undefined;
  if (later === undefined) return undefined;
  return (head) => {
    for (const { field, charge } of later) {
      const units = costIn(head, field);
      if (units === "invalid") onInvalid(field);
      else if (units !== undefined) charge(units);
    }
  };
}
