// The examples of limits at run time, against the real gateway: what each tier may do, and what algorithms, bursts, trial
// runs, told costs and limits of keys do to requests. That the files are valid is in examples.test.ts.

import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { type Claims, makeKey, TestIssuer } from "../support/issuer.ts";
import { exchange, type RawResponse } from "../support/raw-client.ts";
import { requestBytes } from "../support/rig.ts";
import { describe as describeRequest, startUpstream, type TestUpstream } from "./upstream.ts";

const KEYS = {
  first: "a-key-of-the-tier-examples-000000000001",
  second: "a-key-of-the-tier-examples-000000000002",
};
const DAY = 86_400;

let upstream: TestUpstream;
let login: TestIssuer;
let gateway: TestGateway | undefined;
let started = 0;

beforeAll(async () => {
  [upstream, login] = await Promise.all([startUpstream(), TestIssuer.start({ keys: [makeKey("ES256")] })]);
});
afterEach(async () => {
  upstream.handler = describeRequest;
  await gateway?.kill();
  gateway = undefined;
});
afterAll(() => Promise.all([upstream?.stop(), login?.stop()]));

type Headers = Readonly<Record<string, string>>;

/** Starts an example with this test's addresses, keys and a Redis prefix of its own; returns how to send a request. */
async function start(file: string): Promise<(request: string, headers?: Headers) => Promise<RawResponse>> {
  const path = fileURLToPath(new URL(`../../config/examples/${file}`, import.meta.url));
  const text = (await readFile(path, "utf8"))
    .replaceAll("127.0.0.1:9000", upstream.url.slice("http://".length))
    .replaceAll("https://login.example.com/", login.issuer)
    .replace(/sha256:9695[0-9a-f]{60}/, `sha256:${hash("sha256", KEYS.first, "hex")}`)
    .replace(/sha256:0695[0-9a-f]{60}/, `sha256:${hash("sha256", KEYS.second, "hex")}`)
    .replace(/, prefix: \w+/, `, prefix: tier-examples-${process.pid}-${started++}`);
  const running = await startGateway(`listen: 127.0.0.1:0\n${text}`, {
    env: { REDIS_URL: inject("redisUrl") },
    untilReady: true,
  });
  gateway = running;
  return async (request, headers = {}) => {
    const [method = "", target = ""] = request.split(" ");
    const { responses } = await exchange(running.port, requestBytes({ method, target, headers }));
    const [answer] = responses;
    if (answer === undefined) throw new Error(`${request}: no answer`);
    return answer;
  };
}

/** A token of `subject` with these claims. */
const as = (subject: string, claims: Claims = {}): Headers => ({
  Authorization: `Bearer ${login.token({ aud: "articles-api", sub: subject, ...claims })}`,
});
const withKey = (value: string): Headers => ({ "X-API-Key": value });

/** What all answers of `count` equal requests had as status. */
async function statuses(count: number, send: () => Promise<RawResponse>): Promise<number[]> {
  const seen: number[] = [];
  for (let sent = 0; sent < count; sent++) seen.push((await send()).status);
  return seen;
}

const times = (count: number, status: number): number[] => Array.from({ length: count }, () => status);

describe("tiers.yaml", () => {
  test("the hourly limit is that of the caller's tier, wherever the tier comes from", async () => {
    const send = await start("tiers.yaml");
    const limitOf = async (headers?: Headers): Promise<string | undefined> =>
      (await send("GET /articles/7", headers)).header("ratelimit-limit");
    expect(await limitOf()).toBe("10");
    expect(await limitOf(as("plain"))).toBe("100");
    expect(await limitOf(as("writer", { roles: ["writer"] }))).toBe("100");
    expect(await limitOf(as("developer", { roles: ["writer", "developer"] }))).toBe("500");
    expect(await limitOf(as("admin", { roles: ["admin"] }))).toBe("10000");
    expect(await limitOf(withKey(KEYS.first))).toBe("500");
    // The claim decides before roles do; a tier without numbers is that of a user.
    expect(await limitOf(as("upgraded", { plan: "admin", roles: ["developer"] }))).toBe("10000");
    expect(await limitOf(as("unknown", { plan: "gold", roles: ["admin"] }))).toBe("100");
    expect(await limitOf(as("guest", { plan: "guest" }))).toBe("10");
  });

  test("a guest's eleventh request is refused, while a user behind the same address goes on", async () => {
    const send = await start("tiers.yaml");
    expect(await statuses(11, () => send("GET /articles/7"))).toEqual([...times(10, 200), 429]);
    expect((await send("GET /articles/7", as("someone"))).status).toBe(200);
  });

  test("a tier with a quota of none is refused with 429 for the length of the window", async () => {
    const send = await start("tiers.yaml");
    const before = upstream.requests;
    const answer = await send("POST /articles/7/summary");
    expect(answer.status).toBe(429);
    expect(answer.json).toMatchObject({ code: "rate_limited", status: 429 });
    expect(answer.header("retry-after")).toBe(String(DAY));
    expect(upstream.requests).toBe(before);
    // The other limit of the route has counted nothing.
    expect(answer.header("ratelimit")).toContain('"POST /articles/:id/summary";r=10');
  });

  test("the daily quota of an operation is that of the tier: 5 for users, 50 for developers", async () => {
    const send = await start("tiers.yaml");
    const user = as("a user");
    expect(await statuses(6, () => send("POST /articles/7/summary", user))).toEqual([...times(5, 200), 429]);
    const refused = await send("POST /articles/8/summary", user);
    expect(refused.status).toBe(429);
    expect(Number(refused.header("retry-after"))).toBeGreaterThan(DAY - 60);
    // Everything else goes on for the same user.
    expect((await send("GET /articles/7", user)).status).toBe(200);
    const developer = withKey(KEYS.first);
    expect(await statuses(51, () => send("POST /articles/7/summary", developer))).toEqual([
      ...times(50, 200),
      429,
    ]);
    const policy = (await send("POST /articles/7/summary", as("boss", { roles: ["admin"] }))).header(
      "ratelimit-policy",
    );
    expect(policy).toContain('"summaries";q=1000;w=86400');
  });
});

describe("limits.yaml", () => {
  test("a trial limit refuses nobody", async () => {
    const send = await start("limits.yaml");
    expect(await statuses(12, () => send("GET /search", withKey(KEYS.second)))).toEqual(times(12, 200));
  });

  test("a bucket lets a burst pass that a window of its rate wouldn't, and not more", async () => {
    const send = await start("limits.yaml");
    const seen = await Promise.all(
      Array.from({ length: 80 }, () => send("GET /thumbnails/7", withKey(KEYS.second))),
    );
    const passed = seen.filter(({ status }) => status === 200).length;
    expect(passed).toBeGreaterThanOrEqual(50);
    // 10 more come back in each second that the burst took.
    expect(passed).toBeLessThan(80);
    expect(seen.find(({ status }) => status === 429)?.header("retry-after")).toBe("1");
  });

  test("a query is charged with what the upstream says that it cost", async () => {
    const send = await start("limits.yaml");
    upstream.handler = (_request, response) => response.writeHead(200, { "X-Query-Cost": "600" }).end("{}");
    const query = () => send("POST /query", withKey(KEYS.second));
    expect((await query()).status).toBe(200);
    // Charges may follow the answer.
    await sleep(300);
    const second = await query();
    expect([second.status, second.header("ratelimit")]).toEqual([
      200,
      expect.stringContaining('"POST /query";r=400;'),
    ]);
    await sleep(300);
    // The budget of 1,000 is overdrawn.
    const third = await query();
    expect(third.status).toBe(429);
    expect(Number(third.header("retry-after"))).toBeGreaterThan(0);
  });

  test("a key's own limits hold besides those of the route, and for no other key", async () => {
    const send = await start("limits.yaml");
    const own = (await send("GET /reports", withKey(KEYS.first))).header("ratelimit-policy");
    expect(own).toContain('"key nightly-export";q=20000;w=86400');
    expect(own).toContain('"key nightly-export 2"');
    const other = (await send("GET /reports", withKey(KEYS.second))).header("ratelimit-policy");
    expect(other).toContain('"GET /reports";q=100;w=60');
    expect(other).not.toContain("nightly-export");
  });

  test("limits over all routes count every route that isn't exempt", async () => {
    const send = await start("limits.yaml");
    const left = (answer: RawResponse): string | undefined =>
      /"global";r=(\d+)/.exec(answer.header("ratelimit") ?? "")?.[1];
    expect(left(await send("GET /reports", withKey(KEYS.second)))).toBe("2999");
    expect(left(await send("POST /transfers", withKey(KEYS.second)))).toBe("2998");
    const exempt = await send("GET /status");
    expect([exempt.status, exempt.header("ratelimit-limit")]).toEqual([200, undefined]);
    expect(left(await send("GET /feed", withKey(KEYS.second)))).toBe("2997");
  });
});
