// Limits seen from outside: nobody gets a second bucket by writing headers, nobody shares one with a stranger, and a
// lost Redis changes neither the time of an answer nor the life of the process.

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { expectAlive } from "../support/cases.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { type HeaderSpec, type Rig, startRig } from "../support/rig.ts";

/** Statuses of `count` calls, one after the other. */
async function statuses(
  rig: Rig,
  target: string,
  count: number,
  headers: (index: number) => HeaderSpec = () => ({}),
): Promise<number[]> {
  const out: number[] = [];
  for (let index = 0; index < count; index++)
    out.push((await rig.call({ target, headers: headers(index) })).status);
  return out;
}

const admitted = (list: readonly number[]): number => list.filter((status) => status === 200).length;

const ROUTES = `
  - { match: /ip/*, to: app, public: true, limit: 5/h per ip }
  - { match: /user/*, to: app, auth: [jwt, apiKey], limit: 5/h per user }
  - { match: /burst/*, to: app, public: true, limit: 20/1s per route }
  - { match: /guarded/*, to: app, auth: [jwt], limit: 5/h per ip }
`;

describe("in memory", () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ routes: ROUTES });
  });
  afterAll(() => rig?.stop());

  test.each([
    "X-Forwarded-For",
    "X-Real-IP",
    "Forwarded",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Client-IP",
    "Fastly-Client-IP",
    "X-Cluster-Client-IP",
  ])("★Q01 rotating %s gives no second bucket", async (name) => {
    const list = await statuses(rig, `/ip/${name}`, 7, (index) => ({
      [name]: name === "Forwarded" ? `for=203.0.113.${index}` : `203.0.113.${index}`,
    }));
    // One bucket for all of these tests: the first one uses it up.
    expect(admitted(list)).toBe(name === "X-Forwarded-For" ? 5 : 0);
  });

  test("★Q01 different spellings of one path share their bucket", async () => {
    expect(admitted(await statuses(rig, "/%69p/x?y=1", 2))).toBe(0);
    expect(admitted(await statuses(rig, "/ip/", 2))).toBe(0);
  });

  test("★Q05 no trailing second of a burst across windows holds more than the limit", async () => {
    const admissions: { readonly sent: number; readonly answered: number }[] = [];
    const one = async (): Promise<void> => {
      const sent = performance.now();
      const { status } = await rig.call("/burst/x");
      if (status === 200) admissions.push({ sent, answered: performance.now() });
    };
    const started = performance.now();
    while (performance.now() - started < 2_600) {
      await Promise.all(Array.from({ length: 8 }, one));
      await sleep(15);
    }
    expect(admissions.length).toBeGreaterThanOrEqual(40);
    // Admitted somewhere between sending and answer: what lies wholly within a second was admitted within one.
    const within = ({ sent }: { readonly sent: number }): number =>
      admissions.filter((other) => other.sent >= sent && other.answered <= sent + 1_000).length;
    expect(Math.max(...admissions.map(within))).toBeLessThanOrEqual(20);
  });

  test("Q17 a refusal says how long to wait, and the words agree", async () => {
    const answer = await rig.call("/ip/x");
    expect(answer.status).toBe(429);
    const wait = Number(answer.header("retry-after"));
    expect(wait).toBeGreaterThan(3_500);
    expect(wait).toBeLessThanOrEqual(3_600);
    expect([answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")]).toEqual(["5", "0"]);
    expect(Number(answer.header("ratelimit-reset"))).toBeGreaterThanOrEqual(wait - 1);
    expect(answer.json.retryAfter).toBe(wait);
  });

  test("★Q01 callers of different issuers with one subject have different buckets, one caller has one", async () => {
    const a = await statuses(rig, "/user/x", 6, () => rig.bearer());
    const b = await rig.call({
      target: "/user/x",
      headers: { Authorization: `Bearer ${rig.token({ iss: rig.issuerB.issuer }, {}, rig.issuerB.key)}` },
    });
    const fresh = await rig.call({
      target: "/user/x",
      headers: rig.bearer({ jti: "another token of the same user" }),
    });
    const key = await rig.call({ target: "/user/x", headers: { "X-API-Key": rig.keys.reader } });
    expect([admitted(a), b.status, fresh.status, key.status]).toEqual([5, 200, 429, 200]);
  });

  test("Q20 callers without credentials use up the bucket of their address", async () => {
    expect(await statuses(rig, "/guarded/x", 7)).toEqual([401, 401, 401, 401, 401, 429, 429]);
  });
});

describe("behind a trusted proxy", () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({
      sections: "trustedProxies: [127.0.0.1/32, 10.0.0.0/8]",
      routes: ROUTES,
    });
  });
  afterAll(() => rig?.stop());

  const from = (address: string): HeaderSpec => ({ "X-Forwarded-For": address });

  test("★Q02 rotating through one IPv6 /64 gives no second bucket", async () => {
    const list = await statuses(rig, "/ip/x", 8, (index) => from(`2001:db8:1:2:${index}::${index}`));
    expect(admitted(list)).toBe(5);
    expect((await rig.call({ target: "/ip/x", headers: from("2001:db8:1:3::1") })).status).toBe(200);
  });

  test("★Q03 an IPv4-mapped address is that IPv4 address, and two of them are two", async () => {
    const spellings = [
      "198.51.100.7",
      "::ffff:198.51.100.7",
      "::FFFF:C633:6407",
      "0:0:0:0:0:ffff:c633:6407",
      "[::ffff:198.51.100.7]:99",
      "198.51.100.7:1234",
    ];
    expect(admitted(await statuses(rig, "/ip/x", 6, (index) => from(spellings[index] ?? "")))).toBe(5);
    expect((await rig.call({ target: "/ip/x", headers: from("::ffff:198.51.100.8") })).status).toBe(200);
  });

  test("★H12 the client is the first address from the right that no trusted proxy has", async () => {
    const list = await statuses(rig, "/ip/x", 6, (index) => from(`1.1.1.${index}, 203.0.113.9, 10.0.0.7`));
    expect(admitted(list)).toBe(5);
    const seen = rig.recorder.last;
    expect(seen?.header("x-forwarded-for")).toBe("1.1.1.4, 203.0.113.9, 10.0.0.7, 127.0.0.1");
    expect((await rig.call({ target: "/ip/x", headers: from("203.0.113.10, 10.0.0.7") })).status).toBe(200);
  });

  test.each([
    [
      "★H12 what the client wrote to the left of its own address names nobody",
      "6.6.6.6, garbage, 203.0.113.77",
      "203.0.113.77",
    ],
    [
      "Q02 an address that is none falls back to the proxy that sent it",
      "203.0.113.5, not-an-address",
      "127.0.0.1",
    ],
  ])("%s", async (title, forwarded, client) => {
    const path = `/public/${title.slice(0, 4).replace("★", "").trim()}`;
    await rig.call({ target: path, headers: from(forwarded) });
    const line = await rig.gateway.waitForLog((log) => log.type === "access" && log.path === path);
    expect(line?.client).toBe(client);
  });
});

describe("two gateways with one Redis", () => {
  const prefix = `sec-two-${process.pid}-${Math.floor(performance.now())}`;
  let rigs: readonly Rig[] = [];

  beforeAll(async () => {
    // A deadline that no busy machine misses, and no admission without Redis: what is counted is the counter's doing.
    const options = {
      sections: `redis: { url: "${inject("redisUrl")}", prefix: ${prefix}, timeout: 5s }`,
      routes: `
  - { match: /exact/*, to: app, public: true, limit: { rate: 50/h, per: route, name: exact, onStoreFailure: deny } }
`,
    };
    rigs = [await startRig(options), await startRig(options)];
  });
  afterAll(async () => {
    for (const rig of rigs) await rig.stop();
  });

  test("★Q06 under a burst they admit the limit together, exactly", async () => {
    const calls = Array.from({ length: 160 }, (_, index) => rigs[index % 2]?.call("/exact/x"));
    const list = (await Promise.all(calls)).map((one) => one?.status ?? 0);
    expect([admitted(list), list.filter((status) => status === 429).length]).toEqual([50, 110]);
  });

  test("★Q07 every key that they leave in Redis ends by itself", async () => {
    const redis = new Redis(inject("redisUrl"), { lazyConnect: true });
    await redis.connect();
    const keys = await redis.keys(`${prefix}*`);
    const lives = await Promise.all(keys.map((key) => redis.pttl(key)));
    redis.disconnect();
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((_, index) => (lives[index] ?? -1) < 0)).toEqual([]);
  });
});

describe("with a Redis that fails", () => {
  let proxy: FaultProxy;
  let rig: Rig;

  beforeAll(async () => {
    const url = new URL(inject("redisUrl"));
    proxy = await startFaultProxy({ host: url.hostname, port: Number(url.port) });
    url.hostname = "127.0.0.1";
    url.port = String(proxy.port);
    rig = await startRig({
      sections: `redis: { url: "${url.href}", prefix: sec-faults-${process.pid}, timeout: 50ms }`,
      routes: `
  - { match: /local/*, to: app, public: true, limit: { rate: 1000/h, per: route, onStoreFailure: local } }
  - { match: /deny/*, to: app, public: true, limit: { rate: 1000/h, per: route, onStoreFailure: deny } }
  - { match: /allow/*, to: app, public: true, limit: { rate: 1000/h, per: route, onStoreFailure: allow } }
`,
    });
  });
  afterAll(async () => {
    await rig?.stop();
    await proxy?.stop();
  });

  const faults = [
    ["★Q09", "refuses", { kind: "refuse" }],
    ["★Q10", "accepts and never answers", { kind: "blackhole" }],
    ["★Q10", "answers far too late", { kind: "delay", ms: 3_000 }],
    ["★Q09", "resets every connection", { kind: "reset" }],
  ] as const;

  test.each(
    faults,
  )("%s while Redis %s each route does what it says, in time, and recovers by itself", async (_, __, fault) => {
    await proxy.set(fault, fault.kind === "refuse" || fault.kind === "reset" ? "drop" : "keep");
    const wanted = { "/local/x": 200, "/allow/x": 200, "/deny/x": 503 } as const;
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      for (const [target, status] of Object.entries(wanted)) {
        const started = performance.now();
        const answer = await rig.call(target);
        expect([target, answer.status]).toEqual([target, status]);
        times.push(performance.now() - started);
        expect(answer.header("ratelimit-mode")).toBe(target.split("/")[1]);
        if (status === 503) {
          expect(answer.json.code).toBe("limiter_unavailable");
          expect(Number(answer.header("retry-after"))).toBeGreaterThan(0);
        }
      }
    }
    // The deadline of 50 ms and a little; a busy machine may hold up a few, and none for long.
    times.sort((a, b) => a - b);
    expect(times[times.length >> 1]).toBeLessThan(100);
    expect(times.at(-1)).toBeLessThan(1_000);
    await expectAlive(rig);
    const back = performance.now();
    await proxy.set({ kind: "none" }, "drop");
    let recovered = false;
    while (!recovered && performance.now() - back < 4_000) {
      recovered = (await rig.call("/deny/x")).status === 200;
      if (!recovered) await sleep(50);
    }
    // ★Q11: within two seconds, without a restart.
    expect(performance.now() - back).toBeLessThan(2_300);
    expect((await rig.call("/local/x")).header("ratelimit-mode")).toBeUndefined();
  });

  test("★Q11 the state of Redis is logged once per change, not once per request", async () => {
    const lines = rig.gateway
      .logsOf("system")
      .filter((line) => line.event === "store_unreachable" || line.event === "store_recovered");
    expect(lines.length).toBeGreaterThanOrEqual(8);
    expect(lines.length).toBeLessThan(24);
    for (const [index, line] of lines.entries()) expect(line.event).not.toBe(lines[index - 1]?.event);
  });
});
