// The task that the product is measured by, done as a user would: a file of a dozen lines, an OpenID provider found by
// discovery, a key from the command line, a real Redis, a backend that knows nothing of authentication.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { runCli, startGateway, type TestGateway } from "../support/gateway.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { type Description, startUpstream, type TestUpstream } from "./upstream.ts";

const MOST_LINES = 16;
const CLIENT_SECRET = "a-secret-of-a-test-client";

let server: Server;
let redis: TestRedis;
let upstream: TestUpstream;
let gateway: TestGateway;
let issuer: string;
let apiKey: string;
let yaml: string;

/** An OpenID provider with a key of its own that gives JWT access tokens for the API. */
async function startProvider(): Promise<void> {
  // It warns that its store is in memory, which is what a test wants, and of runtimes newer than itself as it loads.
  const silence = vi.spyOn(console, "warn").mockImplementation(() => {});
  const { default: Provider } = await import("oidc-provider");
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const client = {
    client_secret: CLIENT_SECRET,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  };
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256", kid: "one" }] },
    clients: [
      { ...client, client_id: "alice" },
      { ...client, client_id: "bob" },
    ],
    scopes: ["modules:read", "modules:write"],
    ttl: { ClientCredentials: 300 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          audience: "modules-api",
          scope: "modules:read modules:write",
          accessTokenFormat: "jwt",
          accessTokenTTL: 300,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  silence.mockRestore();
  server.on("request", provider.callback());
}

/** An access token of the provider. */
async function tokenFor(client: string, scope: string): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`${client}:${CLIENT_SECRET}`)}` },
    body: new URLSearchParams({
      grant_type: "client_credentials",
      scope,
      resource: "https://modules.example.com/",
    }),
  });
  const body = (await response.json()) as { readonly access_token?: string };
  if (body.access_token === undefined) throw new Error(`the provider gave no token: ${JSON.stringify(body)}`);
  return body.access_token;
}

beforeAll(async () => {
  const [made] = await Promise.all([
    runCli(["key", "create", "--id", "ci-bot", "--scopes", "modules:read", "--format", "json"], ""),
    startProvider(),
    startRedis().then((started) => {
      redis = started;
    }),
    startUpstream().then((started) => {
      upstream = started;
    }),
  ]);
  const created = JSON.parse(made.stdout) as { readonly key: string; readonly entry: { hash: string } };
  apiKey = created.key;
  yaml = `listen: 127.0.0.1:0
issuers:
  corp: { issuer: "${issuer}", audience: modules-api }
apiKeys:
  - { id: ci-bot, hash: "${created.entry.hash}", scopes: [modules:read] }
redis: \${REDIS_URL}
upstreams:
  modules: ${upstream.url}
routes:
  - match: GET /modules
    to: modules
    auth: [jwt, apiKey]
    scopes: [modules:read]
    limit: 100/min per user
`;
  gateway = await startGateway(yaml, { env: { REDIS_URL: redis.url } });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await redis?.stop();
  server?.closeAllConnections();
  server?.close();
});

function modules(headers: Readonly<Record<string, string>> = {}, method = "GET"): Promise<Response> {
  return fetch(`${gateway.url}/modules`, { method, headers });
}

const bearer = (token: string): { readonly Authorization: string } => ({ Authorization: `Bearer ${token}` });

async function codeOf(response: Response): Promise<readonly [number, unknown]> {
  return [response.status, ((await response.json()) as { readonly code?: unknown }).code];
}

test(`the whole file has at most ${MOST_LINES} lines`, () => {
  expect(yaml.trim().split("\n").length).toBeLessThanOrEqual(MOST_LINES);
});

test("a token of the provider is let through, and the backend learns who calls", async () => {
  const response = await modules(bearer(await tokenFor("alice", "modules:read")));
  expect(response.status).toBe(200);
  const { method, url, headers } = (await response.json()) as Description;
  expect([method, url]).toEqual(["GET", "/modules"]);
  expect(headers).toMatchObject({
    "x-user-id": "alice",
    "x-user-scopes": "modules:read",
    "x-auth-method": "jwt",
    "x-client-id": "alice",
  });
  expect(headers.authorization).toBeUndefined();
});

test("an API key from the command line is let through under its own name", async () => {
  const response = await modules({ "X-API-Key": apiKey });
  expect(response.status).toBe(200);
  const { headers } = (await response.json()) as Description;
  expect(headers).toMatchObject({
    "x-user-id": "ci-bot",
    "x-user-scopes": "modules:read",
    "x-auth-method": "apiKey",
  });
  expect(headers["x-api-key"]).toBeUndefined();
});

test("without a credential the answer is 401 with a challenge", async () => {
  const response = await modules();
  expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
  expect(await codeOf(response)).toEqual([401, "credentials_missing"]);
});

test("a token without the scope gets 403 and hears which one is needed", async () => {
  const response = await modules(bearer(await tokenFor("alice", "modules:write")));
  expect(response.headers.get("www-authenticate")).toContain('scope="modules:read"');
  expect(await codeOf(response)).toEqual([403, "scope_insufficient"]);
});

test("another method of the path is 405, another path 404, both without credentials", async () => {
  const wrongMethod = await modules({}, "DELETE");
  expect(wrongMethod.headers.get("allow")).toContain("GET");
  expect(await codeOf(wrongMethod)).toEqual([405, "method_not_allowed"]);
  expect(await codeOf(await fetch(`${gateway.url}/other`))).toEqual([404, "route_not_found"]);
});

test("of 120 requests of one user exactly 100 pass, and another user is not touched", async () => {
  const token = await tokenFor("bob", "modules:read");
  const before = upstream.requests;
  const statuses: number[] = [];
  for (let sent = 0; sent < 120; sent++) {
    const response = await modules(bearer(token));
    statuses.push(response.status);
    await response.arrayBuffer();
  }
  expect(statuses.slice(0, 100).every((status) => status === 200)).toBe(true);
  expect(statuses.slice(100)).toEqual(Array.from({ length: 20 }, () => 429));
  expect(upstream.requests - before).toBe(100);
  const refused = await modules(bearer(token));
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(refused.headers.get("ratelimit-limit")).toBe("100");
  expect(refused.headers.get("ratelimit-remaining")).toBe("0");
  expect(await codeOf(refused)).toEqual([429, "rate_limited"]);
  expect((await modules(bearer(await tokenFor("alice", "modules:read")))).status).toBe(200);
});
