// Why a request was decided on as it was, in one sentence for whoever wrote a test that failed.

import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { nearest } from "../../config/suggest.ts";
import type { Principal } from "../../core/principal.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import type { Outcome } from "./outcome.ts";
import { authRuleText } from "./words.ts";

/** The reason of a decision. Holds no credential and no value of a claim. */
export function whyOf(outcome: Outcome, config: GatewayConfig): string {
  const { kind, decision } = outcome;
  if (kind === "own") return "the gateway answers this path itself (`health`)";
  const policy = config.routes.find(({ name }) => name === outcome.route?.name);
  const where = policy === undefined ? "" : `route ${policy.name} (line ${policy.line})`;
  if (kind === "preflight") return `a CORS preflight, which ${where} answers without credentials`;
  if (decision?.kind === "forward")
    return `${where} lets it through${openness(policy, decision.observed?.length)}`;
  if (decision?.kind !== "refuse") return "";
  const { denial, principal } = decision;
  const target = decision.request?.target.path ?? "";
  switch (denial.code) {
    case "route_not_found":
      return `no route matches${nearRoutes(config.routes, target)}`;
    case "method_not_allowed":
      return `the path is known, for ${denial.allow ?? "other methods"}`;
    case "misdirected_request":
      return `every route names its hosts, and ${decision.request?.authority ?? "this"} is none of them`;
    case "credentials_missing":
      return `${where} takes ${authRuleText(policy)}, and no such credential came`;
    case "scope_insufficient":
      return `${where} asks for ${scopesText(policy)}; the caller ${heldText(principal)}`;
    case "role_insufficient":
      return `${where} asks for ${rolesText(policy)}; the caller has ${listed(principal?.roles, "no role")}`;
    case "requirement_failed":
      return `${where} requires ${policy?.authz.require.map(({ text }) => text).join(", ") ?? ""}`;
    case "rate_limited":
      return `the limit ${decision.limit?.kind === "refused" ? decision.limit.tightest.policy.name : ""} has no room`;
    case "keys_unavailable":
      return "the issuer's keys are fetched from the network, which tests never use: say what the token holds in `as`";
    default:
      return `${where === "" ? "refused" : `${where} refuses`}: ${denial.reason}`;
  }
}

function openness(policy: RoutePolicy | undefined, observed = 0): string {
  if (policy?.access === "public") return ": it is public";
  if (observed > 0) return ": what would refuse is only observed";
  return policy?.authz.scopes === undefined ? ": it asks for no scope" : "";
}

function scopesText(policy: RoutePolicy | undefined): string {
  const { mode, scopes } = policy?.authz.scopes ?? { mode: "all", scopes: [] };
  return `${mode === "any" ? "one of " : ""}${scopes.join(mode === "any" ? ", " : " and ")}`;
}

function rolesText(policy: RoutePolicy | undefined): string {
  const { mode, roles } = policy?.authz.roles ?? { mode: "all", roles: [] };
  return `${mode === "any" ? "one of the roles " : "the role "}${roles.join(mode === "any" ? ", " : " and ")}`;
}

function heldText(principal: Principal | undefined): string {
  return `holds ${listed(principal?.scopes.values, "no scope")}`;
}

function listed(values: readonly string[] | undefined, none: string): string {
  return values === undefined || values.length === 0 ? none : values.slice(0, 20).join(" ");
}

/** The routes whose patterns begin most like the path. */
function nearRoutes(routes: readonly RoutePolicy[], path: string): string {
  const pieces = path.split("/").filter((piece) => piece !== "");
  let best: { readonly score: number; readonly text: string } | undefined;
  for (const { matches, line } of routes) {
    for (const match of matches) {
      const score = likeness(match, pieces);
      if (score > (best?.score ?? 0)) best = { score, text: `${match.text} (line ${line})` };
    }
  }
  return best === undefined ? "" : `; the nearest is ${best.text}`;
}

function likeness({ segments }: RouteMatch, pieces: readonly string[]): number {
  let score = 0;
  for (const [index, segment] of segments.entries()) {
    const piece = pieces[index];
    if (piece === undefined) break;
    if (
      segment.kind === "literal" &&
      segment.value !== piece &&
      nearest(piece, [segment.value]) === undefined
    )
      break;
    score += segment.kind === "literal" && segment.value === piece ? 2 : 1;
  }
  return score === 0 ? 0 : score * 100 - Math.abs(segments.length - pieces.length);
}
