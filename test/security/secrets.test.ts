// Secrets, the gateway's own surface, and where it can be made to connect to.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, runCases } from "../support/cases.ts";
import { runCli } from "../support/gateway.ts";
import { AUDIENCE, type RequestSpec, type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    upstreams: `
  dead: { url: "http://127.0.0.1:1", timeouts: { connect: 300ms } }`,
    sections: `redis: { url: "redis://:\${REDIS_PASSWORD}@127.0.0.1:1", timeout: 50ms }`,
    routes: `
  - { match: /dead/*, to: dead, auth: [jwt, apiKey], scopes: [read] }
  - { match: /limited/*, to: app, auth: [jwt, apiKey], limit: { rate: 5/h, per: user, onStoreFailure: deny } }
`,
    env: { REDIS_PASSWORD: REDIS_PASSWORD },
    untilReady: false,
  });
  rig.canaries.add("the Redis password", REDIS_PASSWORD);
});
afterAll(() => rig?.stop());

const REDIS_PASSWORD = "canary-redis-password-8f3Kq0Zr";

/** A request with a secret in every place where callers put them. */
function laden(one: Rig, target: string): RequestSpec {
  const { canaries } = one;
  const cookie = canaries.make("a session cookie");
  const query = canaries.make("a query value");
  return {
    target: `${target}?code=${query}&client_secret=${query}`,
    headers: {
      ...one.bearer(),
      Cookie: `session=${cookie}; __Host-gw=${cookie}`,
      "X-Csrf-Token": cookie,
      Referer: `https://app.test/?token=${query}`,
      "User-Agent": `agent/${query}`,
    },
  };
}

runCases(
  () => rig,
  [
    ...(
      [
        ["a refusal for want of scope", "/admin/x", 403, "untouched"],
        ["an unreachable upstream", "/dead/x", 502, "untouched"],
        ["an unreachable limiter", "/limited/x", 503, "untouched"],
        ["an unknown route", "/none/x", 404, "untouched"],
        ["a path that climbs", "/api/../x", 400, "untouched"],
        ["a forwarded request", "/api/x", 200, 1],
      ] as const
    ).map(
      ([title, target, status, upstream]): Case => ({
        id: "★A01",
        title: `writes no secret of a caller anywhere on ${title}`,
        request: (one) => laden(one, target),
        expect: { status, upstream },
      }),
    ),
    {
      id: "★K11",
      title: "writes no key when the upstream fails",
      request: (one) => ({ target: "/dead/x", headers: { "X-API-Key": one.keys.reader } }),
      expect: { status: 502, upstream: "untouched" },
    },
    {
      id: "★K11",
      title: "names a key by its id when the limiter fails, never by its value",
      request: (one) => ({ target: "/limited/x", headers: { "X-API-Key": one.keys.reader } }),
      expect: {
        status: 503,
        code: "limiter_unavailable",
        reason: "limiter_unavailable",
        upstream: "untouched",
      },
      also: ({ rig: one }) => {
        expect(one.gateway.logsOf("decision").at(-1)?.keyId).toBe("reader");
      },
    },
    {
      id: "★A01",
      title: "writes no part of a token that it refuses",
      request: (one) => ({ target: "/api/x", headers: { Authorization: `Bearer ${one.token({ exp: 1 })}` } }),
      expect: { status: 401, upstream: "untouched" },
    },
    {
      id: "★A01",
      title: "writes no Basic credential",
      request: (one) => ({
        target: "/api/x",
        headers: {
          Authorization: `Basic ${Buffer.from(`u:${one.canaries.make("a password")}`).toString("base64")}`,
        },
      }),
      expect: { status: 401, upstream: "untouched" },
    },
    {
      id: "★A01",
      title: "writes nothing of a request that its parser refuses",
      bytes: (one) =>
        `GET /api/x HTTP/1.1\r\nHost: rig.test\r\nAuthorization: Bearer ${one.token()}\r\nBad Header\r\n\r\n`,
      expect: { status: 400, closed: true, upstream: "untouched" },
    },
    ...[
      "/metrics",
      "/debug/pprof",
      "/status",
      "/api/v1/keys",
      "/admin",
      "/config",
      "/.env",
      "//metrics",
      "/metrics/",
      "/_health",
      "/server-status",
      "http://rig.test/metrics",
      "/api/v1/openapi.json",
    ].map(
      (target): Case => ({
        id: "★A02",
        title: `offers no ${target} on the traffic port`,
        bytes: requestBytes({ target }),
        expect: { status: [400, 401, 404], upstream: "untouched" },
      }),
    ),
    ...["localhost", "127.0.0.1:9090", "admin", "[::1]"].map(
      (host): Case => ({
        id: "★A02",
        title: `offers no metrics to a request for the host ${host}`,
        bytes: requestBytes({ target: "/metrics", headers: { Host: host } }),
        expect: { status: 404, upstream: "untouched" },
      }),
    ),
    {
      id: "★A02",
      title: "says no more than needed in its health answers",
      bytes: requestBytes({ target: "/healthz" }),
      expect: { status: 200, upstream: "untouched" },
      also: ({ first }) => expect(first?.text).toBe('{"status":"ok"}'),
    },
    ...[
      ["a Host of another port", { target: "/public/x", headers: { Host: "127.0.0.1:1" } }],
      [
        "X-Forwarded-Host",
        {
          target: "/public/x",
          headers: { "X-Forwarded-Host": "127.0.0.1:1", Forwarded: "host=127.0.0.1:1" },
        },
      ],
      ["an @ in the path", { target: "/public/@127.0.0.1:1/x" }],
      ["a URL in the path's rest", { target: "/public/http:%20127.0.0.1:1" }],
      ["a URL in the query", { target: "/public/x?url=http://127.0.0.1:1/" }],
    ].map(
      ([title, request]): Case => ({
        id: "★A07",
        title: `connects to the configured upstream whatever ${title} says`,
        request: request as NonNullable<Case["request"]>,
        expect: { status: 200, upstream: 1 },
      }),
    ),
    ...[
      "//127.0.0.1:1/x",
      "//evil.test/public/x",
      "@127.0.0.1:1",
      "/\\127.0.0.1:1/",
      "http://127.0.0.1:1/public/x",
    ].map(
      (target): Case => ({
        id: "★A07",
        title: `refuses the target ${target}`,
        bytes: requestBytes({ target }),
        expect: { status: [400, 404], upstream: "untouched" },
      }),
    ),
    ...["a\u2028b", "\x1b[31mred\x1b[0m", '","type":"audit","x":"', "%0d%0afake", "\x7f"].map(
      (text): Case => ({
        id: "A05",
        title: `keeps ${JSON.stringify(text)} inside one log line`,
        bytes: Buffer.from(
          `GET /public/x HTTP/1.1\r\nHost: rig.test\r\nUser-Agent: ${text}\r\nX-Request-Id: ${text}\r\n\r\n`,
          "utf8",
        ),
        expect: { status: [200, 400], upstream: 1 },
        also: ({ rig: one }) => {
          expect(one.gateway.logs.filter((line) => "text" in line)).toEqual([]);
          expect(one.gateway.logsOf("audit")).toEqual([]);
          expect(one.gateway.stdout.join("\n")).not.toContain("\x1b");
        },
      }),
    ),
    {
      id: "A10",
      title: "tells nothing about itself in a refusal",
      bytes: requestBytes({ target: "/none" }),
      expect: { status: 404, upstream: "untouched" },
      also: ({ raw }) =>
        expect(raw.toString()).not.toMatch(/node|hono|undici|x-powered-by|^server:|[0-9]+\.[0-9]+\.[0-9]+/im),
    },
    {
      id: "A11",
      title: "logs a request that its parser refuses, with the peer's address",
      bytes: "GET /x HTTP/1.1\r\nHost: rig.test\r\nBad Header\r\n\r\n",
      expect: { status: 400, closed: true, upstream: "untouched" },
      also: async ({ rig: one }) => {
        const line = await one.gateway.waitForLog(
          (log) => log.type === "access" && log.code === "request_invalid",
        );
        expect(line?.client).toBe("127.0.0.1");
      },
    },
  ],
);

describe("where the gateway may connect to", () => {
  const file = (issuer: string): string => `
listen: 127.0.0.1:0
issuers: { a: ${issuer} }
upstreams: { app: "http://127.0.0.1:1" }
routes: [{ match: /x, to: app, auth: [jwt] }]
`;

  test.each([
    ["plain HTTP", `{ issuer: "http://login.example.com", audience: ${AUDIENCE} }`],
    [
      "plain HTTP to a link-local address",
      `{ issuer: "https://login.example.com", jwksUri: "http://169.254.169.254/keys", audience: ${AUDIENCE} }`,
    ],
    [
      "a file",
      `{ issuer: "https://login.example.com", jwksUri: "file:///etc/passwd", audience: ${AUDIENCE} }`,
    ],
    [
      "userinfo",
      `{ issuer: "https://login.example.com", jwksUri: "https://user:pass@login.example.com/keys", audience: ${AUDIENCE} }`,
    ],
    [
      "another scheme",
      `{ issuer: "https://login.example.com", jwksUri: "gopher://login.example.com/keys", audience: ${AUDIENCE} }`,
    ],
    [
      "no URL at all",
      `{ issuer: "https://login.example.com", jwksUri: "keys.json.example", audience: ${AUDIENCE} }`,
    ],
  ])("★A06 an issuer with %s is refused at load", async (_, issuer) => {
    const { code, stdout, stderr } = await runCli(["start", "-c", "gateway.yaml"], file(issuer));
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(/gateway\.yaml:3:\d+/);
    expect(stdout + stderr).not.toContain("user:pass");
  });
});

test("★A01 the configured secrets are nowhere after all this", () => {
  rig.assertQuiet();
  expect(rig.gateway.logs.length).toBeGreaterThan(50);
});
