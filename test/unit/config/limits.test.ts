// What limits, tiers and global limits of a valid file become. What is refused is in the corpus.

import { describe, expect, test } from "vitest";
import { inspect, load } from "../../support/config.ts";

const BASE = `issuers: { corp: { issuer: https://login.example.com/, audience: api } }
upstreams: { app: http://127.0.0.1:9000 }
`;
const TIERS = "tiers: { guest: 10/h, user: 100/h, admin: false }\n";

/** The limits of a guarded route with this `limit`. */
async function limitsOf(limit: string, before = "") {
  const yaml = `${before}${BASE}routes: [{ match: GET /a, to: app, auth: [jwt], limit: ${limit} }]\n`;
  return (await load(yaml)).routes[0]?.limits;
}

/** Everything that is warned of in a file with these routes. */
async function warnings(routes: string, before = ""): Promise<string[]> {
  const { diagnostics } = await inspect(`${before}${BASE}defaults: { auth: [jwt] }\nroutes: ${routes}\n`);
  return diagnostics.map(({ severity, code, path, line, related }) => {
    const also = related === undefined ? "" : ` see ${related.line}:${related.column}`;
    return `${line} ${severity} ${code} ${path}${also}`;
  });
}

const PLAIN = {
  name: "GET /a",
  limit: 10,
  windowMs: 1_000,
  subject: { by: "user" },
  cost: 1,
  onStoreFailure: "local",
};

describe("what is chosen for the shared store", () => {
  const CHOICES = "sync: leased, onStoreFailure: deny";
  const ROUTES = `[{ match: /a, to: app, limit: { rate: 10/s, ${CHOICES} } }, { match: /b, to: app, limit: { rate: 10/s, sync: exact, onStoreFailure: local } }]`;

  test("is warned of in a file without `redis`, where it means nothing", async () => {
    expect(await warnings(ROUTES, `globalLimit: { rate: 1000/s, ${CHOICES} }\n`)).toEqual([
      "1 warning unused globalLimit.sync",
      "1 warning unused globalLimit.onStoreFailure",
      "5 warning unused routes[0].limit.sync",
      "5 warning unused routes[0].limit.onStoreFailure",
    ]);
  });

  test("is as it should be in a file with `redis`", async () => {
    expect(
      await warnings(ROUTES, `redis: redis://127.0.0.1\nglobalLimit: { rate: 1000/s, ${CHOICES} }\n`),
    ).toEqual([]);
  });

  test("is warned of at an API key as well", async () => {
    const hash = "9695a918e1ac586fd55881e3d754e756fa52c8d81696d6345a2594004b9dfbe0";
    const keys = `apiKeys: [{ id: bot, hash: "sha256:${hash}", limits: { rate: 5/s, onStoreFailure: allow } }]\n`;
    expect(await warnings("[{ match: /a, to: app, auth: [apiKey, jwt] }]", keys)).toEqual([
      "1 warning unused apiKeys[0].limits.onStoreFailure",
    ]);
  });
});

describe("a limit", () => {
  test.for([
    ["10/s", {}],
    ["{ rate: 10/s }", {}],
    ["10/s burst 20", { algorithm: "tokenBucket", burst: 20 }],
    ["10/s cost 2 burst 20 per ip", { algorithm: "tokenBucket", burst: 20, cost: 2, subject: { by: "ip" } }],
    ["{ rate: 10/s, burst: 5 }", { algorithm: "tokenBucket", burst: 5 }],
    ["{ rate: 10/s, burst: 5, cost: 5 }", { algorithm: "tokenBucket", burst: 5, cost: 5 }],
    ["{ rate: 10/s, algorithm: tokenBucket }", { algorithm: "tokenBucket" }],
    ["{ rate: 10/s, algorithm: slidingLog }", { algorithm: "slidingLog" }],
    ["{ rate: 10/s, sync: leased, observe: true }", { sync: "leased", observe: true }],
    ["{ rate: 10/s, per: ip, ipv6Prefix: 48 }", { subject: { by: "ip", ipv6Prefix: 48 } }],
    ["{ rate: 10/s, costFrom: responseHeader }", { costFrom: "x-ratelimit-cost" }],
    ['{ rate: 10/s, cost: 0, costFrom: "responseHeader:X-Units" }', { cost: 0, costFrom: "x-units" }],
  ] as const)("%s holds what it says and nothing else", async ([text, more]) => {
    // Without `toStrictEqual` a member that is there and undefined would pass.
    expect(await limitsOf(text)).toStrictEqual([{ ...PLAIN, ...more }]);
  });

  test.for([
    ["{ rate: 100000/day, algorithm: slidingLog }", true],
    ["{ rate: 100001/day, algorithm: slidingLog }", false],
    // 366 days are 31,622,400,000,000 microseconds, which 7 doesn't divide: 284 of them are exact.
    ["7/366d burst 284", true],
    ["7/366d burst 285", false],
    ["1000000000/s burst 999999999", true],
    ["{ rate: 1000000000/366d, algorithm: tokenBucket }", true],
    ["{ rate: 999999937/366d, algorithm: tokenBucket }", false],
    ["10/s burst 5 cost 5", true],
    ["10/s burst 5 cost 6", false],
    ["10/s burst 20 cost 20", true],
    ["1000000000/366d", true],
    ["1000000001/366d", false],
  ] as const)("%s is within its bounds: %s", async ([text, valid]) => {
    const yaml = `${BASE}routes: [{ match: GET /a, to: app, auth: [jwt], limit: ${text} }]\n`;
    const codes = (await inspect(yaml)).diagnostics.map(({ code }) => code);
    expect(codes).toEqual(valid ? [] : ["value_out_of_range"]);
  });

  test("what goes without saying makes no difference when it is said", async () => {
    const said =
      "{ rate: 10/s, per: ip, cost: 1, onStoreFailure: local, algorithm: slidingWindow, sync: exact, observe: false, ipv6Prefix: 64 }";
    expect(await limitsOf(said)).toStrictEqual(await limitsOf("10/s per ip"));
  });
});

describe("a limit by tier", () => {
  const table = new Map([
    ["guest", { limit: 10, windowMs: 3_600_000 }],
    ["user", { limit: 100, windowMs: 3_600_000 }],
    ["admin", undefined],
  ]);
  const traits = { name: "GET /a", subject: { by: "user" }, cost: 1, onStoreFailure: "local" };

  test.for([
    "tier",
    "{ tier: true }",
    "{ rate: tier }",
    "tier per user cost 1",
  ])("%s has the numbers of `tiers`", async (text) => {
    const limits = await limitsOf(text, TIERS);
    expect(limits).toEqual([{ ...traits, tiers: table }]);
    expect(Object.keys(limits?.[0] ?? {})).not.toContain("limit");
  });

  test("may have numbers of its own, 0 among them", async () => {
    const limits = await limitsOf(
      "{ tier: { guest: 0/day, user: 5/day, admin: false }, per: org, name: exports }",
    );
    const day = 86_400_000;
    const tiers = new Map([
      ["guest", { limit: 0, windowMs: day }],
      ["user", { limit: 5, windowMs: day }],
      ["admin", undefined],
    ]);
    expect(limits).toEqual([{ ...traits, name: "exports", subject: { by: "org" }, tiers }]);
  });

  test("a tier that admits nothing needs no room for the cost", async () => {
    expect(await limitsOf("{ tier: { guest: 0/day, user: 5/day }, cost: 5 }")).toHaveLength(1);
  });

  test("a guarded route needs numbers for `user` or `guest`, and only those", async () => {
    expect(await limitsOf("{ tier: { user: 5/day } }")).toHaveLength(1);
    expect(await limitsOf("{ tier: { guest: 5/day } }")).toHaveLength(1);
  });

  test("a tier that isn't among `tiers` is warned of, but not the two that go without saying", async () => {
    const one = "[{ match: /a, to: app, limit: [tier, { tier: { guest: 0/s, user: 1/s, admn: 5/s } }] }]";
    expect(await warnings(one, "tiers: { guest: 1/h, admin: 5/h }\n")).toEqual([
      "5 warning unknown_reference routes[0].limit[1].tier.admn",
    ]);
  });

  test("`tiers` without a limit that uses them are warned of", async () => {
    expect(await warnings("[{ match: /a, to: app, limit: 1/s }]", TIERS)).toEqual(["1 warning unused tiers"]);
    expect(await warnings("[{ match: /a, to: app, limit: tier }]", TIERS)).toEqual([]);
  });

  test("roles and keys may name tiers that aren't declared while none are", async () => {
    const roles = "roles: { a: { scopes: [x], tier: gold } }\n";
    expect(await warnings("[{ match: /a, to: app }]", roles)).toEqual([]);
  });
});

describe("global limits", () => {
  const names = async (global: string, ...lines: string[]): Promise<readonly (readonly string[])[]> => {
    const routes = lines.map((line, index) => `  - { match: /r${index}, to: app, public: true${line} }\n`);
    const { routes: all } = await load(`globalLimit: ${global}\n${BASE}routes:\n${routes.join("")}`);
    return all.map(({ limits }) => limits.map(({ name }) => name));
  };

  test("every route has them after its own, unless it says that it has none", async () => {
    expect(
      await names(
        "[100/s per ip, { rate: 5/s, name: all }, 1000/h per route]",
        ", limit: 5/min per ip",
        "",
        ", limit: false",
      ),
    ).toEqual([["/r0", "global", "all", "global 3"], ["global", "all", "global 3"], []]);
  });

  test("`false` is none", async () => {
    expect(await names("false", ", limit: false", "")).toEqual([[], []]);
  });

  test("are the same objects on every route, and listed", async () => {
    const yaml = `${TIERS}globalLimit: tier per ip\n${BASE}routes: [{ match: /a, to: app, public: true }, { match: /b, to: app, public: true }]`;
    const { routes, globalLimits } = await load(yaml);
    expect(globalLimits).toHaveLength(1);
    expect(routes.map(({ limits }) => limits[0] === globalLimits[0])).toEqual([true, true]);
  });

  test("are warned of when every route is exempt", async () => {
    expect(await warnings("[{ match: /a, to: app, limit: false }]", "globalLimit: 5/s\n")).toEqual([
      "1 warning unused globalLimit",
    ]);
  });
});

describe("limits of keys", () => {
  test("are counted by the key and named after it", async () => {
    const hash = (digit: string) => `"sha256:${digit.repeat(64)}"`;
    const { keyLimits, apiKeys } = await load(`${BASE}apiKeys:
  - { id: ci, hash: ${hash("a")}, limits: [1000/day, 10/s burst 20, { rate: 7/s, per: key, observe: true }] }
  - { id: free, hash: ${hash("b")} }
routes: [{ match: /a, to: app, auth: [apiKey] }]
`);
    const common = { subject: { by: "key" }, cost: 1, onStoreFailure: "local" };
    expect(keyLimits).toEqual(
      new Map([
        [
          "ci",
          [
            { ...common, name: "key ci", limit: 1_000, windowMs: 86_400_000 },
            { ...common, name: "key ci 2", limit: 10, windowMs: 1_000, algorithm: "tokenBucket", burst: 20 },
            { ...common, name: "key ci 3", limit: 7, windowMs: 1_000, observe: true },
          ],
        ],
      ]),
    );
    expect(Object.keys(apiKeys[0] ?? {})).not.toContain("limits");
  });
});

describe("a limit that can never be reached is warned of", () => {
  const one = (limit: string, before = "") => warnings(`[{ match: /a, to: app, limit: ${limit} }]`, before);

  test.for([
    ["[10/s, 1000/s]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[10/s, 600/min]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[1000/s, 10/s]", ["4 warning unused routes[0].limit[0] see 4:48"]],
    ["[10/s, 10/s]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[10/min, 10/s]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[10/s burst 100, 1000/s]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[{ tier: { guest: 1/s } }, 1000/s]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[10/s, { tier: { guest: 20/s, user: 900/s } }]", ["4 warning unused routes[0].limit[1] see 4:40"]],
    ["[10/s cost 5, 3/s]", ["4 warning unused routes[0].limit[1] see 4:40"]],
  ] as const)("%s", async ([limit, expected]) => {
    expect(await one(limit)).toEqual(expected);
  });

  test.for([
    "[10/s, 599/min]",
    "[10/s per user, 1000/s per ip]",
    "[10/s burst 1000, 500/s]",
    "[10/s, 1000/s burst 5]",
    "[10/s, 100/min cost 3]",
    "[{ rate: 10/s, observe: true }, 1000/s]",
    "[10/s, { rate: 1000/s, observe: true }]",
    "[{ rate: 10/s, onStoreFailure: allow }, 1000/s]",
    "[{ rate: 10/s, costFrom: responseHeader }, 1000/s]",
    "[10/s, { rate: 1000/s, name: shared }]",
    "[{ tier: { guest: 1/s, user: false } }, 1000/s]",
    "[{ tier: { guest: 1/s, user: 2000/s } }, 1000/s]",
    "[{ tier: { guest: 0/day, user: 1/s } }, 1000/s]",
    "10/s cost 10",
  ])("but not %s", async (limit) => {
    const said = await one(limit, "redis: redis://127.0.0.1\n");
    expect(said.filter((text) => !text.includes(" note "))).toEqual([]);
  });

  test("by global ones as well, but never a global one by that of a single route", async () => {
    expect(await one("1000/s", "globalLimit: 10/s\n")).toEqual(["5 warning unused routes[0].limit see 1:14"]);
    expect(await one("10/s", "globalLimit: 1000/s\n")).toEqual([]);
    expect(await one("1/s per ip", "globalLimit: [10/s, 1000/s]\n")).toEqual([
      "1 warning unused globalLimit[1] see 1:15",
    ]);
  });
});
