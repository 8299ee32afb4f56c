import { describe, expect, test } from "vitest";
import { catalogueEntry, DENIALS, type DenialCode, deny } from "../../../src/core/denial.ts";

/** HTTP status, gRPC status and, where RFC 6750 has one, the bearer error of every code that users rely on. */
const PROMISED: Readonly<Record<DenialCode, readonly [status: number, grpc: number, bearer?: string]>> = {
  request_target_invalid: [400, 3],
  request_invalid: [400, 3],
  credentials_ambiguous: [400, 3, "invalid_request"],
  credentials_malformed: [400, 3, "invalid_request"],
  credentials_missing: [401, 16],
  token_invalid: [401, 16, "invalid_token"],
  token_expired: [401, 16, "invalid_token"],
  api_key_invalid: [401, 16],
  scope_insufficient: [403, 7, "insufficient_scope"],
  role_insufficient: [403, 7],
  requirement_failed: [403, 7],
  address_denied: [403, 7],
  csrf_rejected: [403, 7],
  route_not_found: [404, 12],
  method_not_allowed: [405, 12],
  request_timeout: [408, 4],
  body_too_large: [413, 8],
  url_too_long: [414, 3],
  expectation_failed: [417, 3],
  misdirected_request: [421, 14],
  headers_too_large: [431, 8],
  rate_limited: [429, 8],
  too_many_failures: [429, 8],
  internal_error: [500, 13],
  not_implemented: [501, 12],
  upstream_unreachable: [502, 14],
  upstream_invalid: [502, 14],
  draining: [503, 14],
  overloaded: [503, 14],
  limiter_unavailable: [503, 14],
  keys_unavailable: [503, 14],
  upstream_timeout: [504, 4],
};

test.each(Object.entries(PROMISED))("%s is %j", (code, [status, grpc, bearer]) => {
  const entry = catalogueEntry(code as DenialCode);
  expect([entry.status, entry.grpc, entry.bearerError]).toEqual([status, grpc, bearer]);
});

test("no code is in the catalogue that was not promised", () => {
  expect(Object.keys(DENIALS).sort()).toEqual(Object.keys(PROMISED).sort());
});

test("no title tells which check of a credential failed", () => {
  for (const { status, title } of Object.values(DENIALS))
    if (status === 401)
      expect(title).not.toMatch(
        /signature|issuer|audience|hash|checksum|disabled|unknown key|kid|not found/i,
      );
});

describe("a denial", () => {
  test("has its code as its reason unless another is given", () => {
    expect(deny("route_not_found")).toEqual({ code: "route_not_found", reason: "route_not_found" });
    expect(deny("token_invalid", "jwt_signature", { retryAfterSeconds: 1 })).toEqual({
      code: "token_invalid",
      reason: "jwt_signature",
      retryAfterSeconds: 1,
    });
  });
});
