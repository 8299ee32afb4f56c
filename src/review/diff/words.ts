// Routes, guards and limits in words. Nothing that may be secret is told: of conditions and header edits only the names.

import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { type FileLimit, isTiered, subjectText } from "../../rate-limit/policy.ts";
import { rateText } from "../../rate-limit/rate-text.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import { rangeText } from "./address-set.ts";

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

/** A limit in the order in which the file writes it. */
export function limitText(limit: FileLimit): string {
  const { subject, cost, burst, costFrom } = limit;
  const words = [
    isTiered(limit) ? `tier [${tiersText(limit)}]` : rateText(limit.limit, limit.windowMs),
    `per ${subjectText(subject)}`,
    burst === undefined ? "" : `burst ${burst}`,
    cost === 1 ? "" : `cost ${cost}`,
    costFrom === undefined ? "" : `cost from ${costFrom}`,
  ];
  const notes = [
    limit.algorithm ?? "",
    limit.sync === "leased" ? "leased" : "",
    limit.observe === true ? "observed only" : "",
    subject.by === "ip" && subject.ipv6Prefix !== undefined ? `IPv6 by /${subject.ipv6Prefix}` : "",
    limit.onStoreFailure === "local" ? "" : `store away: ${limit.onStoreFailure}`,
  ].filter((note) => note !== "");
  const text = words.filter((word) => word !== "").join(" ");
  return notes.length === 0 ? text : `${text} (${notes.join(", ")})`;
}

/** Limits that a request has to pass, in words. */
export function limitsText(limits: readonly FileLimit[]): string {
  return limits.length === 0 ? "no limit" : limits.map(limitText).join("; ");
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

function tiersText({ tiers }: Extract<FileLimit, { readonly tiers: unknown }>): string {
  return [...tiers]
    .map(([tier, one]) => `${tier} ${one === undefined ? "unlimited" : rateText(one.limit, one.windowMs)}`)
    .join(", ");
}
