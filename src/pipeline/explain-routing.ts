// The part of an explanation that tells which route a request has, and which it nearly had.

import type { GatewayConfig, RoutePolicy } from "../config/gateway-config.ts";
import type { GatewayRequest } from "../core/request.ts";
import { missOf, nearMisses } from "../routing/explain.ts";
import type { RouteMatch } from "../routing/policy.ts";
import { type RoutedRequest, RouteTable } from "../routing/table.ts";
import { preflightMethod } from "./cors.ts";
import type { Policy } from "./decide.ts";
import type { CompiledRoute, Decision } from "./decision.ts";
import type { ExplainedRoute, ExplainedRouting } from "./explanation.ts";

/** The route of the file that was compiled to `route`. */
export function policyOf({ routes }: GatewayConfig, route: CompiledRoute): RoutePolicy | undefined {
  return routes.find(({ name, line }) => name === route.name && line === route.line);
}

/** Tells of the route that was found, or why none was, and of at most `most` others. */
export function explainRouting(
  config: GatewayConfig,
  policy: Policy,
  request: GatewayRequest,
  decision: Decision,
  most: number,
): ExplainedRouting {
  const { caseSensitive } = config.paths;
  const asked = preflightMethod(request.method, request.fields);
  const method = decision.kind === "preflight" && asked !== undefined ? asked : request.method;
  const { target, authority, fields } = request;
  const routed: RoutedRequest = { method, path: target.path, search: target.search, authority, fields };
  const found = policy.routes.match(routed);
  const file = found.kind === "match" ? policyOf(config, found.route) : undefined;
  const match = file && matchOf(file, routed, caseSensitive);
  const all = config.routes.flatMap((route) => route.matches.map((one) => [one, route] as const));
  const chosen = file === undefined ? undefined : { route: file, match };
  const near = nearMisses(all, { request: routed, caseSensitive }, chosen, most);
  return {
    outcome: found.kind,
    ...(file === undefined || found.kind !== "match" || match === undefined
      ? {}
      : { route: explainRoute(file, match, found.parameters) }),
    ...(found.kind === "method_not_allowed" ? { allow: found.allow } : {}),
    nearMisses: near.map(({ route, match: other, miss }) => ({
      route: route.name,
      line: route.line,
      pattern: other.text,
      why: miss,
    })),
  };
}

/** Which of a route's matches is the one for the request: the table's own choice among those that fit. */
function matchOf(
  { matches }: RoutePolicy,
  request: RoutedRequest,
  caseSensitive: boolean,
): RouteMatch | undefined {
  const fitting = matches.filter((one) => missOf(one, { request, caseSensitive }) === undefined);
  if (fitting.length < 2) return fitting[0];
  const best = new RouteTable(
    fitting.map((one) => [one, one] as const),
    caseSensitive,
  ).match(request);
  return best.kind === "match" ? best.route : fitting[0];
}

function explainRoute(
  { name, line, access, observe }: RoutePolicy,
  match: RouteMatch,
  parameters: Readonly<Record<string, string>>,
): ExplainedRoute {
  return { name, line, pattern: match.text, parameters, access, observe };
}
