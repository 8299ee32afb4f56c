// What is explained is what happens: thousands of generated requests, each explained by the running gateway and from its
// file before it is sent, and compared with what came of it. Explaining changes nothing that they depend on.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type RequestOptions,
  type Server,
  request as send,
} from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatKey } from "../../src/authn/api-key/format.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type AskedQuestion, readQuestion } from "../../src/pipeline/asked.ts";
import { decide } from "../../src/pipeline/decide.ts";
import { explain } from "../../src/pipeline/explain.ts";
import type { Explanation } from "../../src/pipeline/explanation.ts";
import { OfflineGateway } from "../../src/pipeline/offline.ts";
import { arrivalOf } from "../../src/pipeline/simulate.ts";
import { Canaries } from "../support/canary.ts";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { makeKey, type SigningKey, signToken } from "../support/tokens.ts";

const REQUESTS = 5_000;
const ISSUER = "https://corp.example/";
const OTHER = "https://other.example/";
const LIVE_KEY = formatKey("live");
const PRO_KEY = formatKey("test");
const PARTNER_KEY = "partner-key-of-an-older-system";
const EXPIRED_KEY = "expired-key-of-an-older-system";
const hashOf = (key: string): string => `sha256:${createHash("sha256").update(key).digest("hex")}`;

const secret = "0123456789abcdef".repeat(4);
const hmac: SigningKey = { alg: "HS256", kid: "h", signer: Buffer.from(secret), pem: "", jwk: {} };
const ecdsa = makeKey("ES256");
const stranger = makeKey("ES256", ecdsa.kid);

const file = (upstream: string): string => `listen: 127.0.0.1:0
admin: 127.0.0.1:0
logs: { access: denied, decisions: all }
trustedProxies: [127.0.0.1/32]
failedCredentials: { limit: 12/h, backoff: 10m, longest: 10m }
legacyRateLimitHeaders: true
issuers:
  corp: { issuer: "${ISSUER}", audience: api, secret: "\${SECRET}", algorithms: [HS256] }
  other: { issuer: "${OTHER}", audience: api, jwks: other.jwks.json, algorithms: [ES256] }
apiKeys:
  - { id: live, hash: "${hashOf(LIVE_KEY)}", scopes: ["a:*"], roles: [user] }
  - { id: pro, hash: "${hashOf(PRO_KEY)}", scopes: [a:read, b:read], tier: pro, limits: [20/h per key] }
  - { id: partner, hash: "${hashOf(PARTNER_KEY)}", subject: partner, scopes: [a:read], allowIps: [192.0.2.0/25] }
  - { id: expired, hash: "${hashOf(EXPIRED_KEY)}", scopes: [a:read], expires: 2020-01-01 }
roles:
  user: { scopes: [b:read] }
  admin: { inherits: [user], scopes: ["*"], tier: pro }
tiers: { guest: 30/h, user: 60/h, pro: 400/h }
upstreams:
  app: ${upstream}
  base: { url: "${upstream}/v1", hostHeader: keep }
routes:
  - { match: GET /a, to: app, auth: [jwt, apiKey], scopes: [a:read], limit: 6/h per user }
  - { match: "GET,POST /a/:id", to: base, auth: [jwt, apiKey], scopes: { any: [a:write, b:read] }, limit: tier, credentials: firstMatch }
  - { match: GET /a/static, to: app, public: true, limit: 2/h per ip }
  - { match: DELETE /a/:id, to: app, auth: ["jwt:corp"], roles: [admin], require: { subject: ":id" } }
  - { match: /orgs/:org/*, to: base, auth: ["jwt:other", apiKey], require: { claims.org: ":org" }, stripPrefix: /orgs }
  - { match: /both, to: app, auth: [{ all: [jwt, apiKey] }], forwardCredentials: true }
  - { match: /open/*, to: app, auth: [jwt, apiKey], optional: true, limit: [50/h per ip, { rate: 30/h, per: user, name: seen, observe: true }] }
  - { match: /inner, to: app, public: true, ips: { allow: [192.0.2.0/26, "2001:db8::/32"], deny: [192.0.2.7] } }
  - { match: /watched, to: app, auth: [jwt], scopes: [none:at:all], observe: [scopes, auth], limit: 35/h per ip }
  - { match: /quiet, to: app, auth: [apiKey], observe: true, ips: { deny: [192.0.2.9] }, limit: 15/h per ip }
  - { match: { path: /h, host: [x.example, "*.y.example"], methods: GET }, to: app, public: true }
  - { match: { path: /h, headers: { x-kind: one } }, to: base, public: true }
  - { match: { path: /h, headers: { x-b: "2" }, query: { q: "1" } }, to: app, auth: [apiKey] }
  - { match: /cors/*, to: app, auth: [apiKey], cors: { origins: ["https://page.example"], methods: [GET, PUT], headers: [x-a], credentials: true } }
  - match: /edited/*
    to: app
    public: true
    headers: { request: { set: { X-Static: fixed, X-Secret: "\${SECRET}" }, remove: [x-b] } }
`;

let upstream: Server;
let gateway: TestGateway;
let offline: OfflineGateway;
const canaries = new Canaries();
let tokens: Readonly<Record<string, string>>;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const adminAgent = new Agent({ keepAlive: true, maxSockets: 1 });
const clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

beforeAll(async () => {
  upstream = createServer({ keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
    const { method, url, rawHeaders } = incoming;
    // In a field, so that HEAD brings it too.
    outgoing.setHeader(
      "X-Echo",
      Buffer.from(JSON.stringify({ method, url, rawHeaders })).toString("base64url"),
    );
    outgoing.end();
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const yaml = file(`http://127.0.0.1:${(upstream.address() as AddressInfo).port}`);
  const files = { "other.jwks.json": JSON.stringify({ keys: [ecdsa.jwk] }) };
  gateway = await startGateway(yaml, { env: { SECRET: secret }, files });
  await writeFile(join(gateway.folder, "gateway.yaml"), yaml);
  const loaded = await loadConfig(join(gateway.folder, "gateway.yaml"), { SECRET: secret });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error.diagnostics));
  offline = new OfflineGateway(loaded.value, clock);
  tokens = makeTokens();
  for (const [name, token] of Object.entries(tokens)) if (token.length > 20) canaries.token(name, token);
  for (const key of [LIVE_KEY, PRO_KEY, PARTNER_KEY, EXPIRED_KEY, secret])
    canaries.add("a key or secret", key);
});

afterAll(async () => {
  agent.destroy();
  adminAgent.destroy();
  await gateway.stop();
  upstream.closeAllConnections();
  upstream.close();
});

function makeTokens(): Readonly<Record<string, string>> {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: ISSUER, aud: "api", iat: now, exp: now + 3_600 };
  const other = { ...claims, iss: OTHER, org: "acme" };
  return {
    reader: signToken({ ...claims, sub: "alice", scope: "a:read" }, hmac),
    admin: signToken({ ...claims, sub: "7", roles: ["admin"] }, hmac),
    tiered: signToken({ ...claims, sub: "tess", tier: "pro", scope: "a:read b:read" }, hmac),
    other: signToken({ ...other, sub: "bob", scope: "b:read none:at:all" }, ecdsa),
    expired: signToken({ ...claims, sub: "alice", exp: now - 3_600 }, hmac),
    audience: signToken({ ...other, sub: "bob", aud: "elsewhere" }, ecdsa),
    forged: signToken({ ...other, sub: "bob" }, stranger),
    unknown: signToken({ ...claims, iss: "https://nobody.example/", sub: "x" }, hmac),
    broken: "not.a.token",
    opaque: "abc",
  };
}

type HeaderLine = readonly [name: string, value: string];

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly HeaderLine[];
}

const PATHS = [
  ...["/a", "/a/", "/a/7", "/a/static", "/a/st%61tic", "/a/%C3%A9", "/a/7/8", "/A", "/aa", "/"],
  ...[
    "/orgs/acme/x",
    "/orgs/other/x",
    "/orgs/acme",
    "/orgs//x",
    "/both",
    "/open/",
    "/open/x?q=1&q=2",
    "/inner",
  ],
  ...["/watched", "/quiet", "/h", "/h?q=1", "/h?q=2", "/cors/x", "/edited/x", "/healthz", "/readyz?x"],
  ...[
    "/a/../b",
    "/a/%2e%2e/b",
    "/a/%2F",
    "/a/%5c",
    "/a/;x",
    "/a//b",
    "/a/%",
    "/a/%zz",
    "/a/%00",
    "/a/%ff",
    "/a/%252e",
  ],
  ...[
    "http://api.example/a",
    "http://elsewhere.example/a",
    "/a?x=%",
    "/a?access_token=abc",
    "/a?x[]=1",
    "/a/<",
    "*",
  ],
];

const spoofs: readonly HeaderLine[] = [
  ["X-User-Id", "root"],
  ["x_user_scopes", "*"],
  ["X-Org-Id-Bin", "AAAA"],
  ["Forwarded", "for=1.2.3.4"],
  ["X-Forwarded-Proto", "https"],
  ["X-Forwarded-Host", "front.example"],
  ["X-Request-Id", "of-the-proxy"],
  ["Via", "1.1 edge"],
  ["TE", "trailers"],
  ["X-B", "2"],
  ["X-Kind", "one"],
  ["X-Kind", "two"],
  ["Cookie", "sid=1"],
  ["Accept", "*/*"],
  ["Content-Type", "application/grpc-web+proto"],
  ["Origin", "https://page.example"],
  ["Access-Control-Request-Method", "PUT"],
  ["X-Forwarded-Access-Token", "abc"],
  ["Transfer_Encoding", "chunked"],
];

function requests(): fc.Arbitrary<Sent> {
  const preflight = fc
    .record({
      path: fc.constantFrom("/cors/x", "/cors/y?q", "/a", "/nowhere"),
      origin: fc.constantFrom("https://page.example", "https://evil.example"),
      method: fc.constantFrom("GET", "PUT", "DELETE"),
      asked: fc.constantFrom("x-a", "x-a, x-b"),
    })
    .map(({ path, origin, method, asked }) => ({
      method: "OPTIONS",
      path,
      headers: [
        ["Host", "api.example"],
        ["Connection", "keep-alive"],
        ["Origin", origin],
        ["Access-Control-Request-Method", method],
        ["Access-Control-Request-Headers", asked],
        ["Content-Length", "0"],
      ] as const,
    }));
  return fc.oneof({ weight: 40, arbitrary: anyRequests() }, { weight: 1, arbitrary: preflight });
}

function anyRequests(): fc.Arbitrary<Sent> {
  const bearer = (token: string): HeaderLine => ["Authorization", `Bearer ${token}`];
  const credential = fc.constantFrom<HeaderLine>(
    ...Object.values(tokens).map(bearer),
    bearer(LIVE_KEY),
    bearer(""),
    ["authorization", "Basic YTpi"],
    ["X-API-Key", LIVE_KEY],
    ["X-API-Key", PRO_KEY],
    ["x-api-key", PARTNER_KEY],
    ["X-API-Key", EXPIRED_KEY],
    ["X-API-Key", `${LIVE_KEY.slice(0, -1)}_`],
    ["X-API-Key", "guess-of-a-partner-key"],
  );
  const address = fc.oneof(
    fc.integer({ min: 1, max: 60 }).map((last) => `192.0.2.${last}`),
    fc.constantFrom(
      "198.51.100.9",
      "2001:db8::1",
      "2001:db8:0:1::2",
      "not an address",
      "10.0.0.1, 127.0.0.1",
    ),
  );
  return fc
    .record({
      method: fc.constantFrom(
        "GET",
        "GET",
        "GET",
        "GET",
        "POST",
        "DELETE",
        "HEAD",
        "OPTIONS",
        "PUT",
        "TRACE",
        "PURGE",
      ),
      path: fc.constantFrom(...PATHS, "/a", "/a/7", "/open/x", "/orgs/acme/x", "/a/static"),
      host: fc.constantFrom("api.example", "api.example", "X.example:8080", "b.y.example.", "bad host", ""),
      address: fc.option(address, { freq: 8 }),
      credentials: fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 7, arbitrary: credential.map((one) => [one]) },
        { weight: 2, arbitrary: fc.array(credential, { minLength: 2, maxLength: 3 }) },
      ),
      more: fc.uniqueArray(fc.constantFrom(...spoofs), { maxLength: 4 }),
      nominated: fc.constantFrom("keep-alive", "keep-alive", "keep-alive, X-User-Id, X-B"),
    })
    .map(({ method, path, host, address: from, credentials, more, nominated }) => ({
      method,
      path,
      headers: [
        ["Host", host],
        ["Connection", nominated],
        ...(from === null ? [] : [["X-Forwarded-For", from] as const]),
        ...credentials,
        ...more,
        ...(method === "GET" || method === "HEAD" || method === "TRACE"
          ? []
          : [["Content-Length", "0"] as const]),
      ],
    }));
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function exchange(options: RequestOptions, body?: string): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = send(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function real({ method, path, headers }: Sent): Promise<Got> {
  return exchange({ host: "127.0.0.1", port: gateway.port, agent, method, path, headers: headers.flat() });
}

async function explainedLive(question: AskedQuestion): Promise<Explanation> {
  const [host = "", port = ""] = String(
    gateway.logs.find(({ event }) => event === "admin_listening")?.address,
  ).split(":");
  const headers = { Host: "localhost", "Content-Type": "application/json" };
  const body = JSON.stringify(question);
  const got = await exchange(
    { host, port, agent: adminAgent, method: "POST", path: "/api/v1/explain", headers },
    body,
  );
  if (got.status !== 200) throw new Error(`${got.status} ${got.body} for ${body}`);
  return JSON.parse(got.body) as Explanation;
}

const FRAMING = /^(?:connection|content-length|transfer-encoding)$/i;

/** What an explanation foretells, as far as it can be seen from outside. */
function foretold(explanation: Explanation): object {
  const { verdict, upstream: to, response } = explanation;
  const { decision, status = 200, grpcStatus, code } = verdict;
  const headers = to?.sent === true ? to.headers.map(({ name, value }) => [name, value]) : undefined;
  return {
    status,
    grpcStatus: grpcStatus?.toString(),
    code,
    remaining: response.find(({ name }) => name === "RateLimit-Remaining")?.value,
    challenge:
      response
        .filter(({ name }) => name === "WWW-Authenticate")
        .map(({ value }) => value)
        .join(", ") || undefined,
    allow: response.find(({ name }) => name === "Allow")?.value,
    origin: response.find(({ name }) => name === "Access-Control-Allow-Origin")?.value,
    route: routeOf(explanation),
    path: decision === "forward" ? to?.path : undefined,
    headers,
  };
}

function routeOf({ verdict, routing }: Explanation): string | undefined {
  // Where a method is never forwarded, or the gateway answers itself, the pattern that fits is no route of the request.
  return verdict.reason === "method_never_forwarded" ? undefined : routing?.route?.name;
}

/** The same as it happened. Values that are masked, and the request's id, are taken from the explanation. */
function happened(got: Got, explained: Explanation, log: ReturnType<typeof logOf>): object {
  const { status, headers, body } = got;
  const text = headers["x-echo"]?.toString();
  const echo =
    text === undefined ? undefined : (JSON.parse(Buffer.from(text, "base64url").toString()) as Echo);
  const told = explained.upstream?.headers ?? [];
  const lines = echo?.rawHeaders.flatMap((name, index): HeaderLine[] =>
    index % 2 === 1 || FRAMING.test(name) ? [] : [[name, echo.rawHeaders[index + 1] ?? ""]],
  );
  const shown = lines?.map(([name, value], index) => {
    const { value: said = "" } = told[index] ?? {};
    const untold = said === "…" || said === "Bearer …" || name === "X-Request-Id";
    return [name, untold ? said : value];
  });
  return {
    status,
    grpcStatus: headers["grpc-status"],
    code: log.code ?? codeIn(body),
    remaining: headers["ratelimit-remaining"],
    challenge: headers["www-authenticate"],
    allow: headers.allow,
    origin: headers["access-control-allow-origin"],
    route: log.route,
    path: echo?.url.replace(/access_token=[^&]*/, "access_token=…"),
    headers: shown,
  };
}

interface Echo {
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

function codeIn(body: string): string | undefined {
  return body.startsWith("{") ? (JSON.parse(body) as { readonly code?: string }).code : undefined;
}

interface Compared {
  readonly sent: Sent;
  readonly got: Got;
  readonly live: Explanation;
  readonly local: Explanation;
}

function logOf(id: string | undefined, lines: ReadonlyMap<unknown, Readonly<Record<string, unknown>>>) {
  const line = id === undefined ? undefined : lines.get(id);
  const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
  return { route: text(line?.route), code: text(line?.code), decision: text(line?.decision) };
}

test(`the gateway does with ${REQUESTS} requests what both explanations foretold`, {
  timeout: 120_000,
}, async () => {
  const sample = fc.sample(requests(), { numRuns: REQUESTS, seed: 20_261_127 });
  const limiter = offline.emptyCounters();
  const { policy } = offline.compiled;
  const compared: Compared[] = [];
  const ids = new Set<string>();
  for (const [index, sent] of sample.entries()) {
    // Each has an id of its own, so that its line in the log can be found.
    const headers = sent.headers.map(
      ([name, value]): HeaderLine => (name === "X-Request-Id" ? [name, `${value}-${index}`] : [name, value]),
    );
    const own = { ...sent, headers };
    const question: AskedQuestion = { ...own, clientAddress: "127.0.0.1" };
    const read = readQuestion(question, offline);
    if (!read.ok) throw new Error(`${read.error}: ${JSON.stringify(question)}`);
    const local = await explain(
      { config: offline.config, policy, limiter, failures: undefined, ready: true },
      read.value,
    );
    const live = await explainedLive(question);
    const got = await real(own);
    await decide({ ...policy, limiter }, arrivalOf(read.value.request));
    ids.add(String(got.headers["x-request-id"]));
    compared.push({ sent: own, got, live, local });
  }
  await gateway.waitForLog(
    ({ type, requestId }) =>
      type === "decision" && requestId === compared.at(-1)?.got.headers["x-request-id"],
    3_000,
  );
  const lines = new Map(gateway.logsOf("decision").map((line) => [line.requestId, line]));
  const wrong = { live: [] as object[], local: [] as object[] };
  const outcomes = new Map<string, number>();
  let addressBlocked = 0;
  for (const { sent, got, live, local } of compared) {
    const log = logOf(got.headers["x-request-id"]?.toString(), lines);
    const outcome = live.verdict.code ?? live.verdict.decision;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const expected = happened(got, live, log);
    if (!same(foretold(live), expected)) wrong.live.push({ sent, foretold: foretold(live), expected });
    // Blocks of the failed-credential throttle are the running gateway's alone.
    if (
      live.verdict.code === "too_many_failures" ||
      live.verdict.observed.some(({ code }) => code === "too_many_failures")
    )
      addressBlocked += 1;
    else if (!same(foretold(local), happened(got, local, log)))
      wrong.local.push({ sent, foretold: foretold(local), expected });
  }
  expect(wrong.live.slice(0, 3)).toEqual([]);
  expect(wrong.local.slice(0, 3)).toEqual([]);
  canaries.assertNoCanary({
    explanations: JSON.stringify(compared.map(({ live, local }) => [live, local])),
    log: gateway.stdout.join("\n"),
  });
  expect(addressBlocked).toBeLessThan(REQUESTS / 4);
  // A sample that never comes somewhere proves nothing about it.
  const met = [
    "forward",
    "preflight",
    "own",
    "request_target_invalid",
    "request_invalid",
    "route_not_found",
    "method_not_allowed",
  ];
  met.push(
    "credentials_missing",
    "credentials_ambiguous",
    "credentials_malformed",
    "token_invalid",
    "token_expired",
    "api_key_invalid",
  );
  met.push(
    "scope_insufficient",
    "role_insufficient",
    "requirement_failed",
    "address_denied",
    "rate_limited",
    "too_many_failures",
  );
  expect(met.filter((code) => (outcomes.get(code) ?? 0) < 3)).toEqual([]);
});

function same(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
