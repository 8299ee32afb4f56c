// Routes, guards and limits in words. Nothing that may be secret is told: of conditions and header edits only the names.

import type { GatewayConfig, RoutePolicy } from "../config/gateway-config.ts";
import { rangeText } from "../core/address.ts";
import { limitText } from "../rate-limit/limit-text.ts";
import type { FileLimit } from "../rate-limit/policy.ts";
import type { RouteMatch } from "../routing/policy.ts";

/** A pattern as a person would write it, with its hosts and the names of its conditions. */
export function patternText({
  segments,
  wildcard,
  trailingSlash,
  hosts,
  headers,
  query,
}: RouteMatch): string {
  const parts = segments.map((one) =>
    one.kind === "parameter" ? `:${one.name}` : encodeURIComponent(one.value),
  );
  const path = `/${[...parts, ...(wildcard ? ["*"] : [])].join("/")}${trailingSlash ? "/" : ""}`;
  const conditions = [
    ...headers.map(({ name, value }) => `${name}${value === undefined ? "" : "=…"}`),
    ...query.map(({ name, value }) => `?${name}${value === undefined ? "" : "=…"}`),
  ];
  return `${hosts.join("|")}${path}${conditions.length === 0 ? "" : ` [${conditions.join(", ")}]`}`;
}

/** What a route asks of its callers. */
export function guardText({ access, auth, authz, ips, credentials, observe }: RoutePolicy): string {
  const parts: string[] = [];
  if (access === "public") parts.push("public");
  else {
    const alternatives = auth.map((names) => names.join("+")).join(" or ");
    parts.push(`${access === "optional" ? "optional " : ""}${alternatives}`);
  }
  const { scopes, roles, require } = authz;
  if (scopes !== undefined) parts.push(`scopes ${scopes.scopes.join(scopes.mode === "all" ? " + " : " | ")}`);
  if (roles !== undefined) parts.push(`roles ${roles.roles.join(roles.mode === "all" ? " + " : " | ")}`);
  parts.push(...require.map(({ text }) => `require ${text}`));
  if (ips.allow.length > 0) parts.push(`only from ${some(ips.allow.map(rangeText))}`);
  if (ips.deny.length > 0) parts.push(`not from ${some(ips.deny.map(rangeText))}`);
  if (credentials === "firstMatch") parts.push("first credential decides");
  if (observe.length > 0) parts.push(`observed only: ${observe.join(", ")}`);
  return parts.join(", ");
}

/** Limits that a request has to pass, in words. */
export function limitsText(limits: readonly FileLimit[]): string {
  return limits.length === 0 ? "no limit" : limits.map((limit) => limitText(limit)).join("; ");
}

/** The upstream of a route with its address. */
export function upstreamText(config: GatewayConfig, name: string): string {
  const upstream = config.upstreams.find((one) => one.name === name);
  return upstream === undefined ? name : `${name} (${upstream.origin}${upstream.basePath})`;
}

// Longer lists are cut.
const MOST_LISTED = 12;

/** A list for people, cut where it gets long. */
export function some(values: readonly string[]): string {
  const shown = values.slice(0, MOST_LISTED).join(", ");
  return values.length <= MOST_LISTED ? shown : `${shown} and ${values.length - MOST_LISTED} more`;
}
