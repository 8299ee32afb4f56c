// The fields that the gateway itself puts on every answer of a route: request id, limits, CORS.

import type { GatewayRequest } from "../core/request.ts";
import { limitFields } from "../rate-limit/fields.ts";
import type { LimitResult } from "../rate-limit/outcome.ts";
import { corsFields } from "./cors.ts";
import type { CompiledRoute } from "./decision.ts";

/** Flat name and value list. A refusal brings its request id itself (`withoutId`). */
export function ownFields(
  { legacyLimitFields }: { readonly legacyLimitFields: boolean },
  request: GatewayRequest,
  route: CompiledRoute,
  limit: LimitResult | undefined,
  withoutId = false,
): string[] {
  const fields = limit === undefined ? [] : limitFields(limit, legacyLimitFields);
  if (!withoutId) fields.push("X-Request-Id", request.id);
  if (route.cors !== undefined) fields.push(...corsFields(route.cors, request.fields));
  return fields;
}
