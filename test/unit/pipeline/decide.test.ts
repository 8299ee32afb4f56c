import { beforeEach, describe, expect, test } from "vitest";
import { type Authenticator, type CredentialKind, rejected } from "../../../src/authn/authenticator.ts";
import { AuthnChain } from "../../../src/authn/chain.ts";
import { LocalFailureCounter } from "../../../src/authn/failures/local-counter.ts";
import type { FailurePolicy } from "../../../src/authn/failures/policy.ts";
import { FailureThrottle } from "../../../src/authn/failures/throttle.ts";
import type { CorsPolicy } from "../../../src/config/gateway-config.ts";
import { parseRange } from "../../../src/core/address.ts";
import { deny } from "../../../src/core/denial.ts";
import type { ObservePart } from "../../../src/core/observe.ts";
import { STRICT_PATHS } from "../../../src/core/request-target.ts";
import { ScopeSet } from "../../../src/core/scope.ts";
import type { Arrival } from "../../../src/pipeline/arrival.ts";
import { decide, type Policy } from "../../../src/pipeline/decide.ts";
import type { CompiledRoute, Decision } from "../../../src/pipeline/decision.ts";
import type { ForwardPlan } from "../../../src/pipeline/forward-plan.ts";
import { Limiter, type LimitInput, type LimitResult } from "../../../src/rate-limit/limiter.ts";
import type { LimitPolicy, LimitSubject } from "../../../src/rate-limit/policy.ts";
import { RouteTable } from "../../../src/routing/table.ts";
import { type MatchParts, match } from "../../support/routes.ts";

const TOKEN = ["Authorization", "Bearer token"];
const READER = ["Authorization", "Bearer reader"];
const FORGED = ["Authorization", "Bearer forged"];
const KEY = ["X-Api-Key", "key"];

/** What was asked, in order: the steps that a decision took. */
let steps: string[] = [];
let nowMs = 1_000;
const clock = { steadyMs: () => nowMs };
beforeEach(() => {
  steps = [];
  nowMs = 1_000;
});

function authenticator(
  kind: CredentialKind,
  good: Readonly<Record<string, readonly string[]>>,
  later: boolean,
): Authenticator {
  return {
    name: kind,
    kind,
    authenticate(credential) {
      steps.push(kind);
      const scopes = Object.hasOwn(good, credential) ? good[credential] : undefined;
      const outcome =
        scopes === undefined
          ? rejected(deny(kind === "jwt" ? "token_invalid" : "api_key_invalid", `${kind}_bad`))
          : ({
              kind: "authenticated",
              principal: {
                method: kind,
                subject: credential,
                scopes: new ScopeSet(scopes),
                roles: [],
                claims: {},
              },
            } as const);
      return later ? Promise.resolve(outcome) : outcome;
    },
  };
}

function limit(name: string, by: "user" | "ip" | "route", most: number): LimitPolicy {
  return {
    name,
    limit: most,
    windowMs: 60_000,
    subject: { by } as LimitSubject,
    cost: 1,
    onStoreFailure: "local",
  };
}

const CORS: CorsPolicy = {
  origins: ["https://app.example"],
  methods: ["GET"],
  headers: [],
  credentials: false,
  maxAgeSeconds: 60,
  expose: [],
};

interface RouteParts extends MatchParts {
  readonly public?: boolean;
  readonly optional?: boolean;
  readonly scopes?: readonly string[];
  readonly limits?: readonly LimitPolicy[];
  readonly deny?: string;
  readonly cors?: CorsPolicy;
  readonly owner?: string;
  readonly observe?: readonly ObservePart[];
}

interface Setup {
  readonly later?: boolean;
  /** Answers of the limiter's store come later. */
  readonly slowLimits?: boolean;
  readonly unavailable?: boolean;
  readonly trusted?: string;
  /** Turns on the failed-credential throttle. */
  readonly failures?: FailurePolicy;
}

/** A policy of these routes, by pattern, with a limiter in memory. */
function policyOf(routes: Readonly<Record<string, RouteParts>>, setup: Setup = {}): Policy {
  const jwt = authenticator("jwt", { token: ["read", "write"], reader: ["read"] }, setup.later ?? false);
  const apiKey = authenticator("apiKey", { key: ["read"] }, setup.later ?? false);
  const limiter = new Limiter({ prefix: "gw", clock });
  const table = Object.entries(routes).map(([pattern, parts]): [ReturnType<typeof match>, CompiledRoute] => {
    const alternatives = parts.public === true ? [] : [[jwt], [apiKey]];
    const denied = parts.deny === undefined ? undefined : parseRange(parts.deny);
    const limits = parts.limits ?? [];
    const byAddress = limits.filter(({ subject }) => subject.by !== "user");
    const { methods = [], hosts = [] } = parts;
    return [
      match(pattern, { methods, hosts }),
      {
        name: pattern,
        line: 1,
        upstream: "app",
        chain: new AuthnChain({
          alternatives,
          optional: parts.optional ?? false,
          firstMatch: false,
          keyFields: ["x-api-key"],
        }),
        credentialKinds: new Set(parts.public === true ? [] : ["jwt", "apiKey"]),
        authz: {
          scopes: parts.scopes === undefined ? undefined : { mode: "all", scopes: parts.scopes },
          roles: undefined,
          require:
            parts.owner === undefined
              ? []
              : [{ fact: { kind: "subject" }, expected: { kind: "parameter", name: parts.owner }, text: "" }],
        },
        ips: { allow: [], deny: denied === undefined ? [] : [denied] },
        limits,
        refusalLimits: byAddress.length > 0 ? byAddress : limits.map((one) => ({ ...one, cost: 0 })),
        cors: parts.cors,
        observe: parts.observe === undefined ? undefined : new Set(parts.observe),
        // Nothing is sent here.
        forward: {} as ForwardPlan,
      },
    ];
  });
  const trusted = setup.trusted === undefined ? undefined : parseRange(setup.trusted);
  return {
    admission: {
      paths: STRICT_PATHS,
      trustedProxies: trusted === undefined ? [] : [trusted],
      urlBytes: 100,
      headerCount: 10,
      headersBytes: 1_000,
      bodyBytes: 50,
    },
    routes: new RouteTable(table),
    limiter: {
      take(policies: readonly LimitPolicy[], input: LimitInput) {
        steps.push(
          `limits ${policies.map(({ name, cost }) => `${name}*${cost}`).join("+")} for ${input.principal?.subject ?? "address"}`,
        );
        if (setup.unavailable === true) return { kind: "unavailable", policy: policies[0] } as LimitResult;
        const result = limiter.take(policies, input);
        return setup.slowLimits === true ? Promise.resolve(result) : result;
      },
    },
    failures:
      setup.failures &&
      new FailureThrottle(setup.failures, {
        clock,
        emit: (event) => steps.push(event.kind),
        counter: new LocalFailureCounter(setup.failures.windowMs, clock),
      }),
    keyField: "X-Api-Key",
  };
}

function arrival(line: string, fields: readonly string[] = [], parts: Partial<Arrival> = {}): Arrival {
  const [method = "GET", rawTarget = "/"] = line.split(" ");
  return {
    id: "request-1",
    method,
    rawTarget,
    rawFields: ["Host", "api.example.com", ...fields],
    httpVersion: "1.1",
    upgrade: false,
    scheme: "http",
    peerAddress: "192.0.2.1",
    ...parts,
  };
}

/** A decision as one line: where it goes, or code and reason. */
function told(decision: Decision): string {
  if (decision.kind === "forward")
    return `forward ${decision.route.name} as ${decision.principal.subject || "anonymous"}`;
  return decision.kind === "refuse"
    ? `${decision.denial.code} ${decision.denial.reason}`
    : `preflight ${decision.route.name}`;
}

async function ask(
  policy: Policy,
  line: string,
  fields: readonly string[] = [],
  parts: Partial<Arrival> = {},
): Promise<string> {
  return told(await decide(policy, arrival(line, fields, parts)));
}

describe.each([
  ["at once", {}],
  ["later", { later: true, slowLimits: true }],
])("with answers that come %s", (_when, setup) => {
  test("a good request takes every step in order and is forwarded", async () => {
    const policy = policyOf(
      { "/users/:id": { scopes: ["read"], owner: "id", limits: [limit("l", "user", 5)] } },
      setup,
    );
    const decision = await decide(policy, arrival("GET /users/token", TOKEN));
    expect(told(decision)).toBe("forward /users/:id as token");
    expect(decision).toMatchObject({ parameters: { id: "token" }, limit: { kind: "admitted" } });
    expect(steps).toEqual(["jwt", "limits l*1 for token"]);
  });

  describe("the first step that refuses has the word", () => {
    const routes = {
      "/guarded": {
        methods: ["GET"],
        scopes: ["write"],
        deny: "198.51.100.0/24",
        limits: [limit("ip", "ip", 1), limit("user", "user", 1)],
      },
      "/late": { scopes: ["read"], limits: [limit("late", "user", 1)] },
    };

    test.each<
      readonly [
        what: string,
        line: string,
        fields: readonly string[],
        peer: string,
        answer: string,
        taken: readonly string[],
      ]
    >([
      [
        "target before route",
        "GET /nowhere/../x",
        FORGED,
        "192.0.2.1",
        "request_target_invalid dot_segment",
        [],
      ],
      [
        "route before address and credentials",
        "GET /nowhere",
        FORGED,
        "198.51.100.1",
        "route_not_found route_not_found",
        [],
      ],
      [
        "method before address and credentials",
        "POST /guarded",
        FORGED,
        "198.51.100.1",
        "method_not_allowed method_not_allowed",
        [],
      ],
      [
        "address before credentials",
        "GET /guarded",
        FORGED,
        "198.51.100.1",
        "address_denied address_denied",
        ["limits ip*1 for address"],
      ],
      [
        "missing credentials",
        "GET /guarded",
        [],
        "192.0.2.1",
        "credentials_missing credentials_missing",
        ["limits ip*1 for address"],
      ],
      [
        "credentials before scopes",
        "GET /guarded",
        FORGED,
        "192.0.2.1",
        "token_invalid jwt_bad",
        ["jwt", "limits ip*1 for address"],
      ],
      [
        "scopes before the principal's limits",
        "GET /guarded",
        READER,
        "192.0.2.1",
        "scope_insufficient scope_missing",
        ["jwt", "limits ip*1 for reader"],
      ],
      [
        "nothing: then all limits are charged together",
        "GET /guarded",
        TOKEN,
        "192.0.2.1",
        "forward /guarded as token",
        ["jwt", "limits ip*1+user*1 for token"],
      ],
      [
        "a refused caller of a route without address limits",
        "GET /late",
        FORGED,
        "192.0.2.1",
        "token_invalid jwt_bad",
        ["jwt", "limits late*0 for address"],
      ],
    ])("%s", async (_what, line, fields, peerAddress, answer, taken) => {
      expect(await ask(policyOf(routes, setup), line, fields, { peerAddress })).toBe(answer);
      expect(steps).toEqual(taken);
    });
  });

  test("a caller that is refused pays on the address's limit, and meets 429 instead of 401 and 403 once it is used up", async () => {
    const policy = policyOf({ "/a": { scopes: ["write"], limits: [limit("ip", "ip", 3)] } }, setup);
    expect(await ask(policy, "GET /a", FORGED)).toBe("token_invalid jwt_bad");
    expect(await ask(policy, "GET /a", READER)).toBe("scope_insufficient scope_missing");
    expect(await ask(policy, "GET /a")).toBe("credentials_missing credentials_missing");
    for (const fields of [FORGED, READER, [], TOKEN])
      expect(await ask(policy, "GET /a", fields)).toBe("rate_limited rate_limited");
    expect(await ask(policy, "GET /a", TOKEN, { peerAddress: "192.0.2.2" })).toBe("forward /a as token");
  });

  test("a caller that is refused never pays on a principal's limit", async () => {
    const policy = policyOf({ "/a": { scopes: ["write"], limits: [limit("user", "user", 1)] } }, setup);
    for (let count = 0; count < 3; count++) {
      expect(await ask(policy, "GET /a", FORGED)).toBe("token_invalid jwt_bad");
      expect(await ask(policy, "GET /a", READER)).toBe("scope_insufficient scope_missing");
    }
    expect(await ask(policy, "GET /a", TOKEN)).toBe("forward /a as token");
    expect(await ask(policy, "GET /a", TOKEN)).toBe("rate_limited rate_limited");
  });

  test("a caller that is refused learns of a principal's limit, which changes nothing once it is used up", async () => {
    const policy = policyOf({ "/a/:id": { owner: "id", limits: [limit("user", "user", 1)] } }, setup);
    const ours = await decide(policy, arrival("GET /a/reader", TOKEN));
    expect(ours).toMatchObject({
      denial: { code: "requirement_failed" },
      limit: { tightest: { remaining: 1 } },
    });
    expect(await ask(policy, "GET /a/token", TOKEN)).toBe("forward /a/:id as token");
    const after = await decide(policy, arrival("GET /a/reader", TOKEN));
    expect(after).toMatchObject({
      denial: { code: "requirement_failed" },
      limit: { tightest: { remaining: 0 } },
    });
  });

  test("401 goes with its challenges, 429 with its wait and the limits' state", async () => {
    const policy = policyOf({ "/a": { limits: [limit("ip", "ip", 1)] } }, setup);
    expect(await decide(policy, arrival("GET /a"))).toMatchObject({
      denial: {
        code: "credentials_missing",
        challenges: ['Bearer realm="gatewarden"', 'ApiKey realm="gatewarden", header="X-Api-Key"'],
      },
      limit: { kind: "admitted" },
    });
    expect(await decide(policy, arrival("GET /a"))).toMatchObject({
      denial: { code: "rate_limited", retryAfterSeconds: 60 },
      limit: { kind: "refused" },
      route: { name: "/a" },
    });
  });
});

describe.each([
  ["at once", {}],
  ["later", { later: true, slowLimits: true }],
])("the failed-credential throttle, with answers that come %s", (_when, timing) => {
  const failures: FailurePolicy = { limit: 2, windowMs: 60_000, backoffMs: 1_000, longestMs: 60_000 };
  const WRONG = ["X-Api-Key", "wrong"];
  const routes = {
    "/a": { scopes: ["read"] },
    "/optional": { optional: true },
    "/open": { public: true },
    "/limited": { limits: [limit("ip", "ip", 5)] },
    "/far": { deny: "192.0.2.0/24" },
  };
  const blocked = async (): Promise<Policy> => {
    const policy = policyOf(routes, { ...timing, failures });
    expect(await ask(policy, "GET /a", WRONG)).toBe("api_key_invalid apiKey_bad");
    expect(await ask(policy, "GET /a", FORGED)).toBe("token_invalid jwt_bad");
    expect(steps).toEqual(["apiKey", "jwt", "credential_failures"]);
    steps = [];
    return policy;
  };

  test("refuses a key that could be a guess after the route and the address, before it is looked at", async () => {
    const policy = await blocked();
    for (const fields of [WRONG, KEY])
      expect(await ask(policy, "GET /a", fields)).toBe("too_many_failures address_blocked");
    expect(steps).toEqual([]);
    expect(await ask(policy, "GET /nowhere", KEY)).toBe("route_not_found route_not_found");
    expect(await ask(policy, "GET /far", KEY)).toBe("address_denied address_denied");
    expect(await decide(policy, arrival("GET /a", KEY))).toMatchObject({ denial: { retryAfterSeconds: 1 } });
  });

  test("looks at tokens whatever is blocked: good ones pass, bad ones get 429", async () => {
    const policy = await blocked();
    expect(await ask(policy, "GET /a", TOKEN)).toBe("forward /a as token");
    expect(await ask(policy, "GET /a", FORGED)).toBe("too_many_failures address_blocked");
    expect(await ask(policy, "GET /a", ["Authorization", "Bearer "])).toBe(
      "too_many_failures address_blocked",
    );
    expect(steps).toEqual(["jwt", "jwt"]);
  });

  test("leaves everybody else alone", async () => {
    const policy = await blocked();
    expect(await ask(policy, "GET /a", KEY, { peerAddress: "192.0.2.2" })).toBe("forward /a as key");
    expect(await ask(policy, "GET /a")).toBe("credentials_missing credentials_missing");
    expect(await ask(policy, "GET /optional")).toBe("forward /optional as anonymous");
    expect(await ask(policy, "GET /open", KEY)).toBe("forward /open as anonymous");
    expect(await ask(policy, "GET /a", [...TOKEN, ...KEY])).toBe("credentials_ambiguous two_kinds");
  });

  test("gives way again when its time is over", async () => {
    const policy = await blocked();
    nowMs += 999;
    expect(await ask(policy, "GET /a", KEY)).toBe("too_many_failures address_blocked");
    nowMs += 1;
    expect(await ask(policy, "GET /a", KEY)).toBe("forward /a as key");
  });

  test("refused ones are charged on the limits of their address, which have the word once they are used up", async () => {
    const policy = await blocked();
    for (let count = 0; count < 5; count++)
      expect(await ask(policy, "GET /limited", KEY)).toBe("too_many_failures address_blocked");
    expect(await ask(policy, "GET /limited", KEY)).toBe("rate_limited rate_limited");
  });
});

describe("who sent no credential", () => {
  const policy = (): Policy =>
    policyOf({
      "/optional": { optional: true, scopes: ["write"] },
      "/open": { public: true },
      "/both": { optional: true },
    });

  test("is asked for one where scopes are needed, and told 403 with one", async () => {
    expect(await ask(policy(), "GET /optional")).toBe("credentials_missing scope_missing");
    expect(await ask(policy(), "GET /optional", READER)).toBe("scope_insufficient scope_missing");
    expect(await ask(policy(), "GET /optional", TOKEN)).toBe("forward /optional as token");
  });

  test("passes as anonymous where none is needed; a bad one is still refused on an optional route", async () => {
    expect(await ask(policy(), "GET /open", FORGED)).toBe("forward /open as anonymous");
    expect(await ask(policy(), "GET /both")).toBe("forward /both as anonymous");
    expect(await ask(policy(), "GET /both", FORGED)).toBe("token_invalid jwt_bad");
    expect(await ask(policy(), "GET /both", KEY)).toBe("forward /both as key");
  });
});

describe("a limiter that can't answer", () => {
  test("refuses with 503 and a wait, also in place of 401", async () => {
    const policy = policyOf({ "/a": { limits: [limit("ip", "ip", 1)] } }, { unavailable: true });
    expect(await decide(policy, arrival("GET /a", TOKEN))).toMatchObject({
      denial: { code: "limiter_unavailable", retryAfterSeconds: 1 },
    });
    expect(await ask(policy, "GET /a")).toBe("limiter_unavailable limiter_unavailable");
  });

  test("changes nothing for a refused caller that pays on no limit", async () => {
    const policy = policyOf({ "/a": { limits: [limit("user", "user", 1)] } }, { unavailable: true });
    expect(await ask(policy, "GET /a")).toBe("credentials_missing credentials_missing");
    expect(await ask(policy, "GET /a", FORGED)).toBe("token_invalid jwt_bad");
  });
});

describe("a preflight", () => {
  const PREFLIGHT = ["Origin", "https://app.example", "Access-Control-Request-Method", "GET"];
  const policy = (): Policy =>
    policyOf({
      "/a": { methods: ["GET"], cors: CORS, scopes: ["write"], limits: [limit("ip", "ip", 1)] },
      "/plain": { methods: ["GET", "OPTIONS"] },
    });

  test("is answered without credentials and without a charge", async () => {
    for (let count = 0; count < 3; count++)
      expect(await ask(policy(), "OPTIONS /a", PREFLIGHT)).toBe("preflight /a");
    expect(steps).toEqual([]);
  });

  test.each([
    ["OPTIONS without an origin", "OPTIONS /a", PREFLIGHT.slice(2), "method_not_allowed method_not_allowed"],
    [
      "OPTIONS without a wanted method",
      "OPTIONS /a",
      PREFLIGHT.slice(0, 2),
      "method_not_allowed method_not_allowed",
    ],
    ["another method with its fields", "GET /a", PREFLIGHT, "credentials_missing credentials_missing"],
    [
      "one for a method that isn't routed",
      "OPTIONS /a",
      [...PREFLIGHT.slice(0, 3), "DELETE"],
      "method_not_allowed method_not_allowed",
    ],
    ["one for a route without CORS", "OPTIONS /plain", PREFLIGHT, "credentials_missing credentials_missing"],
    ["one for no route", "OPTIONS /nowhere", PREFLIGHT, "route_not_found route_not_found"],
  ])("is not %s", async (_what, line, fields, answer) => {
    expect(await ask(policy(), line, fields)).toBe(answer);
  });
});

describe("routing", () => {
  test("tells the methods that would do, and hosts that are not served", async () => {
    const policy = policyOf({
      "/a": { methods: ["GET", "PUT"], hosts: ["api.example.com"], public: true },
    });
    expect(await decide(policy, arrival("DELETE /a"))).toMatchObject({ denial: { allow: "GET, HEAD, PUT" } });
    expect(await ask(policy, "GET /a", [], { rawFields: ["Host", "other.example"] })).toBe(
      "misdirected_request misdirected_request",
    );
  });

  test.each(["TRACE", "CONNECT"])("never forwards %s, not even where any method will do", async (method) => {
    expect(await ask(policyOf({ "/*": { public: true } }), `${method} /a`)).toBe(
      "method_not_allowed method_never_forwarded",
    );
  });
});

describe("what arrives malformed", () => {
  const policy = policyOf({ "/*": { public: true } }, { trusted: "10.0.0.0/8" });
  const chunked = ["Transfer-Encoding", "chunked"];

  test.each<
    readonly [what: string, line: string, fields: readonly string[], parts: Partial<Arrival>, answer: string]
  >([
    ["no Host", "GET /", [], { rawFields: [] }, "request_invalid host_invalid"],
    ["two Hosts", "GET /", ["Host", "api.example.com"], {}, "request_invalid host_invalid"],
    ["an empty Host", "GET /", [], { rawFields: ["Host", ""] }, "request_invalid host_invalid"],
    [
      "a Host with user information",
      "GET /",
      [],
      { rawFields: ["Host", "a@b"] },
      "request_invalid host_invalid",
    ],
    ["a Host with a path", "GET /", [], { rawFields: ["Host", "a/b"] }, "request_invalid host_invalid"],
    ["a Host with a space", "GET /", [], { rawFields: ["Host", "a b"] }, "request_invalid host_invalid"],
    [
      "a Host with a port beyond digits",
      "GET /",
      [],
      { rawFields: ["Host", "a:8x"] },
      "request_invalid host_invalid",
    ],
    ["a target that is too long", `GET /${"a".repeat(100)}`, [], {}, "url_too_long url_too_long"],
    ["too many fields", "GET /", new Array<string>(20).fill("a"), {}, "headers_too_large header_count"],
    ["too long fields", "GET /", ["X", "a".repeat(1_000)], {}, "headers_too_large header_bytes"],
    ["chunks and a length", "POST /", [...chunked, "Content-Length", "5"], {}, "request_invalid framing"],
    ["chunks in HTTP/1.0", "POST /", chunked, { httpVersion: "1.0" }, "request_invalid framing"],
    ["chunks twice", "POST /", [...chunked, ...chunked], {}, "request_invalid framing"],
    ["an empty coding", "POST /", ["Transfer-Encoding", ""], {}, "request_invalid framing"],
    [
      "another coding",
      "POST /",
      ["Transfer-Encoding", "gzip, chunked"],
      {},
      "not_implemented transfer_coding",
    ],
    ["two lengths", "POST /", ["Content-Length", "5", "Content-Length", "5"], {}, "request_invalid framing"],
    ["a signed length", "POST /", ["Content-Length", "+5"], {}, "request_invalid framing"],
    ["a list of lengths", "POST /", ["Content-Length", "5, 5"], {}, "request_invalid framing"],
    [
      "a length of too many digits",
      "POST /",
      ["Content-Length", "1".repeat(17)],
      {},
      "request_invalid framing",
    ],
    ["a length above the limit", "POST /", ["Content-Length", "51"], {}, "body_too_large content_length"],
    ["half a handshake", "GET /", ["Upgrade", "h2c, WebSocket"], {}, "request_invalid websocket_handshake"],
    ["another authority", "GET http://other/", [], {}, "request_target_invalid authority_mismatch"],
    ["an asterisk", "OPTIONS *", [], {}, "request_target_invalid target_form"],
  ])("is refused: %s", async (_what, line, fields, parts, answer) => {
    expect(await ask(policy, line, fields, parts)).toBe(answer);
  });

  test.each<readonly [what: string, line: string, fields: readonly string[], parts: Partial<Arrival>]>([
    ["HTTP/1.0 without Host", "GET /", [], { rawFields: [], httpVersion: "1.0" }],
    ["an IPv6 Host with a port", "GET /", [], { rawFields: ["Host", "[2001:db8::1]:8080"] }],
    ["a length at the limit", "POST /", ["Content-Length", "50"], {}],
    ["chunks in capitals", "POST /", ["Transfer-Encoding", "Chunked"], {}],
    ["a whole handshake", "GET /", ["Upgrade", "websocket"], { upgrade: true }],
    ["an offer of HTTP/2", "GET /", ["Upgrade", "h2c"], {}],
  ])("and what only looks so is not: %s", async (_what, line, fields, parts) => {
    expect(await ask(policy, line, fields, parts)).toBe("forward /* as anonymous");
  });

  test("is answered in the caller's protocol", async () => {
    const decision = await decide(
      policy,
      arrival("POST /../x", ["Content-Type", "application/grpc-web+proto"]),
    );
    expect(decision).toMatchObject({ kind: "refuse", protocol: "grpc-web", request: undefined });
  });
});

describe("what a proxy in front says", () => {
  const FIELDS = [
    "X-Forwarded-For",
    "203.0.113.9, 10.0.0.7",
    "X-Forwarded-Proto",
    "http, https",
    "X-Request-Id",
    "from-the-front",
  ];
  const policy = policyOf({ "/*": { public: true } }, { trusted: "10.0.0.0/8" });

  test("is believed when it is trusted", async () => {
    const { request } = await decide(policy, arrival("GET /", FIELDS, { peerAddress: "10.0.0.1" }));
    expect(request).toMatchObject({
      id: "from-the-front",
      scheme: "https",
      clientAddress: "203.0.113.9",
      peerAddress: "10.0.0.1",
      peerTrusted: true,
    });
  });

  test("is not when it isn't", async () => {
    const { request } = await decide(policy, arrival("GET /", FIELDS));
    expect(request).toMatchObject({
      id: "request-1",
      scheme: "http",
      clientAddress: "192.0.2.1",
      peerTrusted: false,
    });
  });

  test.each([
    ["an id that isn't fit for a log", ["X-Request-Id", "a b"]],
    ["an id that is too long", ["X-Request-Id", "a".repeat(129)]],
    ["two ids", ["X-Request-Id", "a", "X-Request-Id", "b"]],
    ["a scheme of another kind", ["X-Forwarded-Proto", "ftp"]],
  ])("is left aside: %s", async (_what, fields) => {
    const { request } = await decide(policy, arrival("GET /", fields, { peerAddress: "10.0.0.1" }));
    expect(request).toMatchObject({ id: "request-1", scheme: "http" });
  });
});
