// How rules of a route read in sentences.

import type { RoutePolicy } from "../../config/gateway-config.ts";

/** The credentials that a route takes: `jwt or apiKey`, `apiKey and jwt`. */
export function authRuleText(policy: Pick<RoutePolicy, "auth"> | undefined): string {
  const text = (policy?.auth ?? []).map((names) => names.join(" and ")).join(" or ");
  return text === "" ? "no credential" : text;
}
