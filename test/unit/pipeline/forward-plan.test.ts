import { expect, test } from "vitest";
import { type ForwardPlan, portOf, upstreamPath } from "../../../src/pipeline/forward-plan.ts";
import { gatewayRequest } from "../../support/requests.ts";

/** The two members that decide on the path. */
function plan(stripPrefix: string, basePath: string): ForwardPlan {
  return { stripPrefix, upstream: { basePath } } as ForwardPlan;
}

test.each([
  ["/api/modules?a=b", "", "", "/api/modules?a=b"],
  ["/api/modules?a=b", "/api", "", "/modules?a=b"],
  ["/api", "/api", "", "/"],
  ["/api/", "/api", "", "/"],
  ["/api?x", "/api", "", "/?x"],
  ["/apix/modules", "/api", "", "/apix/modules"],
  ["/other", "/api", "", "/other"],
  ["/api/modules", "/api", "/v1", "/v1/modules"],
  ["/api", "/api", "/v1", "/v1/"],
  ["/", "", "/v1", "/v1/"],
  ["/caf%c3%a9/%7Euser", "", "", "/caf%C3%A9/~user"],
])("%s without %j below %j goes out as %s", (target, stripPrefix, basePath, path) => {
  expect(upstreamPath(plan(stripPrefix, basePath), gatewayRequest({ target }))).toBe(path);
});

test.each([
  ["api.example.com", "http", "80"],
  ["api.example.com", "https", "443"],
  ["api.example.com:8080", "http", "8080"],
  ["[2001:db8::1]", "http", "80"],
  ["[2001:db8::1]:8443", "https", "8443"],
  ["", "http", "80"],
] as const)("a client of %j over %s addressed port %s", (authority, scheme, port) => {
  expect(portOf(gatewayRequest({ authority, scheme }))).toBe(port);
});
