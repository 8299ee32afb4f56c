// What the sections of a valid file become. What is refused is in the corpus.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { inspectConfig } from "../../../src/config/load.ts";
import { inspect, load, said } from "../../support/config.ts";

const UP = "upstreams: { app: http://127.0.0.1:9000 }\n";
const ISSUER = "issuers: { corp: { issuer: https://login.example.com/, audience: api } }\n";
const routes = (...lines: string[]) => `routes:\n${lines.map((line) => `  - ${line}\n`).join("")}`;
const PUBLIC = routes("{ match: /a, to: app, public: true }");
const KEYS = {
  "keys.json":
    '{"keys":[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}]}',
};

test("what isn't said has the documented defaults", async () => {
  const { routes: _, upstreams: __, file: ___, identity, identityNames, ...rest } = await load(UP + PUBLIC);
  expect(rest).toEqual({
    listen: [{ host: "0.0.0.0", port: 8080 }],
    health: { live: "/healthz", ready: "/readyz" },
    trustedProxies: [],
    limits: {
      headersBytes: 16_384,
      headerCount: 100,
      bodyBytes: 10_485_760,
      urlBytes: 8_192,
      headerTimeoutMs: 10_000,
      requestTimeoutMs: 60_000,
      idleTimeoutMs: 75_000,
      connections: 10_000,
      inFlight: 5_000,
    },
    paths: { encodedSlash: "refuse", semicolon: "refuse", duplicateSlash: "refuse", caseSensitive: true },
    drain: { delayMs: 0, timeoutMs: 30_000 },
    redis: undefined,
    issuers: [],
    apiKeys: [],
    keyLimits: new Map(),
    globalLimits: [],
    apiKeyHeaders: ["x-api-key"],
    tests: [],
    failedCredentials: { limit: 300, windowMs: 60_000, backoffMs: 1_000, longestMs: 900_000 },
    roles: new Map(),
    logs: { level: "info", access: 1, decisions: "denied", fields: {} },
    legacyRateLimitHeaders: false,
  });
  expect(identity.map(([header]) => header)).toEqual([
    "X-User-Id",
    "X-User-Scopes",
    "X-User-Roles",
    "X-User-Email",
    "X-Org-Id",
    "X-Auth-Method",
    "X-Client-Id",
    "X-User-Tier",
  ]);
  expect(identityNames).toEqual(identity.map(([header]) => header.toLowerCase()));
});

test.each([
  ["failedCredentials: false", undefined],
  ["failedCredentials: {}", { limit: 300, windowMs: 60_000, backoffMs: 1_000, longestMs: 900_000 }],
  [
    "failedCredentials: { limit: 5/10s, backoff: 2s, longest: 1h }",
    { limit: 5, windowMs: 10_000, backoffMs: 2_000, longestMs: 3_600_000 },
  ],
  [
    "failedCredentials: { backoff: 1h }",
    { limit: 300, windowMs: 60_000, backoffMs: 3_600_000, longestMs: 3_600_000 },
  ],
])("%s is read", async (section, policy) => {
  expect((await load(`${section}\n${UP}${PUBLIC}`)).failedCredentials).toEqual(policy);
});

describe("listen", () => {
  test.for([
    [":8080", [{ host: "0.0.0.0", port: 8080 }]],
    ["127.0.0.1:0", [{ host: "127.0.0.1", port: 0 }]],
    ["[::1]:81", [{ host: "::1", port: 81 }]],
    ["localhost:81", [{ host: "localhost", port: 81 }]],
    ["{ address: 127.0.0.1:82 }", [{ host: "127.0.0.1", port: 82 }]],
    [
      "[127.0.0.1:1, { address: :2 }]".replace(":2", '":2"'),
      [
        { host: "127.0.0.1", port: 1 },
        { host: "0.0.0.0", port: 2 },
      ],
    ],
  ] as const)("%s", async ([text, expected]) => {
    const yaml = text.startsWith(":") || text.startsWith("[:") ? `"${text}"` : text;
    expect((await load(`listen: ${yaml}\n${UP}${PUBLIC}`)).listen).toEqual(expected);
  });
});

describe("issuers", () => {
  const issuer = async (text: string, options = {}) => {
    const yaml = `issuers: { a: { ${text} } }\n${UP}${routes("{ match: /a, to: app, auth: [jwt] }")}`;
    return (await load(yaml, options)).issuers[0];
  };

  test("the issuer alone is enough: keys by discovery, every asymmetric algorithm, no HMAC", async () => {
    const policy = await issuer("issuer: https://a.example.com, audience: x");
    expect(policy).toMatchObject({
      source: { kind: "discovery", url: undefined },
      leewaySeconds: 30,
      audience: ["x"],
    });
    expect(policy?.algorithms).toContain("ES256");
    expect(policy?.algorithms.filter((name) => name.startsWith("HS"))).toEqual([]);
  });

  test.for([
    ["jwksUri: https://a.example.com/keys", { kind: "jwksUri", url: "https://a.example.com/keys" }],
    ["discovery: https://b.example.com/meta", { kind: "discovery", url: "https://b.example.com/meta" }],
    ["jwks: keys.json", { kind: "jwks", keys: [expect.objectContaining({ kid: "k" })] }],
    [
      'secret: "${S}"',
      { kind: "secret", secret: new TextEncoder().encode("0123456789abcdef0123456789abcdef") },
    ],
  ] as const)("keys may come from %s", async ([text, source]) => {
    const options = { files: KEYS, env: { S: "0123456789abcdef0123456789abcdef" } };
    const policy = await issuer(`issuer: https://a.example.com, audience: x, ${text}`, options);
    expect(policy?.source).toEqual(source);
    if (text.startsWith("secret")) expect(policy?.algorithms).toEqual(["HS256"]);
  });

  test.for([
    ["roles: roles", ["roles"]],
    ["roles: realm_access.roles", ["realm_access", "roles"]],
    ["roles: /resource_access/my.app/roles", ["resource_access", "my.app", "roles"]],
    ["roles: /a~1b/c~0d", ["a/b", "c~d"]],
    ["roles: https://example.com/roles", ["https://example.com/roles"]],
  ] as const)("a claim is found by %s", async ([text, path]) => {
    const policy = await issuer(`issuer: https://a.example.com, audience: x, claims: { ${text} }`);
    expect(policy?.claims).toMatchObject({ roles: path, subject: ["sub"], scopes: undefined });
  });

  test("audiences are switched off by `none` alone, and types lose their prefix", async () => {
    const policy = await issuer(
      "issuer: https://a.example.com, audience: none, typ: [application/AT+jwt, JWT], leeway: 0s",
    );
    expect(policy).toMatchObject({ audience: undefined, types: ["at+jwt", "jwt"], leewaySeconds: 0 });
  });

  test("★J04 algorithms of two families are refused", async () => {
    const yaml = `issuers: { a: { issuer: https://a.example.com, audience: x, algorithms: [RS256, HS256] } }\n${UP}${PUBLIC}`;
    expect(said(await inspect(yaml))).toEqual(["1:73 algorithm_conflict issuers.a.algorithms"]);
  });

  test.for([
    [31, "HS256", false],
    [32, "HS256", true],
    [47, "HS384", false],
    [48, "HS384", true],
    [63, "HS512", false],
    [64, "HS512", true],
  ] as const)("★J13 a secret of %i bytes for %s: %s", async ([length, algorithm, accepted]) => {
    const yaml = `issuers: { a: { issuer: a, audience: x, secret: "\${S}", algorithms: [${algorithm}] } }\n${UP}${PUBLIC}`;
    const { config } = await inspect(yaml, { env: { S: "s".repeat(length) } });
    expect(config !== undefined).toBe(accepted);
  });
});

describe("API keys", () => {
  test("a key out of the environment is kept as its hash alone", async () => {
    const yaml = `apiKeys: [{ id: a, value: "\${K}", expires: 2030-01-02, allowIps: [10.0.0.0/8] }]\n${UP}${PUBLIC}`;
    const config = await load(yaml, { env: { K: "legacy-key-1" } });
    expect(config.apiKeys[0]).toEqual({
      id: "a",
      hash: createHash("sha256").update("legacy-key-1").digest("hex"),
      subject: "a",
      scopes: [],
      roles: [],
      tier: undefined,
      org: undefined,
      expiresAtMs: Date.UTC(2030, 0, 2),
      enabled: true,
      allowIps: [{ bytes: [10, 0, 0, 0], prefix: 8 }],
      metadata: {},
    });
    expect(JSON.stringify(config)).not.toContain("legacy-key-1");
  });

  test.for([
    ["2030-01-02T03:04:05Z", Date.UTC(2030, 0, 2, 3, 4, 5)],
    ["2030-01-02T03:04:05+02:00", Date.UTC(2030, 0, 2, 1, 4, 5)],
    ["2028-02-29", Date.UTC(2028, 1, 29)],
  ] as const)("expires %s", async ([text, ms]) => {
    const yaml = `apiKeys: [{ id: a, value: "\${K}", expires: "${text}" }]\n${UP}${PUBLIC}`;
    expect((await load(yaml, { env: { K: "k" } })).apiKeys[0]?.expiresAtMs).toBe(ms);
  });
});

test("roles give what they inherit, nearest tier first", async () => {
  const yaml = `roles:
  user: { scopes: [a], tier: basic }
  developer: { inherits: [user], scopes: [b] }
  admin: { inherits: [developer], scopes: ["*"], tier: top }
${UP}${PUBLIC}`;
  expect([...(await load(yaml)).roles]).toEqual([
    ["user", { scopes: ["a"], tier: "basic" }],
    ["developer", { scopes: ["b", "a"], tier: "basic" }],
    ["admin", { scopes: ["*", "b", "a"], tier: "top" }],
  ]);
});

describe("identity", () => {
  test("headers are added to the set by name, false leaves one out, and a client may set none of them", async () => {
    const yaml = `identity: { headers: { x-user-id: email, X-Plan: claims.app.plan, X-User-Tier: false } }\n${UP}${PUBLIC}`;
    const { identity, identityNames } = await load(yaml);
    expect(identity).toContainEqual(["x-user-id", "email"]);
    expect(identity).toContainEqual(["X-Plan", { claim: ["app", "plan"] }]);
    expect(identity.map(([header]) => header)).not.toContain("X-User-Tier");
    expect(identity.filter(([header]) => header.toLowerCase() === "x-user-id")).toHaveLength(1);
    expect(identityNames).toEqual(expect.arrayContaining(["x-user-id", "x-plan", "x-user-tier"]));
  });

  test("a preset takes the place of the gateway's own headers, whose names stay reserved", async () => {
    const { identity, identityNames } = await load(`identity: { preset: kong }\n${UP}${PUBLIC}`);
    expect(identity.map(([header]) => header)).toContain("X-Consumer-Username");
    expect(identity.map(([header]) => header)).not.toContain("X-User-Id");
    expect(identityNames).toEqual(expect.arrayContaining(["x-user-id", "x-consumer-username"]));
  });
});

describe("upstreams", () => {
  test.for([
    ["http://127.0.0.1:9000", "http://127.0.0.1:9000", ""],
    ["https://Example.COM:443/v1/", "https://example.com", "/v1"],
    ["http://[::1]:9000/a/b", "http://[::1]:9000", "/a/b"],
    ["{ targets: [{ url: http://127.0.0.1:1 }] }", "http://127.0.0.1:1", ""],
  ] as const)("%s", async ([text, origin, basePath]) => {
    const yaml = `upstreams: { app: "${text}" }\n${PUBLIC}`.replace('"{', "{").replace('}"', "}");
    expect((await load(yaml)).upstreams[0]).toMatchObject({ origin, basePath, hostHeader: "target" });
  });
});

describe("routes", () => {
  test("a route's own word takes the place of the default", async () => {
    const yaml = `${ISSUER}${UP}cors: { origins: https://a.example.com }
defaults:
  auth: [jwt]
  limit: 10/s
  ips: { deny: [10.0.0.0/8] }
  timeouts: { headers: 5s, idle: 6s }
  forwardCredentials: true
${routes(
  "{ match: GET /a, to: app }",
  "{ match: GET /b, to: app, limit: 5/min per ip, ips: { allow: [10.0.0.1] }, timeouts: { idle: 1s }, forwardCredentials: false, cors: false }",
  "{ match: GET /c, to: app, limit: false, public: true }",
)}`;
    const [a, b, c] = (await load(yaml)).routes;
    expect(a).toMatchObject({
      access: "guarded",
      auth: [["jwt"]],
      forwardCredentials: true,
      timeouts: { headersMs: 5_000, idleMs: 6_000 },
    });
    expect(a?.limits).toMatchObject([
      { name: "GET /a", limit: 10, windowMs: 1_000, subject: { by: "user" }, onStoreFailure: "local" },
    ]);
    expect(a?.cors?.origins).toEqual(["https://a.example.com"]);
    expect(b).toMatchObject({
      ips: { allow: [{ prefix: 32 }], deny: [] },
      forwardCredentials: false,
      timeouts: { headersMs: 5_000, idleMs: 1_000 },
    });
    expect(b?.limits).toMatchObject([{ limit: 5, subject: { by: "ip" } }]);
    expect(b?.cors).toBeUndefined();
    expect(c).toMatchObject({ access: "public", auth: [], limits: [] });
  });

  test.for([
    ["[jwt, apiKey]", [["jwt"], ["apiKey"]]],
    ["{ all: [apiKey, jwt] }", [["apiKey", "jwt"]]],
    ["[{ all: [apiKey, jwt:corp] }, jwt]", [["apiKey", "jwt:corp"], ["jwt"]]],
  ] as const)("auth: %s", async ([text, rule]) => {
    const yaml =
      ISSUER +
      UP +
      routes(`{ match: GET /a, to: app, auth: ${text}, optional: true, credentials: firstMatch }`);
    expect((await load(yaml)).routes[0]).toMatchObject({
      auth: rule,
      access: "optional",
      credentials: "firstMatch",
    });
  });

  test("scopes, roles and requirements", async () => {
    const yaml =
      ISSUER +
      UP +
      routes(
        '{ match: "GET /:org/:userId", to: app, auth: [jwt], scopes: { any: [a, b] }, roles: [x], require: { subject: ":userId", claims.org_id: ":org", claims.plan: [pro, team], email: a@example.com } }',
      );
    expect((await load(yaml)).routes[0]?.authz).toMatchObject({
      scopes: { mode: "any", scopes: ["a", "b"] },
      roles: { mode: "all", roles: ["x"] },
      require: [
        { fact: { kind: "subject" }, expected: { kind: "parameter", name: "userId" } },
        { fact: { kind: "claim", path: ["org_id"] }, expected: { kind: "parameter", name: "org" } },
        { fact: { kind: "claim", path: ["plan"] }, expected: { kind: "values", values: ["pro", "team"] } },
        { fact: { kind: "email" }, expected: { kind: "values", values: ["a@example.com"] } },
      ],
    });
  });

  test("names are unique, whatever routes have in common", async () => {
    const yaml =
      UP +
      routes(
        "{ match: { path: /a, host: a.example.com, methods: GET }, to: app, public: true }",
        "{ match: { path: /b, headers: { X-A: a } }, to: app, public: true, limit: [1/s, 10/min] }",
        "{ match: { path: /b, headers: { X-A: b } }, to: app, public: true, methods: [GET, HEAD], limit: 1/s }",
        "{ match: [/c, /d], to: app, public: true, name: both, stripPrefix: '', methods: PUT }".replace(
          ", stripPrefix: ''",
          "",
        ),
      );
    const config = await load(yaml);
    expect(config.routes.map(({ name }) => name)).toEqual(["GET a.example.com/a", "/b", "/b #2", "both"]);
    expect(config.routes.flatMap(({ limits }) => limits.map(({ name }) => name))).toEqual([
      "/b",
      "/b 2",
      "/b #2",
    ]);
    expect(config.routes[3]?.matches.map(({ methods }) => methods)).toEqual([["PUT"], ["PUT"]]);
    expect(config.routes.map(({ line }) => line)).toEqual([3, 4, 5, 6]);
  });

  test("header edits and prefixes", async () => {
    const yaml =
      UP +
      routes(
        '{ match: "/api/v1/:id", to: app, public: true, stripPrefix: /api/, headers: { request: { set: { X-A: "1" }, remove: [X-B] }, response: { remove: [Server] } } }',
      );
    expect((await load(yaml)).routes[0]).toMatchObject({
      stripPrefix: "/api",
      request: { set: [["X-A", "1"]], remove: ["x-b"] },
      response: { set: [], remove: ["server"] },
    });
  });

  test("★Y10 routes that differ in method, host, header or query may share a pattern; others may not", async () => {
    const base = ["{ match: GET /a/:x, to: app, public: true }"];
    const others = [
      "{ match: POST /a/:x, to: app, public: true }",
      "{ match: /a/:y, to: app, public: true }",
      "{ match: GET /a/b, to: app, public: true }",
      "{ match: GET /a/*, to: app, public: true }",
      "{ match: { path: /a/:x, methods: GET, host: x.example.com }, to: app, public: true }",
      "{ match: { path: /a/:x, methods: GET, query: { v: '2' } }, to: app, public: true }",
    ];
    for (const other of others) expect(said(await inspect(UP + routes(...base, other))), other).toEqual([]);
    const clash = await inspect(UP + routes(...base, "{ match: 'HEAD,GET /a/:y', to: app, public: true }"));
    expect(clash.diagnostics).toMatchObject([{ code: "route_overlap", line: 4, related: { line: 3 } }]);
  });

  test("★Y11 a route needs a guard of its own or of `defaults`, or has to say that it is public", async () => {
    const bare = routes("{ match: GET /a, to: app }");
    expect(said(await inspect(ISSUER + UP + bare))).toEqual(["4:5 route_unguarded routes[0]"]);
    expect(said(await inspect(`${ISSUER}${UP}defaults: { auth: [jwt] }\n${bare}`))).toEqual([]);
    expect(said(await inspect(`${UP}defaults: { public: true }\n${bare}`))).toEqual([
      "2:13 unknown_key defaults.public",
      "4:5 route_unguarded routes[0]",
    ]);
  });

  test("two thousand routes are checked for overlaps in good time", async () => {
    const many = Array.from(
      { length: 2_000 },
      (_, index) => `{ match: GET /r${index}/:id, to: app, public: true }`,
    );
    const started = performance.now();
    expect((await load(UP + routes(...many))).routes).toHaveLength(2_000);
    expect(performance.now() - started).toBeLessThan(8_000);
  });
});

describe("logs", () => {
  test.for([
    ["all", 1],
    ["off", 0],
    ["denied", "denied"],
    ["10%", 0.1],
    ["0.5%", 0.005],
    ["100%", 1],
  ] as const)("access: %s", async ([text, access]) => {
    expect((await load(`logs: { access: "${text}" }\n${UP}${PUBLIC}`)).logs.access).toBe(access);
  });
});

describe("the examples", () => {
  const EXAMPLES = fileURLToPath(new URL("../../../config/examples/", import.meta.url));
  test.for(readdirSync(EXAMPLES))("%s is valid", async (name) => {
    const file = join(EXAMPLES, name);
    const names = [...readFileSync(file, "utf8").matchAll(/\$\{([A-Z_]+)\}/g)].map((match) => match[1] ?? "");
    const standIn = (variable: string) =>
      variable.includes("REDIS")
        ? "redis://127.0.0.1:6379"
        : /URL|UPSTREAM/.test(variable)
          ? "http://127.0.0.1:9000"
          : `${variable}-`.repeat(16);
    const env = Object.fromEntries(names.map((variable) => [variable, standIn(variable)]));
    const { config, diagnostics } = await inspectConfig(file, env);
    expect(diagnostics.filter((one) => one.severity !== "note")).toEqual([]);
    expect(config).toBeDefined();
  });
});

describe("admin", () => {
  const ADMIN_TOKEN = "admin-token-0123456789abcdef0123456789";
  const LOCAL = { host: "127.0.0.1", port: 9090 };

  test.each([
    ["admin: 127.0.0.1:9090", LOCAL, undefined],
    ['admin: "[::1]:9191"', { host: "::1", port: 9191 }, undefined],
    ["admin: { listen: localhost:9090 }", { host: "localhost", port: 9090 }, undefined],
    ["admin: {}", LOCAL, undefined],
    ['admin: { token: "${ADMIN_TOKEN}" }', LOCAL, ADMIN_TOKEN],
    ['admin: { listen: ":9090", token: "${ADMIN_TOKEN}" }', { host: "0.0.0.0", port: 9090 }, ADMIN_TOKEN],
    ['admin: { token: "${file:token}" }', LOCAL, ADMIN_TOKEN],
  ])("%s", async (yaml, listen, token) => {
    const config = await load(`${yaml}\n${UP}${PUBLIC}`, {
      env: { ADMIN_TOKEN },
      files: { token: `${ADMIN_TOKEN}\n` },
    });
    expect(config.admin).toEqual({ listen, token });
  });

  test("is off unless it is there", async () => {
    expect((await load(UP + PUBLIC)).admin).toBeUndefined();
  });

  test.each([
    ["0.0.0.0:9090", "127.0.0.1:9090"],
    ["127.0.0.1:9090", "localhost:9090"],
    ['"[::]:9090"', "127.0.0.1:9090"],
    ['"[::1]:9090"', '"[0:0::1]:9090"'],
    ["0.0.0.0:9090", "127.7.7.7:9090"],
  ])("can't be where the traffic port is: %s and %s", async (traffic, admin) => {
    expect(said(await inspect(`listen: ${traffic}\nadmin: ${admin}\n${UP}${PUBLIC}`))).toEqual([
      "2:8 conflict admin",
    ]);
  });

  test("can't be at the default address of the traffic port", async () => {
    expect(said(await inspect(`admin: 127.0.0.1:8080\n${UP}${PUBLIC}`))).toEqual(["1:8 conflict admin"]);
  });

  test.each([
    ["0.0.0.0:9090", '"[::1]:9090"'],
    ["127.0.0.1:9090", "127.0.0.2:9090"],
    ["127.0.0.1:0", "127.0.0.1:0"],
  ])("may be beside it: %s and %s", async (traffic, admin) => {
    expect(said(await inspect(`listen: ${traffic}\nadmin: ${admin}\n${UP}${PUBLIC}`))).toEqual([]);
  });

  test.each([
    "0.0.0.0",
    "192.0.2.1",
    '"[::]',
    '"[2001:db8::1]',
    "gateway.internal",
    "128.0.0.1",
  ])("needs a token at %s", async (host) => {
    const address = `${host}:9090${host.startsWith('"') ? '"' : ""}`;
    expect(said(await inspect(`admin: ${address}\n${UP}${PUBLIC}`))).toEqual(["1:8 admin_open admin"]);
  });
});
