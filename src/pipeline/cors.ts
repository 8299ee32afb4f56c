// CORS as the Fetch standard defines it. Origins are compared as exact serialised strings; it is no access control.

import type { CorsPolicy } from "../config/gateway-config.ts";
import type { Fields } from "../core/fields.ts";

/** Names that the gateway speaks for where CORS applies; an upstream's own are dropped, since two would cancel each other. */
export const CORS_FIELDS: readonly string[] = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-expose-headers",
  "access-control-max-age",
];

/** Whether a request is a preflight: OPTIONS with an origin and the method that is asked for. */
export function preflightMethod(method: string, fields: Fields): string | undefined {
  if (method !== "OPTIONS" || !fields.names.includes("origin")) return undefined;
  return fields.first("access-control-request-method");
}

function allowedOrigin(rules: CorsPolicy, fields: Fields): string | undefined {
  const origin = fields.first("origin");
  if (origin === undefined || fields.repeated("origin")) return undefined;
  if (rules.origins[0] === "*") return "*";
  return rules.origins.includes(origin) ? origin : undefined;
}

/** Fields for an actual answer, also for refusals; `Vary` stands whenever the answer depends on the origin. */
export function corsFields(rules: CorsPolicy, fields: Fields): string[] {
  const out = rules.origins[0] === "*" ? [] : ["Vary", "Origin"];
  const origin = allowedOrigin(rules, fields);
  if (origin === undefined) return out;
  out.push("Access-Control-Allow-Origin", origin);
  if (rules.credentials) out.push("Access-Control-Allow-Credentials", "true");
  if (rules.expose.length > 0) out.push("Access-Control-Expose-Headers", rules.expose.join(", "));
  return out;
}

/** Fields of the preflight's answer; without an allow field when origin, method or headers are not allowed. */
export function preflightFields(rules: CorsPolicy, fields: Fields): string[] {
  const out = ["Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"];
  const origin = allowedOrigin(rules, fields);
  const method = fields.first("access-control-request-method") ?? "";
  if (origin === undefined || !rules.methods.includes(method) || !headersAllowed(rules, fields)) return out;
  out.push("Access-Control-Allow-Origin", origin, "Access-Control-Allow-Methods", rules.methods.join(", "));
  if (rules.headers.length > 0) out.push("Access-Control-Allow-Headers", rules.headers.join(", "));
  if (rules.credentials) out.push("Access-Control-Allow-Credentials", "true");
  out.push("Access-Control-Max-Age", String(rules.maxAgeSeconds));
  return out;
}

function headersAllowed(rules: CorsPolicy, fields: Fields): boolean {
  for (const line of fields.all("access-control-request-headers")) {
    for (const name of line.split(",")) {
      const wanted = name.trim().toLowerCase();
      if (wanted !== "" && !rules.headers.includes(wanted)) return false;
    }
  }
  return true;
}
