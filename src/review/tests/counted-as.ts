// Whom a limit counted a request as, in the words that `gatewarden limits show` takes.

import { claimAt } from "../../core/claims.ts";
import type { Principal } from "../../core/principal.ts";
import type { GatewayRequest } from "../../core/request.ts";
import type { CompiledRoute } from "../../pipeline/decision.ts";
import type { Limiter } from "../../rate-limit/limiter.ts";
import type { LimitSubject } from "../../rate-limit/policy.ts";
import { limitOf } from "./compare.ts";
import type { Outcome } from "./outcome.ts";

/** The names of the caller under which the limit called `name`, or the tightest, has counted something. */
export async function countedAs(
  outcome: Outcome,
  name: string | undefined,
  counters: { inspect(route: CompiledRoute): Pick<Limiter, "show"> },
): Promise<readonly string[]> {
  const { decision, route } = outcome;
  const limit = limitOf(outcome, name);
  const request = decision?.request;
  if (limit === undefined || request === undefined || route === undefined) return [];
  const { subject } = limit.policy;
  if (subject.by === "route") return [...new Set([`route:${route.name}`, `route:${limit.policy.name}`])];
  const limiter = counters.inspect(route);
  const found: string[] = [];
  for (const who of namesOf(request, decision?.principal, subject)) {
    const shown = (await limiter.show(who)) ?? [];
    if (shown.some((counter) => counter.limit === limit.policy.name)) found.push(who);
  }
  return found;
}

function namesOf(
  { clientAddress, fields }: GatewayRequest,
  principal: Principal | undefined,
  subject: LimitSubject,
): readonly string[] {
  const names: string[] = [];
  if (subject.by === "header")
    names.push(`header:${subject.name}=${fields.first(subject.name.toLowerCase()) ?? ""}`);
  if (principal !== undefined && principal.method !== "anonymous") {
    if (subject.by === "claim") {
      names.push(`claim:${subject.path.join(".")}=${String(claimAt(principal.claims, subject.path))}`);
    }
    names.push(`user:${principal.subject}`, `user:${principal.issuer ?? ""}|${principal.subject}`);
    if (principal.keyId !== undefined) names.push(`key:${principal.keyId}`);
    if (principal.org !== undefined) names.push(`org:${principal.org}`);
  }
  names.push(`ip:${clientAddress}`);
  return names;
}
