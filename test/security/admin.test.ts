// The admin port under attack: it can't be reached through the traffic port, and who reaches it needs its token or has to
// be on this machine.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Canaries } from "../support/canary.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { exchange, type RawResponse } from "../support/raw-client.ts";
import { type RequestSpec, requestBytes } from "../support/rig.ts";

const canaries = new Canaries();
const TOKEN = canaries.make("the admin token", 48);
const TRAFFIC = `listen: 127.0.0.1:0
upstreams: { app: http://127.0.0.1:9 }
routes:
  - { match: /app/*, to: app, public: true, limit: 5/min per ip }
`;
const IDENTITY = "/api/v1/limits/counters?key=ip:127.0.0.1";
const GUARDED = ["/metrics", "/api/v1/limits", IDENTITY, "/", "/nowhere", "/api/v1/keys"];

let guarded: TestGateway;
let open: TestGateway;
beforeAll(async () => {
  [guarded, open] = await Promise.all([
    startGateway(`${TRAFFIC}admin: { listen: 127.0.0.1:0, token: "\${ADMIN_TOKEN}" }\n`, {
      env: { ADMIN_TOKEN: TOKEN },
    }),
    startGateway(`${TRAFFIC}admin: 127.0.0.1:0\n`),
  ]);
});
afterAll(async () => {
  for (const one of [guarded, open]) {
    if (one === undefined) continue;
    await one.stop();
    canaries.assertNoCanary({ log: one.stdout.join("\n"), "standard error": one.stderr });
    // A token that was tried is as secret as one that fits.
    expect(one.stdout.join("\n")).not.toContain("tried-token");
  }
});

function adminPort(gateway: TestGateway): number {
  const { address } = gateway.logs.find((line) => line.event === "admin_listening") ?? {};
  return Number(/:(\d+)$/.exec(String(address))?.[1]);
}

/** The answer of the admin port to one request; Host is loopback unless given. */
async function ask(gateway: TestGateway, request: RequestSpec): Promise<RawResponse> {
  const headers = { Host: "127.0.0.1", ...(request.headers as Record<string, string>) };
  return await send(adminPort(gateway), requestBytes({ ...request, headers }), request.method === "HEAD");
}

async function send(port: number, bytes: Buffer | string, head = false): Promise<RawResponse> {
  const { responses } = await exchange(port, bytes, { heads: [head] });
  const [answer] = responses;
  if (answer === undefined) throw new Error("no answer");
  canaries.assertNoCanary({ answer: answer.text });
  return answer;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const codeOf = (answer: RawResponse): unknown => (answer.json as { code?: unknown } | undefined)?.code;

describe("the traffic port of a gateway with an admin port", () => {
  const port = () => adminPort(guarded);

  test.each([
    "/metrics",
    "//metrics",
    "/metrics/",
    "/./metrics",
    "/%6detrics",
    "/api/v1/limits",
    IDENTITY,
    "http://127.0.0.1/metrics",
    "http://localhost:9090/metrics",
    "/app/../metrics",
    "/app/..%2fmetrics",
  ])("★A02 doesn't serve %s, not even with the token", async (target) => {
    for (const host of ["rig.test", "127.0.0.1", `127.0.0.1:${port()}`, "localhost"]) {
      const answer = await send(
        guarded.port,
        requestBytes({ target, headers: { Host: host, ...bearer(TOKEN) } }),
      );
      expect([400, 404]).toContain(answer.status);
      expect(answer.text).not.toContain("gateway_");
    }
  });

  test("★A02 doesn't serve metrics by a header that names the admin port", async () => {
    const answer = await send(
      guarded.port,
      requestBytes({
        target: "/metrics",
        headers: {
          Host: `127.0.0.1:${port()}`,
          "X-Forwarded-Host": `127.0.0.1:${port()}`,
          "X-Forwarded-Port": String(port()),
          "X-Original-URL": "/metrics",
          "X-Rewrite-URL": "/metrics",
        },
      }),
    );
    expect(answer.status).toBe(404);
  });

  test("★A02 resets nothing", async () => {
    const answer = await send(
      guarded.port,
      requestBytes({ method: "DELETE", target: IDENTITY, headers: bearer(TOKEN) }),
    );
    expect(answer.status).toBe(404);
    expect(guarded.logsOf("audit")).toEqual([]);
  });
});

describe("the admin port with a token", () => {
  test.each(GUARDED)("★A03 refuses %s without the token, and tells nothing", async (target) => {
    for (const method of ["GET", "DELETE", "OPTIONS"]) {
      const answer = await ask(guarded, { method, target });
      expect([answer.status, codeOf(answer)]).toEqual([401, "credentials_missing"]);
      expect(answer.header("www-authenticate")).toBe('Bearer realm="gatewarden-admin"');
    }
  });

  test.each([
    ["another token", "Bearer tried-token-0123456789abcdef0123456789"],
    ["no token", "Bearer"],
    ["an empty token", "Bearer "],
    ["the token and more", `Bearer ${TOKEN}x`],
    ["the beginning of the token", `Bearer ${TOKEN.slice(0, -1)}`],
    ["two tokens", `Bearer ${TOKEN} ${TOKEN}`],
    ["a list of tokens", `Bearer tried-token, Bearer ${TOKEN}`],
    ["another scheme", `Basic ${TOKEN}`],
    ["a default password", `Basic ${Buffer.from("admin:admin").toString("base64")}`],
    ["the bare token", TOKEN],
  ])("★A03 refuses %s", async (_what, authorization) => {
    const answer = await ask(guarded, { target: "/metrics", headers: { Authorization: authorization } });
    expect([answer.status, codeOf(answer)]).toEqual([401, "token_invalid"]);
    expect(answer.header("www-authenticate")).toContain('error="invalid_token"');
  });

  test.each([
    `/metrics?token=${TOKEN}`,
    `/metrics?access_token=${TOKEN}`,
  ])("★A03 takes no token from the query or a cookie", async (target) => {
    const answer = await ask(guarded, { target, headers: { Cookie: `token=${TOKEN}`, "X-API-Key": TOKEN } });
    expect(answer.status).toBe(401);
  });

  test("★A03 lets its token in, in any case of the scheme, and tells health to everybody", async () => {
    for (const scheme of ["Bearer", "bearer", "BEARER"]) {
      const headers = { Authorization: `${scheme} ${TOKEN}` };
      expect((await ask(guarded, { target: "/metrics", headers })).status).toBe(200);
    }
    expect((await ask(guarded, { target: "/healthz" })).text).toBe('{"status":"ok"}');
    expect((await ask(guarded, { target: "/readyz", headers: { Host: "gateway.test" } })).text).toBe(
      '{"status":"ready"}',
    );
  });
});

describe("the admin port without a token", () => {
  test.each([
    "evil.test",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "128.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::2]",
    "localhost:9090.evil.test",
    "2130706433",
    "0x7f.1",
  ])("★A03 refuses the Host %s, which a rebound name sends", async (host) => {
    for (const target of ["/metrics", "/healthz", IDENTITY, "/nowhere"])
      for (const method of ["GET", "DELETE", "POST"]) {
        const answer = await ask(open, { method, target, headers: { Host: host } });
        expect([421, 400]).toContain(answer.status);
        expect(answer.text).not.toContain("gateway_");
      }
  });

  test.each([
    "localhost",
    "LOCALHOST:1",
    "127.0.0.1",
    "127.8.9.1:9090",
    "[::1]",
    "[::1]:9090",
  ])("★A03 serves the Host %s", async (host) => {
    expect((await ask(open, { target: "/metrics", headers: { Host: host } })).status).toBe(200);
  });

  test.each([
    "http://evil.test",
    "null",
    "http://localhost:3000",
    "http://127.0.0.1",
  ])("★A03 refuses a web page of the Origin %s", async (origin) => {
    for (const method of ["GET", "DELETE", "OPTIONS"]) {
      const answer = await ask(open, { method, target: IDENTITY, headers: { Origin: origin } });
      expect([answer.status, codeOf(answer)]).toEqual([403, "csrf_rejected"]);
      expect(answer.header("access-control-allow-origin")).toBeUndefined();
    }
  });

  test("★A03 refuses a target with a host of its own, and requests with no Host or two", async () => {
    const port = adminPort(open);
    for (const head of [
      "GET http://evil.test/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
      "GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: evil.test\r\n\r\n",
      "GET /metrics HTTP/1.1\r\n\r\n",
      "GET /metrics HTTP/1.0\r\n\r\n",
      "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.test\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ]) {
      const answer = await send(port, head);
      expect([answer.status, codeOf(answer)]).toEqual([400, "request_invalid"]);
    }
  });

  test("is never asked by the page's own cache, nor shown inside another page", async () => {
    for (const target of ["/metrics", "/healthz", "/nowhere"]) {
      const answer = await ask(open, { target });
      expect([
        answer.header("cache-control"),
        answer.header("x-content-type-options"),
        answer.header("cross-origin-resource-policy"),
      ]).toEqual(["no-store", "nosniff", "same-origin"]);
    }
  });
});

describe("the admin port is bounded:", () => {
  const local = (head: string): string => `${head}Host: 127.0.0.1\r\n`;

  test.each([
    ["a body", `${local("POST /metrics HTTP/1.1\r\n")}Content-Length: 3\r\n\r\nabc`, 413, "body_too_large"],
    [
      "a chunked body",
      `${local(`DELETE ${IDENTITY} HTTP/1.1\r\n`)}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      413,
      "body_too_large",
    ],
    [
      "a long header section",
      `${local("GET /metrics HTTP/1.1\r\n")}X: ${"a".repeat(20_000)}\r\n\r\n`,
      431,
      "headers_too_large",
    ],
    ["what is no request", "bogus\r\n\r\n", 400, "request_invalid"],
    [
      "an expectation",
      `${local("GET /metrics HTTP/1.1\r\n")}Expect: 100-continue\r\n\r\n`,
      417,
      "expectation_failed",
    ],
    ["a tunnel", `${local("CONNECT 127.0.0.1:1 HTTP/1.1\r\n")}\r\n`, 405, "method_not_allowed"],
    ["another method", `${local("POST /metrics HTTP/1.1\r\n")}\r\n`, 405, "method_not_allowed"],
    [
      "a long key",
      `${local(`GET ${IDENTITY}${"a".repeat(3_000)} HTTP/1.1\r\n`)}\r\n`,
      400,
      "request_invalid",
    ],
  ])("%s is refused", async (_what, bytes, status, code) => {
    const answer = await send(adminPort(open), bytes);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect(answer.header("content-type")).toBe("application/problem+json");
    expect((await ask(open, { target: "/healthz" })).status).toBe(200);
  });

  test("an upgrade is answered as if it weren't one", async () => {
    const bytes = `${local("GET /healthz HTTP/1.1\r\n")}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    expect((await send(adminPort(open), bytes)).status).toBe(200);
  });

  test("whoever is slow to ask is told so and let go", async () => {
    const { responses, end } = await exchange(adminPort(open), "GET /metrics HTTP/1.1\r\nHost: 127", {
      untilClose: true,
      timeoutMs: 9_000,
    });
    expect(responses[0]?.status).toBe(408);
    expect(end).not.toBe("open");
  });
});
