// What single edits of a file mean: which widen, which don't, and which change nothing.

import { describe, expect, test } from "vitest";
import { compareConfigs } from "../../../src/review/diff/compare.ts";
import { comparisonJson } from "../../../src/review/diff/json.ts";
import { comparisonMarkdown } from "../../../src/review/diff/markdown.ts";
import { gainText, headline, methodsText, subjectText } from "../../../src/review/diff/sentences.ts";
import { comparisonText } from "../../../src/review/diff/text.ts";
import { compileModel, type FileModel, NOW_MS, type Written } from "../../support/diff-models.ts";

const HASH = `sha256:${"1".repeat(64)}`;
const BASE: FileModel = {
  sections: {
    issuers: {
      corp: {
        issuer: "https://login.example.com/",
        audience: ["api", "web"],
        jwksUri: "https://login.example.com/k",
      },
      partner: { issuer: "https://partner.example.com/", audience: "api", clientId: "c1" },
    },
    apiKeys: [{ id: "bot", hash: HASH, scopes: ["m:read"], allowIps: ["10.0.0.0/8"], expires: "2027-01-01" }],
    roles: { dev: { scopes: ["m:read"] }, ops: { scopes: ["m:*"], tier: "gold" } },
    tiers: { guest: "10/h", user: "100/h", gold: "1000/h" },
    upstreams: { app: "http://127.0.0.1:9000", other: "http://127.0.0.1:9001" },
  },
  routes: [
    { match: "GET /m", to: "app", auth: ["jwt", "apiKey"], scopes: ["m:read"], limit: "100/min per user" },
    { match: "DELETE /m/:id", to: "app", auth: ["jwt:corp"], scopes: ["m:read", "m:write"] },
    { match: "GET /own/:org/a", to: "app", auth: ["jwt"], require: { org: ":org" } },
    { match: "GET /lan", to: "app", public: true, ips: { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16"] } },
    {
      match: "GET /paid",
      to: "app",
      auth: ["jwt"],
      limit: { tier: { guest: "0/day", user: "0/day", gold: "5/day" } },
    },
    { match: "/rest/*", to: "app", auth: [{ all: ["apiKey", "jwt:corp"] }] },
  ],
};

/** The base with some members of one route in place of its own; `undefined` takes a member away. */
function route(index: number, members: Written): FileModel {
  return { ...BASE, routes: BASE.routes.map((one, at) => (at === index ? { ...one, ...members } : one)) };
}

function section(name: string, value: unknown): FileModel {
  return { ...BASE, sections: { ...BASE.sections, [name]: value } };
}

function issuer(name: string, members: Written): FileModel {
  const issuers = BASE.sections.issuers as Readonly<Record<string, Written>>;
  return section("issuers", { ...issuers, [name]: { ...issuers[name], ...members } });
}

function key(members: Written): FileModel {
  const [bot] = BASE.sections.apiKeys as readonly Written[];
  return section("apiKeys", [{ ...bot, ...members }]);
}

async function compare(next: FileModel, old = BASE) {
  const [before, after] = [await compileModel(old), await compileModel(next)];
  if (before === undefined || after === undefined) throw new Error("invalid");
  return compareConfigs(before, after, NOW_MS);
}

/** `METHODS PATTERN: who: why` of every gain. */
async function gains(next: FileModel, old = BASE): Promise<string[]> {
  const { routes, paths } = await compare(next, old);
  return [
    ...routes.flatMap((one) =>
      one.gains.map((gain) => `${methodsText(one)} ${subjectText(one)}: ${gainText(gain)}`),
    ),
    ...paths.map(({ text }) => text),
  ];
}

const PUBLIC = { public: true, auth: undefined, scopes: undefined, require: undefined };

describe("access widens", () => {
  test.each<[string, FileModel, string[]]>([
    ["when a route is opened", route(0, PUBLIC), ["GET /m: anybody"]],
    [
      "when it becomes optional without scopes",
      route(2, { optional: true, require: undefined }),
      ["GET /own/:org/a: anybody"],
    ],
    [
      "when a scope is dropped",
      route(1, { scopes: ["m:read"] }),
      ["DELETE /m/:id: tokens of issuer corp: scope m:read is enough"],
    ],
    [
      "when one scope of two is enough",
      route(1, { scopes: { any: ["m:read", "m:write"] } }),
      ["DELETE /m/:id: tokens of issuer corp: scope m:read is enough"],
    ],
    ["when more issuers are taken", route(1, { auth: ["jwt"] }), ["DELETE /m/:id: tokens of issuer partner"]],
    [
      "when keys are taken, by those that may",
      route(1, { auth: ["jwt:corp", "apiKey"], scopes: ["m:read"] }),
      [
        "DELETE /m/:id: tokens of issuer corp: scope m:read is enough",
        "DELETE /m/:id: API key bot: keys were not accepted",
      ],
    ],
    [
      "when a requirement is dropped",
      route(2, { require: undefined }),
      [
        'GET /own/:org/a: tokens of issuer corp: `org: ":org"` no longer has to hold',
        'GET /own/:org/a: tokens of issuer partner: `org: ":org"` no longer has to hold',
      ],
    ],
    [
      "when a denied range is dropped",
      route(3, { ips: { allow: ["10.0.0.0/8"] } }),
      ["GET /lan: callers from some addresses: more client addresses may call"],
    ],
    [
      "when a limit of 0 is raised",
      route(4, { limit: { tier: { guest: "0/day", user: "1/day", gold: "5/day" } } }),
      [
        "GET /paid: tokens of issuer corp: tier user had a limit of 0",
        "GET /paid: tokens of issuer partner: tier user had a limit of 0",
      ],
    ],
    [
      "when a check is only observed",
      route(1, { observe: ["scopes"] }),
      ["DELETE /m/:id: tokens of issuer corp: without further permissions"],
    ],
    [
      "when credentials are only observed",
      route(2, { observe: ["auth", "require"] }),
      ["GET /own/:org/a: anybody"],
    ],
    [
      "when the token may come without the key",
      route(5, { auth: ["jwt:corp"] }),
      ["any /rest/*: tokens of issuer corp"],
    ],
    [
      "when a route is added",
      { ...BASE, routes: [...BASE.routes, { match: "POST /m", to: "app", auth: ["apiKey"] }] },
      ["POST /m: API key bot"],
    ],
    [
      "when a route takes a part of another's requests",
      { ...BASE, routes: [...BASE.routes, { match: "GET /rest/open", to: "app", public: true }] },
      ["GET /rest/open: anybody"],
    ],
    [
      "when a guard that stood before a wider pattern goes",
      {
        ...BASE,
        routes: [...BASE.routes.slice(0, 1), { match: "/m/*", to: "app", public: true }],
      },
      ["any /m/*: anybody", "DELETE /m/:id: anybody"],
    ],
    [
      "when an audience is added",
      issuer("partner", { audience: ["api", "extra"] }),
      [
        "GET /m: tokens of issuer partner: audience extra is also taken",
        "GET /own/:org/a: tokens of issuer partner: audience extra is also taken",
        "GET /paid: tokens of issuer partner: audience extra is also taken",
      ],
    ],
    [
      "when a key lasts longer",
      key({ expires: "2028-01-01" }),
      [
        "GET /m: API key bot: valid for longer",
        "any /rest/*: API key bot with a token: the key is valid for longer",
      ],
    ],
    [
      "when a key is another one",
      key({ hash: `sha256:${"2".repeat(64)}` }),
      [
        "GET /m: API key bot: not usable before",
        "any /rest/*: API key bot with a token: the key was not usable before",
      ],
    ],
    [
      "when a key comes from more addresses",
      key({ allowIps: undefined }),
      [
        "GET /m: API key bot: more client addresses may call",
        "any /rest/*: API key bot with a token: more client addresses may call",
      ],
    ],
    [
      "when a role gives a scope that a route asks for",
      section("roles", { dev: { scopes: ["m:read", "m:write"] }, ops: { scopes: ["m:*"], tier: "gold" } }),
      ["DELETE /m/:id: tokens of issuer corp: role dev give more"],
    ],
    [
      "when paths are read less strictly",
      section("paths", { semicolon: "keep" }),
      ["paths with a semicolon are no longer refused"],
    ],
  ])("%s", async (_, next, told) => {
    expect((await gains(next)).toSorted()).toEqual(told.toSorted());
  });

  test("possibly, when keys of an issuer come from elsewhere", async () => {
    const comparison = await compare(issuer("corp", { jwksUri: "https://keys.example.com/k" }));
    expect(comparison.access).toBe("possibly wider");
    expect(headline(comparison)).toBe("Access may widen: 5 routes");
  });

  test("possibly, on routes with address rules, when other proxies are trusted", async () => {
    const told = await gains(section("trustedProxies", ["172.16.0.0/12"]));
    expect(told).toContain(
      "GET /lan: possibly callers from some addresses: other trusted proxies tell the client's address",
    );
    expect(told.every((one) => one.includes("possibly"))).toBe(true);
  });

  test("where the gateway answered its health checks itself", async () => {
    const all = { ...BASE, routes: [{ match: "GET,POST /*", to: "app", public: true }] };
    const without = { ...all, sections: { ...all.sections, health: false } };
    expect(await gains(without, all)).toEqual(["GET /healthz: anybody", "GET /readyz: anybody"]);
    expect(await gains(all, without)).toEqual([]);
    const moved = { ...all, sections: { ...all.sections, health: { live: "/live", ready: "/readyz" } } };
    expect(await gains(moved, all)).toEqual(["GET /healthz: anybody"]);
  });

  test("when an algorithm is added", async () => {
    const told = await gains(
      issuer("corp", { algorithms: ["RS256", "ES256"] }),
      issuer("corp", { algorithms: ["RS256"] }),
    );
    expect(told).toContain("DELETE /m/:id: tokens of issuer corp: algorithm ES256 is also taken");
  });

  test("when a combination is reached that another alternative stood before", async () => {
    const both = { auth: ["apiKey", { all: ["apiKey", "jwt:corp"] }], scopes: ["m:write"] };
    expect(await gains(route(1, both), route(1, { ...both, credentials: "firstMatch" }))).toEqual([
      "DELETE /m/:id: API key bot with a token: not accepted before",
    ]);
  });

  test("where a key's own path is no longer the only one", async () => {
    const own = { match: "GET /o/:org", to: "app", auth: ["apiKey"], require: { org: ":org" } };
    const { sections } = key({ org: "acme" });
    const other = { match: "GET /o/other", to: "app", auth: ["apiKey"] };
    const same = { match: "GET /o/acme", to: "app", auth: ["apiKey"] };
    const old = { sections, routes: [own] };
    expect(await gains({ sections, routes: [own, other] }, old)).toEqual([
      "GET /o/other: API key bot: not permitted before",
    ]);
    expect(await gains({ sections, routes: [own, same] }, old)).toEqual([]);
  });

  test("where a key adds what a token lacks", async () => {
    const { access, routes } = await compare(route(1, { auth: [{ all: ["apiKey", "jwt:corp"] }] }));
    expect(access).toBe("both");
    expect(routes[0]?.gains.map(gainText)).toEqual(["API key bot with a token: scope m:write is enough"]);
  });

  test("where a key adds a role that no token has to have", async () => {
    const both = { auth: [{ all: ["apiKey", "jwt:corp"] }], scopes: ["m:write"] };
    for (const roles of [["dev"], { any: ["dev", "ops"] }]) {
      const base = route(1, { ...both, roles });
      const [bot] = BASE.sections.apiKeys as readonly Written[];
      const next = { ...base, sections: { ...base.sections, apiKeys: [{ ...bot, roles: ["dev"] }] } };
      expect(await gains(next, base)).toContain(
        "DELETE /m/:id: API key bot with a token: scope m:write is enough",
      );
    }
  });

  test("for web pages, when more origins may call", async () => {
    const cors = (origins: readonly string[]) => section("cors", { origins });
    const told = await gains(cors(["https://a.example", "https://b.example"]), cors(["https://a.example"]));
    expect(told[0]).toBe("GET /m: web pages of https://b.example: not allowed before");
    expect(
      (await compare(cors(["https://a.example"]), cors(["https://a.example", "https://b.example"]))).access,
    ).toBe("narrower");
  });
});

describe("access doesn't widen", () => {
  test.each<[string, FileModel]>([
    ["when a scope is added", route(0, { scopes: ["m:read", "m:list"] })],
    ["when one kind of credential is no longer taken", route(0, { auth: ["jwt"] })],
    ["when one issuer is no longer taken", route(2, { auth: ["jwt:corp"] })],
    ["when a key is needed as well", route(2, { auth: [{ all: ["apiKey", "jwt"] }] })],
    ["when a requirement is added", route(1, { require: { org: "acme" } })],
    ["when a range is denied", route(3, { ips: { allow: ["10.0.0.0/8"], deny: ["10.0.0.0/15"] } })],
    ["when a public route gets a guard", route(3, { public: undefined, auth: ["jwt"] })],
    [
      "when a tier is shut out",
      route(4, { limit: { tier: { guest: "0/day", user: "0/day", gold: "0/day" } } }),
    ],
    ["when a route goes", { ...BASE, routes: BASE.routes.slice(1) }],
    ["when a key goes", section("apiKeys", [{ id: "x", hash: `sha256:${"3".repeat(64)}`, enabled: false }])],
    ["when a key is switched off", key({ enabled: false })],
    ["when a key ends sooner", key({ expires: "2026-12-01" })],
    ["when a key that is over lasts longer, but not until now", key({ expires: "2026-05-31" })],
    ["when a key may be used in fewer places", key({ allowIps: ["10.2.0.0/16"] })],
    ["when a key may do less", key({ scopes: [] })],
    ["when an audience is no longer taken", issuer("corp", { audience: ["api"] })],
    ["when the leeway is shorter", issuer("corp", { leeway: "5s" })],
    ["when only one client's tokens are taken", issuer("corp", { clientId: "web" })],
    ["when a role gives less", section("roles", { dev: {}, ops: { scopes: ["m:*"], tier: "gold" } })],
    ["when limits get looser", route(0, { limit: "500/min per user" })],
    ["when bounds get looser", section("limits", { body: "20MiB" })],
    ["when requests go elsewhere", route(0, { to: "other" })],
    ["when headers are set", route(0, { headers: { request: { set: { "X-A": "1" } } } })],
  ])("%s", async (_, next) => {
    const { access, routes, file } = await compare(next);
    expect(["narrower", "same"]).toContain(access);
    expect(routes.length + file.length).toBeGreaterThan(0);
  });
});

describe("nothing changes", () => {
  test.each<[string, FileModel]>([
    ["in another order", { ...BASE, routes: BASE.routes.toReversed() }],
    [
      "with other names of parameters",
      {
        ...BASE,
        routes: BASE.routes.with(2, {
          ...BASE.routes[2],
          match: "GET /own/:tenant/a",
          require: { org: ":tenant" },
        }),
      },
    ],
    ["with names for routes", route(0, { name: "modules" })],
    ["with what goes without saying", route(0, { credentials: "single", optional: false })],
    [
      "with ranges written otherwise",
      route(3, { ips: { allow: ["10.0.0.0/9", "10.128.0.0/9"], deny: ["10.1.2.3/16"] } }),
    ],
    [
      "with a route in two",
      { ...BASE, routes: BASE.routes.with(5, { ...BASE.routes[5], match: ["/rest/*", "GET /rest/a"] }) },
    ],
    ["with scopes in another order", route(1, { scopes: ["m:write", "m:read"] })],
    ["with tests", section("tests", [{ request: "GET /m", expect: 401 }])],
  ])("%s", async (_, next) => {
    const comparison = await compare(next);
    expect(comparison.routes).toEqual([]);
    expect(comparison.file).toEqual([]);
    expect(comparison.access).toBe("same");
    expect(headline(comparison)).toBe("No change in meaning");
    expect((await compare(BASE, next)).access).toBe("same");
  });

  test("between a role and the scopes that it gives, where both are needed", async () => {
    const scopes = route(1, { scopes: ["m:read"], roles: ["dev"] });
    const role = route(1, { scopes: undefined, roles: ["dev"] });
    expect((await compare(role, scopes)).access).toBe("same");
  });
});

describe("other changes are told", () => {
  test.each<[string, FileModel, string]>([
    ["limit", route(0, { limit: "200/min per user" }), "limit: 100/min per user → 200/min per user looser"],
    ["limit", route(0, { limit: "50/min per user" }), "limit: 100/min per user → 50/min per user"],
    ["limit", route(0, { limit: "100/min per ip" }), "limit: 100/min per user → 100/min per ip looser"],
    ["limit", route(0, { limit: undefined }), "limit: 100/min per user → no limit looser"],
    [
      "limit",
      route(0, { observe: ["limit"] }),
      "limit: 100/min per user → 100/min per user (observed only) looser",
    ],
    [
      "upstream",
      route(0, { to: "other" }),
      "upstream: app (http://127.0.0.1:9000) → other (http://127.0.0.1:9001)",
    ],
    ["stripPrefix", route(5, { stripPrefix: "/rest" }), "cut from the path: nothing → /rest"],
    [
      "forwardCredentials",
      route(0, { forwardCredentials: true }),
      "credentials for the upstream: removed → passed on",
    ],
    [
      "timeouts",
      route(0, { timeouts: { total: "5s" } }),
      "timeouts: connect 3s, headers 30s, idle 1m, total none → connect 3s, headers 30s, idle 1m, total 5s",
    ],
    [
      "credentials",
      route(0, { credentials: "firstMatch" }),
      "several credentials: refused → the first decides",
    ],
  ])("%s", async (_, next, told) => {
    const { routes } = await compare(next);
    const changes = routes.flatMap((one) => one.changes);
    expect(
      changes.map((one) => `${one.what}: ${one.old} → ${one.new}${one.looser ? " looser" : ""}`),
    ).toContain(told);
  });

  test.each<[FileModel, string]>([
    [section("limits", { body: "20MiB" }), "limits.bodyBytes: 10485760 bytes → 20971520 bytes looser"],
    [section("failedCredentials", false), "failedCredentials: 300 in 1m, blocks of 1s to 15m → off looser"],
    [section("listen", ":9999"), "listen: 0.0.0.0:8080 → 0.0.0.0:9999"],
    [section("redis", "redis://:hush@127.0.0.1:6379"), "redis: none → one server, prefix gw, timeout 50ms"],
    [
      key({ metadata: { a: 1 } }),
      "apiKeys bot: scopes m:read; until 2027-01-01T00:00:00.000Z; only from 10.0.0.0/8 → scopes m:read; until 2027-01-01T00:00:00.000Z; only from 10.0.0.0/8, with other values",
    ],
  ])("of the whole gateway: %#", async (next, told) => {
    const { file } = await compare(next);
    expect(file.map((one) => `${one.what}: ${one.old} → ${one.new}${one.looser ? " looser" : ""}`)).toEqual([
      told,
    ]);
  });
});

describe("what is written", () => {
  const PLAIN = {
    bold: (text: string) => text,
    red: (text: string) => text,
    green: (text: string) => text,
    yellow: (text: string) => text,
  };

  test("holds no secret", async () => {
    const secret = "hush-hush-hush-hush-hush-hush-hush-1";
    const next = {
      sections: {
        ...BASE.sections,
        redis: `redis://:${secret}@127.0.0.1:6379`,
        issuers: {
          ...(BASE.sections.issuers as Written),
          corp: { issuer: "https://login.example.com/", audience: "api", secret },
        },
        logs: { fields: { a: secret } },
      },
      routes: BASE.routes.map((one, index) => ({
        ...one,
        match:
          index === 1
            ? { path: "/m/:id", methods: ["DELETE"], headers: { "X-Edge": secret }, query: { q: secret } }
            : one.match,
        headers: { request: { set: { "X-Secret": secret } }, response: { set: { "X-Other": secret } } },
      })),
    };
    const comparison = await compare(next);
    const all = [
      comparisonText(comparison, PLAIN),
      comparisonMarkdown(comparison),
      comparisonJson(comparison, ["a", "b"]),
    ].join("");
    expect(all).toContain("X-Edge".toLowerCase());
    expect(all).not.toContain("hush");
    expect(all).not.toContain("1".repeat(64));
  });

  test("can't become markup or drive a terminal", async () => {
    const next = route(2, { require: { org: "a|b`c<img src=x>\u001b[31m\u202e@team" } });
    const comparison = await compare(next);
    const [text, markdown] = [comparisonText(comparison, PLAIN), comparisonMarkdown(comparison)];
    expect(text).not.toMatch(/\p{Cc}(?<!\n)|\u202e/u);
    expect(markdown).not.toMatch(/<img|@team|\p{Cc}(?<!\n)|\u202e/u);
    const rows = markdown.split("\n").filter((line) => line.startsWith("|"));
    expect(new Set(rows.map((line) => line.split("|").length))).toEqual(new Set([8]));
  });

  test("begins in Markdown with whether access widens", async () => {
    expect(comparisonMarkdown(await compare(route(0, PUBLIC))).split("\n")[0]).toBe(
      "**Access widens: 1 route**",
    );
    expect(comparisonMarkdown(await compare(route(0, { scopes: ["*"] }))).split("\n")[0]).toBe(
      "**No access widens**",
    );
  });

  test("stays short where thousands of routes change", async () => {
    const many = (members: Written): FileModel => ({
      ...BASE,
      routes: Array.from({ length: 1_500 }, (_, index) => ({
        match: `GET /r${index}`,
        to: "app",
        auth: ["jwt"],
        scopes: [`s${index}`],
        ...members,
      })),
    });
    const comparison = await compare(many({ scopes: undefined, auth: undefined, public: true }), many({}));
    expect(headline(comparison)).toBe("Access widens: 1500 routes");
    expect(comparisonText(comparison, PLAIN).length).toBeLessThan(30_000);
    expect(comparisonMarkdown(comparison).length).toBeLessThan(60_000);
  });
});

describe("what is too much to compare", () => {
  test("counts as possibly wider", async () => {
    const names = Array.from({ length: 13 }, (_, index) => `h${index}`);
    const guarded = names.map((name, index) => ({
      match: { path: "/x", headers: Object.fromEntries(names.slice(0, index + 1).map((one) => [one, true])) },
      to: "app",
      auth: ["jwt"],
      scopes: [name],
    }));
    const next = [...guarded, { match: "/z", to: "app", public: true }];
    const [before, after] = await Promise.all(
      [guarded, next].map((routes) => compileModel({ ...BASE, routes })),
    );
    if (before === undefined || after === undefined) throw new Error("invalid");
    const comparison = compareConfigs(before, after, NOW_MS);
    expect(comparison.incomplete).toBe("/x");
    expect(headline(comparison)).toBe(
      "Access widens: 1 route. Access may widen: there are too many combinations to be sure",
    );
    expect(compareConfigs(before, before, NOW_MS).access).toBe("same");
  });

  test("is bounded over the whole file", async () => {
    const [before, after] = [await compileModel(BASE), await compileModel(route(0, { to: "other" }))];
    if (before === undefined || after === undefined) throw new Error("invalid");
    expect(compareConfigs(before, after, NOW_MS, { requests: 5 }).access).toBe("possibly wider");
    expect(compareConfigs(before, after, NOW_MS).access).toBe("same");
  });
});
