import { beforeEach, describe, expect, test } from "vitest";
import { createAdminApp } from "../../../src/admin/app.ts";
import { limitEntries } from "../../../src/admin/limits.ts";
import type { RoutePolicy } from "../../../src/config/gateway-config.ts";
import { GatewayFailure } from "../../../src/core/failure.ts";
import type { TieredLimit } from "../../../src/rate-limit/policy.ts";
import { counterState, FakeGateway, routesOf } from "../../support/admin.ts";

const TIERED: TieredLimit = {
  name: "GET /a",
  subject: { by: "user" },
  cost: 1,
  onStoreFailure: "local",
  algorithm: "tokenBucket",
  sync: "leased",
  observe: true,
  tiers: new Map([
    ["guest", { limit: 10, windowMs: 3_600_000 }],
    ["admin", undefined],
  ]),
};
const COUNTERS = "/api/v1/limits/counters";
let gateway: FakeGateway;
beforeEach(() => {
  gateway = new FakeGateway();
});

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { Host: "localhost", ...(init.headers as Record<string, string>) };
  return await createAdminApp(gateway.options()).request(`http://localhost${path}`, { ...init, headers });
}

describe("health", () => {
  test("is told as on the traffic port", async () => {
    gateway.notes = ["redis_unreachable"];
    const ready = await ask("/readyz");
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { status: "ready", notes: ["redis_unreachable"] },
    ]);
    gateway.ready = false;
    gateway.notes = ["draining"];
    const draining = await ask("/readyz");
    expect([draining.status, await draining.json()]).toEqual([
      503,
      { status: "not_ready", notes: ["draining"] },
    ]);
    expect(await (await ask("/healthz")).json()).toEqual({ status: "ok" });
  });
});

describe("the limits", () => {
  test("are those of the file, in its order, with what they decided", async () => {
    const routes = await routesOf(`
  - { match: GET /a, to: app, public: true, limit: [10/min per ip cost 2, { rate: 5/s, per: "header:x-tenant", name: shared, onStoreFailure: deny }] }
  - { match: GET /b, to: app, public: true, limit: false }
  - { match: GET /c, to: app, public: true, limit: 1/h per route }
`);
    gateway.stats = [
      {
        route: "GET /a",
        limit: "shared",
        admitted: 7,
        refused: 2,
        unavailable: 1,
        wouldRefuse: 0,
        mode: "deny",
      },
    ];
    gateway.degraded = true;
    const body = (await (
      await createAdminApp(gateway.options(routes)).request("http://localhost/api/v1/limits", {
        headers: { Host: "localhost" },
      })
    ).json()) as { limits: unknown[] };
    const none = { admitted: 0, refused: 0, unavailable: 0, wouldRefuse: 0 };
    const same = {
      cost: 1,
      algorithm: "slidingWindow",
      sync: "exact",
      onStoreFailure: "local",
      observe: false,
    };
    expect(body).toEqual({
      store: { name: "redis", up: true },
      degraded: true,
      counters: 5,
      limits: [
        {
          ...same,
          route: "GET /a",
          limit: "GET /a",
          rates: [{ units: 10, windowSeconds: 60 }],
          per: "ip",
          cost: 2,
          decisions: none,
        },
        {
          ...same,
          route: "GET /a",
          limit: "shared",
          rates: [{ units: 5, windowSeconds: 1 }],
          per: "header:x-tenant",
          onStoreFailure: "deny",
          decisions: { ...none, admitted: 7, refused: 2, unavailable: 1 },
        },
        {
          ...same,
          route: "GET /c",
          limit: "GET /c",
          rates: [{ units: 1, windowSeconds: 3_600 }],
          per: "route",
          decisions: none,
        },
      ],
    });
  });

  test("by tiers have a rate for each", () => {
    const [route] = [{ name: "GET /a", limits: [TIERED] }] as unknown as readonly RoutePolicy[];
    const [entry] = limitEntries({ routes: route === undefined ? [] : [route], keyLimits: new Map() }, []);
    expect(entry?.rates).toEqual([{ tier: "guest", units: 10, windowSeconds: 3_600 }, { tier: "admin" }]);
    expect([entry?.algorithm, entry?.sync, entry?.observe]).toEqual(["tokenBucket", "leased", true]);
  });

  test("say that nothing is shared", async () => {
    gateway.store = undefined;
    expect(await (await ask("/api/v1/limits")).json()).toMatchObject({ store: null, limits: [] });
  });
});

describe("counters", () => {
  const alice = [counterState(), counterState({ limit: "GET /b", source: "lease" })];

  test("of one identity are shown, whatever characters it has", async () => {
    const identity = "user:https://login.example.com/?a=b&c|alice+bob émile";
    gateway.counters.set(identity, alice);
    const answer = await ask(`${COUNTERS}?key=${encodeURIComponent(identity)}`);
    expect([answer.status, await answer.json()]).toEqual([200, { counters: alice }]);
    expect(gateway.asked).toEqual([identity]);
  });

  test("that aren't there are an empty list", async () => {
    const answer = await ask(`${COUNTERS}?key=user:bob`);
    expect([answer.status, await answer.json()]).toEqual([200, { counters: [] }]);
  });

  test("are reset and counted, in an audit line that doesn't say whose", async () => {
    gateway.counters.set("user:alice", alice);
    for (const counters of [2, 0]) {
      const answer = await ask(`${COUNTERS}?key=user:alice`, { method: "DELETE" });
      expect([answer.status, await answer.json()]).toEqual([200, { counters }]);
    }
    expect(gateway.audits).toEqual([
      { event: "limits_reset", counters: 2 },
      { event: "limits_reset", counters: 0 },
    ]);
  });

  test("are neither shown nor reset without exactly one well-formed key", async () => {
    for (const query of [
      "",
      "?key=",
      "?key=user:a&key=user:b",
      "?Key=user:a",
      "?key=user:a%0ab",
      "?key=alice",
    ])
      for (const method of ["GET", "DELETE"]) {
        const answer = await ask(COUNTERS + query, { method });
        expect([answer.status, await answer.json()], `${method} ${query}`).toEqual([
          400,
          expect.objectContaining({ code: "request_invalid" }),
        ]);
      }
    expect(gateway.asked).toEqual(["alice", "alice"]);
    expect(gateway.audits).toEqual([]);
  });

  test("that the shared store can't tell now are 503, without an audit line", async () => {
    gateway.failure = new GatewayFailure("dependency_unreachable", "redis");
    for (const method of ["GET", "DELETE"]) {
      const answer = await ask(`${COUNTERS}?key=user:a`, { method });
      expect([answer.status, await answer.json()]).toEqual([
        503,
        expect.objectContaining({ code: "limiter_unavailable", retryAfter: 1 }),
      ]);
      expect(answer.headers.get("Retry-After")).toBe("1");
    }
    expect([gateway.audits, gateway.defects]).toEqual([[], []]);
  });

  test("that can't be read by a defect are 500, which is reported and not told", async () => {
    gateway.failure = new Error("something with user:a in it");
    const answer = await ask(`${COUNTERS}?key=user:a`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("user:a");
    expect(gateway.defects).toEqual([gateway.failure]);
  });
});

describe("every answer", () => {
  test.each([
    ["/healthz", "GET", 200],
    ["/metrics", "GET", 200],
    ["/metrics", "HEAD", 200],
    ["/metrics", "PUT", 405],
    [COUNTERS, "POST", 405],
    ["/nowhere", "GET", 404],
    ["/metrics/", "GET", 404],
    ["//metrics", "GET", 404],
    ["/METRICS", "GET", 404],
  ])("%s to %s is %i, and is kept nowhere", async (path, method, status) => {
    const answer = await ask(path, { method });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    if (status >= 400) {
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(await answer.json()).toMatchObject({
        status,
        type: expect.stringMatching(/^urn:gatewarden:error:/),
      });
    }
    if (status === 405) expect(answer.headers.get("allow")).toMatch(/^GET, HEAD(?:, DELETE)?$/);
  });
});
