// Builds the header section that the upstream gets. The order is the defence: what the client sent is filtered first,
// what it nominated in Connection is dropped with it, and the gateway's own fields come last, so nothing can remove them.

import type { Principal } from "../core/principal.ts";
import type { GatewayRequest } from "../core/request.ts";
import { nominated, type RequestFieldRules } from "./field-rules.ts";
import type { IdentityFields } from "./identity.ts";
import type { UpstreamPolicy } from "./policy.ts";

/** The gateway's name in Via (RFC 9110 section 7.6.3). */
export const VIA_PSEUDONYM = "gatewarden";
const VIA = `1.1 ${VIA_PSEUDONYM}`;

/** What a route adds to or takes from the forwarded header section. */
export interface FieldEdits {
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Lower-case names of those whose value came from a variable or a file, so that it may be a secret. */
  readonly hidden?: ReadonlySet<string>;
  /** Lower case. */
  readonly remove: readonly string[];
}

export interface RequestFieldsPolicy {
  readonly rules: RequestFieldRules;
  readonly identity: IdentityFields;
  readonly forwardCredentials: boolean;
  readonly edits: FieldEdits;
  readonly upstream: UpstreamPolicy;
  /** What `stripPrefix` took away; empty when nothing. */
  readonly strippedPrefix: string;
}

/** The flat header list for the upstream, without what frames the body. `port` is the one that the client addressed. */
export function requestFields(
  policy: RequestFieldsPolicy,
  request: GatewayRequest,
  principal: Principal,
  port: string,
): string[] {
  const { raw, names } = request.fields;
  const { rules, edits, forwardCredentials } = policy;
  const dropped = nominated(
    request.fields.repeated("connection")
      ? request.fields.all("connection")
      : request.fields.first("connection"),
  );
  const out: string[] = ["Host", hostFor(policy.upstream, request)];
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string;
    const verdict = rules.verdict(name);
    if (verdict === "drop" || verdict === "length") continue;
    if (verdict === "credential" && !forwardCredentials) continue;
    if (dropped?.has(name) || (edits.remove.length > 0 && edits.remove.includes(name))) continue;
    out.push(raw[index * 2] as string, raw[index * 2 + 1] as string);
  }
  addForwarding(out, policy, request, port);
  const identity = policy.identity.of(principal);
  for (let index = 0; index < identity.length; index++) out.push(identity[index] as string);
  for (const [name, value] of edits.set) replaceField(out, name, value);
  return out;
}

function hostFor(upstream: UpstreamPolicy, request: GatewayRequest): string {
  if (typeof upstream.hostHeader === "object") return upstream.hostHeader.value;
  if (upstream.hostHeader === "keep" && request.authority !== "") return request.authority;
  return upstream.origin.slice(upstream.origin.indexOf("//") + 2);
}

function addForwarding(
  out: string[],
  policy: RequestFieldsPolicy,
  request: GatewayRequest,
  port: string,
): void {
  const { fields, peerAddress } = request;
  out.push(
    "X-Forwarded-For",
    request.peerTrusted ? [...fields.all("x-forwarded-for"), peerAddress].join(", ") : peerAddress,
    "X-Forwarded-Proto",
    request.scheme,
  );
  const host = continued(request, "x-forwarded-host") ?? request.authority;
  if (host !== "") out.push("X-Forwarded-Host", host);
  out.push("X-Forwarded-Port", continued(request, "x-forwarded-port") ?? port);
  if (policy.strippedPrefix !== "") out.push("X-Forwarded-Prefix", policy.strippedPrefix);
  out.push(
    "X-Request-Id",
    request.id,
    "Via",
    fields.names.includes("via") ? [...fields.all("via"), VIA].join(", ") : VIA,
  );
}

/** What a trusted proxy in front said, when it said one thing. */
function continued(request: GatewayRequest, name: string): string | undefined {
  if (!request.peerTrusted || request.fields.repeated(name)) return undefined;
  const value = request.fields.first(name);
  return value !== undefined && /^[\w.:[\]-]{1,260}$/.test(value) ? value : undefined;
}

/** Puts one line called `name` at the end of a flat list, in place of all that it holds in any case. */
export function replaceField(out: string[], name: string, value: string): void {
  const lower = name.toLowerCase();
  for (let index = out.length - 2; index >= 0; index -= 2) {
    if ((out[index] as string).toLowerCase() === lower) out.splice(index, 2);
  }
  out.push(name, value);
}

// A request that came through the gateway this often is going round in circles.
const MOST_PASSES = 5;

/** Whether the request passed this gateway too often already. */
export function isLoop(request: GatewayRequest): boolean {
  if (!request.fields.names.includes("via")) return false;
  return request.fields.all("via").join(",").split(VIA_PSEUDONYM).length > MOST_PASSES;
}
