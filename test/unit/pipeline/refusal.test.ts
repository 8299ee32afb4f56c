import { describe, expect, test } from "vitest";
import { DENIALS, type Denial, type DenialCode, deny } from "../../../src/core/denial.ts";
import { type RefusalContext, renderRefusal } from "../../../src/pipeline/refusal.ts";
import { namesOf, valuesOf } from "../../support/requests.ts";

const HTTP: RefusalContext = {
  protocol: "http",
  requestId: "request-1",
  contentType: "application/json",
  fields: [],
};
const GRPC_WEB: RefusalContext = { ...HTTP, protocol: "grpc-web", contentType: "application/grpc-web+proto" };
const CODES = Object.keys(DENIALS) as DenialCode[];

/** A refusal with every member that one can have. */
const FULL: Denial = deny("scope_insufficient", "scope_missing", {
  detail: "The detail",
  requiredScopes: ["modules:read"],
  retryAfterSeconds: 12,
  allow: "GET, HEAD",
  challenges: ["Bearer a", "ApiKey b"],
});

describe("an HTTP caller", () => {
  test("gets a problem document with every member that applies", () => {
    const answer = renderRefusal(FULL, HTTP);
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toEqual({
      type: "urn:gatewarden:error:scope_insufficient",
      title: "A required scope is missing",
      status: 403,
      detail: "The detail",
      code: "scope_insufficient",
      requestId: "request-1",
      requiredScopes: ["modules:read"],
      retryAfter: 12,
    });
    expect(valuesOf(answer.fields, "WWW-Authenticate")).toEqual(["Bearer a", "ApiKey b"]);
    expect(valuesOf(answer.fields, "Retry-After")).toEqual(["12"]);
    expect(valuesOf(answer.fields, "Allow")).toEqual(["GET, HEAD"]);
  });

  test("gets no member that doesn't apply", () => {
    const answer = renderRefusal(deny("route_not_found"), HTTP);
    expect(Object.keys(JSON.parse(answer.body))).toEqual([
      "type",
      "title",
      "status",
      "detail",
      "code",
      "requestId",
    ]);
    expect(namesOf(answer.fields).sort()).toEqual([
      "cache-control",
      "content-length",
      "content-type",
      "x-content-type-options",
      "x-request-id",
    ]);
  });

  test("gets the fields of the route before all others", () => {
    const answer = renderRefusal(deny("rate_limited"), { ...HTTP, fields: ["RateLimit-Limit", "5"] });
    expect(answer.fields.slice(0, 2)).toEqual(["RateLimit-Limit", "5"]);
  });

  test.each(CODES)("gets a complete answer for %s that isn't stored and tells no reason", (code) => {
    const answer = renderRefusal(deny(code, "secret_reason"), HTTP);
    expect(answer.status).toBe(DENIALS[code].status);
    expect(valuesOf(answer.fields, "Content-Type")).toEqual(["application/problem+json"]);
    expect(valuesOf(answer.fields, "Cache-Control")).toEqual(["no-store"]);
    expect(valuesOf(answer.fields, "Content-Length")).toEqual([String(Buffer.byteLength(answer.body))]);
    expect(answer.body + answer.fields.join()).not.toContain("secret_reason");
    expect(answer.grpcStatus).toBeUndefined();
  });
});

describe("a gRPC-Web caller", () => {
  test.each<readonly [DenialCode, number]>([
    ["credentials_missing", 16],
    ["token_expired", 16],
    ["scope_insufficient", 7],
    ["rate_limited", 8],
    ["route_not_found", 12],
    ["request_target_invalid", 3],
    ["upstream_unreachable", 14],
    ["upstream_timeout", 4],
  ])("reads %s as status %d from the header section of an empty 200", (code, status) => {
    const answer = renderRefusal(deny(code), GRPC_WEB);
    expect([answer.status, answer.body, answer.grpcStatus]).toEqual([200, "", status]);
    expect(valuesOf(answer.fields, "grpc-status")).toEqual([String(status)]);
    expect(valuesOf(answer.fields, "grpc-message")).toEqual([`${code}: ${DENIALS[code].title}`]);
    expect(valuesOf(answer.fields, "Content-Length")).toEqual(["0"]);
  });

  test.each([
    ["application/grpc-web+proto", "application/grpc-web+proto"],
    ["application/grpc-web-text; charset=utf-8", "application/grpc-web-text"],
    ["application/grpc", "application/grpc"],
    ["application/grpc-web+x\u0000y", "application/grpc-web+proto"],
    [undefined, "application/grpc-web+proto"],
  ])("of type %j gets %s", (contentType, type) => {
    const answer = renderRefusal(deny("credentials_missing"), { ...GRPC_WEB, contentType });
    expect(valuesOf(answer.fields, "Content-Type")).toEqual([type]);
  });

  test.each([
    ["token expired", "token expired"],
    ["100% é\r\n", "100%25 %C3%A9%0D%0A"],
    ["😀", "%F0%9F%98%80"],
    ["~ !\"#$&'", "~ !\"#$&'"],
  ])("reads the message %j as %j", (detail, message) => {
    const answer = renderRefusal(deny("token_invalid", "x", { detail }), GRPC_WEB);
    expect(valuesOf(answer.fields, "grpc-message")).toEqual([`token_invalid: ${message}`]);
  });

  test("gets challenges, waits and the route's fields like everyone", () => {
    const answer = renderRefusal(FULL, { ...GRPC_WEB, fields: ["Vary", "Origin"] });
    expect(valuesOf(answer.fields, "WWW-Authenticate")).toEqual(["Bearer a", "ApiKey b"]);
    expect(valuesOf(answer.fields, "Retry-After")).toEqual(["12"]);
    expect(valuesOf(answer.fields, "Vary")).toEqual(["Origin"]);
    expect(valuesOf(answer.fields, "X-Request-Id")).toEqual(["request-1"]);
  });
});

test("the connection ends after what was not read to its end or can't be trusted, and after nothing else", () => {
  const closing = CODES.filter((code) => renderRefusal(deny(code), HTTP).closes);
  expect(closing.sort()).toEqual([
    "body_too_large",
    "draining",
    "headers_too_large",
    "not_implemented",
    "request_invalid",
    "request_timeout",
    "url_too_long",
  ]);
  expect(CODES.filter((code) => renderRefusal(deny(code), GRPC_WEB).closes).sort()).toEqual(closing);
});
