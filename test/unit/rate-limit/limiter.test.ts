import { describe, expect, test } from "vitest";
import { Fields } from "../../../src/core/fields.ts";
import { ANONYMOUS, type Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";
import { Limiter, type LimitInput, type LimitResult } from "../../../src/rate-limit/limiter.ts";
import { type LimitPolicy, type LimitSubject, refusalLimits } from "../../../src/rate-limit/policy.ts";

const alice: Principal = {
  method: "jwt",
  subject: "alice",
  issuer: "https://login.example.com/",
  org: "acme",
  scopes: ScopeSet.EMPTY,
  roles: [],
  claims: { plan: "pro", seats: 5, nested: { team: "blue" } },
};
const bot: Principal = { ...alice, method: "apiKey", subject: "ci", keyId: "ci-bot", claims: {} };
delete (bot as { issuer?: string }).issuer;

const base: LimitPolicy = {
  name: "GET /modules",
  limit: 3,
  windowMs: 60_000,
  subject: { by: "user" },
  cost: 1,
  onStoreFailure: "local",
};

interface Request {
  readonly principal?: Principal | undefined;
  readonly address?: string;
  readonly fields?: readonly string[];
}

function input(request: Request = {}): LimitInput {
  return {
    principal: "principal" in request ? request.principal : alice,
    clientAddress: request.address ?? "192.0.2.1",
    fields: new Fields(request.fields ?? []),
  };
}

/** A limiter in memory with a clock that the test moves. */
function setup() {
  const clock = { now: 1_000 };
  const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => clock.now } });
  const take = (policies: readonly LimitPolicy[], request?: Request): LimitResult => {
    const result = limiter.take(policies, input(request));
    if (result instanceof Promise) throw new Error("the memory path must not wait");
    return result;
  };
  return { clock, take };
}

/** Requests of `list` that pass a limit of 3 each, counted from the first to the last. */
function passed(subject: LimitSubject, list: readonly Request[]): number {
  const { take } = setup();
  const policies = [{ ...base, subject }];
  return list.filter((request) => take(policies, request).kind === "admitted").length;
}

describe("one limit", () => {
  test("admits its number, then refuses until a unit leaves the window", () => {
    const { clock, take } = setup();
    const policies = [base];
    const answers = [take(policies), take(policies), take(policies), take(policies)];
    expect(answers.map((answer) => answer.kind)).toEqual(["admitted", "admitted", "admitted", "refused"]);
    expect(answers[0]).toMatchObject({
      tightest: { admitted: true, remaining: 2, resetSeconds: 60, retryAfterSeconds: 0, degraded: false },
    });
    clock.now += 20_500;
    expect(take(policies)).toMatchObject({
      kind: "refused",
      tightest: { admitted: false, remaining: 0, resetSeconds: 40, retryAfterSeconds: 40 },
    });
    clock.now += 39_499;
    expect(take(policies)).toMatchObject({ kind: "refused", tightest: { retryAfterSeconds: 1 } });
    clock.now += 1;
    expect(take(policies).kind).toBe("admitted");
  });

  test("Q05 a burst at the end of one minute leaves nothing for the start of the next", () => {
    const { clock, take } = setup();
    const policies = [{ ...base, limit: 100 }];
    clock.now = 59_000;
    for (let index = 0; index < 100; index++) expect(take(policies).kind).toBe("admitted");
    clock.now = 61_000;
    for (let index = 0; index < 100; index++) expect(take(policies).kind).toBe("refused");
  });

  test("counts a request at its cost", () => {
    const { take } = setup();
    const policies = [{ ...base, limit: 10, cost: 4 }];
    expect(take(policies)).toMatchObject({ tightest: { remaining: 6 } });
    expect(take(policies)).toMatchObject({ tightest: { remaining: 2 } });
    expect(take(policies)).toMatchObject({ kind: "refused", tightest: { remaining: 2 } });
  });

  test("Q05 a bucket counts its first request like every other, however long the process has run", () => {
    const { clock, take } = setup();
    const policies: LimitPolicy[] = [{ ...base, algorithm: "tokenBucket" }];
    clock.now = 86_400_000;
    const answers = [take(policies), take(policies), take(policies), take(policies)];
    expect(answers.map((answer) => answer.kind)).toEqual(["admitted", "admitted", "admitted", "refused"]);
    expect(answers[0]).toMatchObject({ tightest: { remaining: 2, resetSeconds: 20 } });
  });

  test("a clock with fractions never makes a whole window longer", () => {
    const { clock, take } = setup();
    for (let index = 1; index < 500; index++) {
      clock.now = index * 61_234.567_891;
      expect(take([base])).toMatchObject({ tightest: { resetSeconds: 60 } });
    }
  });
});

describe("several limits", () => {
  const minute = { ...base, name: "minute", limit: 3 };
  const hour = { ...base, name: "hour", limit: 5, windowMs: 3_600_000 };

  test("are taken all or none: what one refuses, no other counts", () => {
    const { clock, take } = setup();
    const policies = [minute, hour];
    for (let index = 0; index < 3; index++) take(policies);
    for (let index = 0; index < 10; index++) expect(take(policies).kind).toBe("refused");
    clock.now += 60_000;
    expect(take(policies).kind).toBe("admitted");
    expect(take(policies).kind).toBe("admitted");
    expect(take(policies)).toMatchObject({ kind: "refused", tightest: { policy: hour } });
  });

  test("report the one with least left first", () => {
    const { take } = setup();
    const first = take([hour, minute]);
    expect(first).toMatchObject({ kind: "admitted", tightest: { policy: minute, remaining: 2 } });
    expect(first.kind !== "unavailable" && first.outcomes.map((one) => one.policy.name)).toEqual([
      "minute",
      "hour",
    ]);
  });

  test("a refusal reports the longest wait, and leaves the others as they were", () => {
    const { take } = setup();
    const wide = { ...base, name: "wide", limit: 100 };
    const policies = [minute, wide];
    for (let index = 0; index < 3; index++) take(policies);
    const refusal = take(policies);
    expect(refusal).toMatchObject({
      kind: "refused",
      tightest: { policy: minute, admitted: false, retryAfterSeconds: 60 },
      outcomes: [{}, { policy: wide, admitted: true, remaining: 97, retryAfterSeconds: 0 }],
    });
  });

  test("of one name share a counter, also across routes", () => {
    const { take } = setup();
    const shared = { ...base, name: "shared" };
    const routes = [[{ ...shared }], [{ ...shared, limit: 2 }]] as const;
    expect(take(routes[0]).kind).toBe("admitted");
    expect(take(routes[1]).kind).toBe("admitted");
    expect(take(routes[1]).kind).toBe("refused");
    expect(take(routes[0]).kind).toBe("admitted");
  });

  test.each([
    "slidingWindow",
    "slidingLog",
    "tokenBucket",
  ] as const)("of nothing refuse everything by %s, also when the counter that they share is used and free again", (algorithm) => {
    const { clock, take } = setup();
    const some = [{ ...base, name: "shared", algorithm }];
    const none = [{ ...base, name: "shared", algorithm, limit: 0 }];
    expect(take(none)).toMatchObject({ kind: "refused", tightest: { remaining: 0 } });
    expect(take(some).kind).toBe("admitted");
    expect(take(none).kind).toBe("refused");
    clock.now += 60_000;
    for (let turn = 0; turn < 3; turn++) expect(take(none).kind).toBe("refused");
    expect(take(some)).toMatchObject({ kind: "admitted", tightest: { remaining: 2 } });
  });

  test("of one name but different windows are counted apart, so that neither spoils the other", () => {
    const { clock, take } = setup();
    const short = [{ ...base, name: "same", windowMs: 1_000 }];
    const long = [{ ...base, name: "same", windowMs: 60_000 }];
    for (let index = 0; index < 3; index++) take(long);
    clock.now += 2_000;
    expect(take(short).kind).toBe("admitted");
    expect(take(long).kind).toBe("refused");
  });
});

describe("whose requests are counted together", () => {
  const many = (request: (index: number) => Request): Request[] =>
    Array.from({ length: 12 }, (_, i) => request(i));

  const together: [string, LimitSubject, (index: number) => Request][] = [
    ["one user from many addresses", { by: "user" }, (i) => ({ address: `192.0.2.${i}` })],
    [
      "one user with many tokens",
      { by: "user" },
      (i) => ({ principal: { ...alice, claims: { jti: `${i}` } } }),
    ],
    ["keys of one subject, per user", { by: "user" }, (i) => ({ principal: { ...bot, keyId: `key-${i}` } })],
    ["one key", { by: "key" }, (i) => ({ principal: { ...bot, subject: `s${i}` } })],
    ["users of one organisation", { by: "org" }, (i) => ({ principal: { ...alice, subject: `s${i}` } })],
    [
      "users with one claim value",
      { by: "claim", path: ["plan"] },
      (i) => ({ principal: { ...alice, subject: `s${i}` } }),
    ],
    [
      "users with one nested claim",
      { by: "claim", path: ["nested", "team"] },
      (i) => ({ principal: { ...alice, subject: `s${i}` } }),
    ],
    [
      "everyone on a route",
      { by: "route" },
      (i) => ({ principal: { ...alice, subject: `s${i}` }, address: `192.0.2.${i}` }),
    ],
    [
      "one field value",
      { by: "header", name: "X-Tenant" },
      (i) => ({ fields: ["x-tenant", "a"], address: `192.0.2.${i}` }),
    ],
    ["anonymous callers of one address, per user", { by: "user" }, () => ({ principal: ANONYMOUS })],
    ["callers without principal of one address, per user", { by: "user" }, () => ({ principal: undefined })],
    ["callers without the field, by address", { by: "header", name: "x-tenant" }, () => ({})],
    [
      "Q04 over-long field values, by address",
      { by: "header", name: "x-tenant" },
      (i) => ({ fields: ["X-Tenant", `${i}`.repeat(300)] }),
    ],
    [
      "Q01 an address, whatever fields claim about it",
      { by: "ip" },
      (i) => ({
        principal: undefined,
        fields: [
          "X-Forwarded-For",
          `198.51.100.${i}`,
          "X-Real-IP",
          `198.51.100.${i}`,
          "Forwarded",
          `for=198.51.100.${i}`,
        ],
      }),
    ],
    ["Q02 one IPv6 /64", { by: "ip" }, (i) => ({ address: `2001:db8:1:2:${i}:ffff::${i}` })],
    [
      "Q03 an IPv4 address and its mapped IPv6 forms",
      { by: "ip" },
      (i) => ({
        address: ["1.2.3.4", "::ffff:1.2.3.4", "::FFFF:102:304", "0:0:0:0:0:ffff:1.2.3.4"][i % 4] as string,
      }),
    ],
    [
      "Q03 spellings and zones of one IPv6 address",
      { by: "ip" },
      (i) => ({
        address: ["2001:DB8::1", "2001:db8:0:0::1", "2001:db8::1%eth0"][i % 3] as string,
      }),
    ],
  ];
  test.each(together)("%s: one counter", (_title, subject, request) => {
    expect(passed(subject, many(request))).toBe(3);
  });

  const apart: [string, LimitSubject, (index: number) => Request][] = [
    ["users", { by: "user" }, (i) => ({ principal: { ...alice, subject: `user-${i}` } })],
    [
      "equal subjects of different issuers",
      { by: "user" },
      (i) => ({ principal: { ...alice, issuer: `https://${i}/` } }),
    ],
    [
      "Q04 users whose issuer and subject join to one text",
      { by: "user" },
      (i) => ({
        principal: { ...alice, issuer: `${"a|".repeat(i)}a`, subject: `a${"|a".repeat(11 - i)}` },
      }),
    ],
    [
      "Q04 users that differ in case",
      { by: "user" },
      (i) => ({
        principal: {
          ...alice,
          subject: i.toString(2).padStart(4, "0").replace(/0/g, "a").replace(/1/g, "A"),
        },
      }),
    ],
    [
      "Q04 users with 10 KiB subjects that differ in the end",
      { by: "user" },
      (i) => ({
        principal: { ...alice, subject: `${"s".repeat(10_240)}${i}` },
      }),
    ],
    ["keys", { by: "key" }, (i) => ({ principal: { ...bot, keyId: `key-${i}` } })],
    ["organisations", { by: "org" }, (i) => ({ principal: { ...alice, org: `org-${i}` } })],
    [
      "users without an organisation, per org",
      { by: "org" },
      (i) => ({ principal: { ...alice, subject: `s${i}`, org: "" } }),
    ],
    ["tokens, per key", { by: "key" }, (i) => ({ principal: { ...alice, subject: `s${i}` } })],
    [
      "users whose claim can't be counted by",
      { by: "claim", path: ["nested"] },
      (i) => ({ principal: { ...alice, subject: `s${i}` } }),
    ],
    [
      "claim values of different types",
      { by: "claim", path: ["v"] },
      (i) => ({ principal: { ...alice, claims: { v: [i, `${i}`][i % 2] } } }),
    ],
    [
      "inherited members, which are no claims",
      { by: "claim", path: ["constructor", "name"] },
      (i) => ({ principal: { ...alice, subject: `s${i}` } }),
    ],
    ["field values", { by: "header", name: "x-tenant" }, (i) => ({ fields: ["X-Tenant", `t${i}`] })],
    ["addresses", { by: "ip" }, (i) => ({ address: `192.0.2.${i}` })],
    ["IPv6 networks", { by: "ip" }, (i) => ({ address: `2001:db8:1:${i}::1` })],
    [
      "Q03 mapped IPv6 forms of different IPv4 addresses",
      { by: "ip" },
      (i) => ({ address: `::ffff:1.2.3.${i}` }),
    ],
  ];
  test.each(apart)("%s: a counter each", (_title, subject, request) => {
    expect(passed(subject, many(request))).toBe(12);
  });

  test("a user is never counted as an address, an organisation or a claim that reads alike", () => {
    const { take } = setup();
    const named = (subject: LimitSubject): LimitPolicy[] => [{ ...base, name: "shared", limit: 1, subject }];
    const same: Principal = { ...alice, subject: "x", issuer: "", org: "x", keyId: "x", claims: { c: "x" } };
    for (const subject of [
      { by: "user" },
      { by: "key" },
      { by: "org" },
      { by: "ip" },
      { by: "route" },
      { by: "claim", path: ["c"] },
      { by: "header", name: "h" },
    ] as const) {
      expect(take(named(subject), { principal: same, address: "x", fields: ["h", "x"] }).kind).toBe(
        "admitted",
      );
    }
  });

  test("10,000 addresses and more are still told apart", () => {
    const { take } = setup();
    const policies = [{ ...base, limit: 1, subject: { by: "ip" } as const }];
    const address = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
    for (let index = 0; index < 25_000; index++) {
      expect(take(policies, { address: address(index) }).kind).toBe("admitted");
    }
    for (let index = 0; index < 25_000; index += 500) {
      expect(take(policies, { address: address(index) }).kind).toBe("refused");
    }
  });
});

/** A map that counts how often it is walked from one end to the other. */
class WalkedMap<K, V> extends Map<K, V> {
  walks = 0;
  override keys() {
    this.walks++;
    return super.keys();
  }
  override entries() {
    this.walks++;
    return super.entries();
  }
  override [Symbol.iterator]() {
    this.walks++;
    return super[Symbol.iterator]();
  }
}

describe("the statistics of a limit", () => {
  test("leave out refused callers who are only told how it stands", () => {
    const limits = [{ ...base, limit: 1 }];
    const looked = refusalLimits(limits);
    const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 } });
    limiter.adopt([{ name: "GET /modules", limits, refusalLimits: looked }], []);
    expect(limiter.take(looked, input())).toMatchObject({ kind: "admitted", tightest: { remaining: 1 } });
    expect(limiter.take(limits, input())).toMatchObject({ kind: "admitted" });
    expect(limiter.take(looked, input())).toMatchObject({ tightest: { remaining: 0 } });
    expect([...limiter.stats()]).toEqual([
      expect.objectContaining({ route: "GET /modules", limit: "GET /modules", admitted: 1, refused: 0 }),
    ]);
  });

  test("count refused callers where they are charged", () => {
    const limits = [{ ...base, limit: 1, subject: { by: "ip" } }] as const;
    const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 } });
    const charged = refusalLimits(limits);
    limiter.adopt([{ name: "GET /modules", limits: charged, refusalLimits: charged }], []);
    expect([limiter.take(charged, input()), limiter.take(charged, input())]).toMatchObject([
      { kind: "admitted" },
      { kind: "refused" },
    ]);
    expect([...limiter.stats()]).toEqual([expect.objectContaining({ admitted: 1, refused: 1 })]);
  });
});

describe("another file", () => {
  test("goes on with the counters and the statistics of the limits that it still has", () => {
    const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 } });
    const before = [{ ...base, limit: 2 }];
    const gone = [{ ...base, name: "gone", limit: 2 }];
    const adopt = (...lists: (readonly LimitPolicy[])[]): void =>
      limiter.adopt(
        lists.map((limits) => ({ name: "GET /modules", limits, refusalLimits: [] })),
        [],
      );
    adopt(before, gone);
    limiter.take(before, input());
    limiter.take(gone, input());
    const after = [{ ...base, limit: 3, onStoreFailure: "deny" } as const];
    adopt(after);
    expect(limiter.take(after, input())).toMatchObject({ kind: "admitted", tightest: { remaining: 1 } });
    expect([...limiter.stats()]).toEqual([
      expect.objectContaining({ limit: "GET /modules", admitted: 2, mode: "deny" }),
    ]);
    expect([...limiter.modes]).toEqual(["deny"]);
  });
});

describe("limits of keys", () => {
  test("are made ready once for all routes, so that many keys and many routes don't multiply", () => {
    const byKey = new WalkedMap([["ci-bot", [{ ...base, name: "key ci-bot", limit: 1 }]]]);
    const limiter = new Limiter({ prefix: "gw", clock: { steadyMs: () => 0 } });
    const keyed = { byKey };
    const routes = Array.from({ length: 50 }, (_, index) => [{ ...base, name: `route-${index}` }, keyed]);
    limiter.adopt(
      routes.map((limits, index) => ({ name: `route-${index}`, limits, refusalLimits: [] })),
      [],
    );
    expect(byKey.walks).toBe(1);
    const taken = routes.map((limits) => limiter.take(limits, input({ principal: bot })));
    expect(taken.filter((result) => "kind" in result && result.kind === "admitted").length).toBe(1);
    const others = routes.map((limits) => limiter.take(limits, input({ principal: alice })));
    expect(others.every((result) => "kind" in result && result.kind === "admitted")).toBe(true);
  });
});
