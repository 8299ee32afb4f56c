import { describe, expect, test } from "vitest";
import { type LimitStats, Metrics, type MetricsSource } from "../../../src/telemetry/metrics.ts";
import { TrafficStats } from "../../../src/telemetry/traffic.ts";
import { readExposition } from "../../support/exposition.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function limit(over: Partial<LimitStats> = {}): Mutable<LimitStats> {
  return {
    route: "GET /a",
    limit: "per-user",
    admitted: 0,
    refused: 0,
    unavailable: 0,
    wouldRefuse: 0,
    mode: "local",
    ...over,
  };
}

function source(over: Partial<MetricsSource> = {}): MetricsSource {
  return {
    traffic: new TrafficStats(),
    open: () => ({ requests: 0, connections: 0, tunnels: 0 }),
    ready: () => true,
    logLinesDropped: () => 0,
    issuers: () => [],
    limits: () => [],
    degraded: () => false,
    counters: () => 0,
    store: () => undefined,
    ...over,
  };
}

/** Sample lines of one metric. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const text = await metrics.text();
  // Whatever is asked for, the whole must be well-formed.
  readExposition(text);
  return text.split("\n").filter((line) => line.startsWith(name));
}

describe("decisions", () => {
  const NAME = "gateway_ratelimit_decisions_total";

  test("are read at each scrape, and never added up twice", async () => {
    const one = limit({ admitted: 3, refused: 2, unavailable: 1, wouldRefuse: 4 });
    const metrics = new Metrics(source({ limits: () => [one] }));
    const lines = (admitted: number) => [
      `${NAME}{route="GET /a",limit="per-user",result="admitted"} ${admitted}`,
      `${NAME}{route="GET /a",limit="per-user",result="refused"} 2`,
      `${NAME}{route="GET /a",limit="per-user",result="unavailable"} 1`,
      `${NAME}{route="GET /a",limit="per-user",result="would_refuse"} 4`,
    ];
    expect(await samples(metrics, NAME)).toEqual(lines(3));
    expect(await samples(metrics, NAME)).toEqual(lines(3));
    one.admitted = 10;
    expect(await samples(metrics, NAME)).toEqual(lines(10));
  });

  test("of a limit that routes share tell once how it is degraded", async () => {
    const limits = () => ["a", "b", "c"].map((route) => limit({ route, limit: "shared" }));
    const found = await samples(new Metrics(source({ limits })), "gateway_ratelimit_degraded");
    expect(found).toEqual(['gateway_ratelimit_degraded{limit="shared",mode="local"} 0']);
  });

  test("are right when two scrape at once", async () => {
    const metrics = new Metrics(source({ limits: () => [limit({ admitted: 3 })] }));
    const [a, b] = await Promise.all([samples(metrics, NAME), samples(metrics, NAME)]);
    expect(a).toEqual(b);
    expect(a[0]).toMatch(/ 3$/);
  });

  test("can't be forged by a name with quotes and line breaks", async () => {
    const metrics = new Metrics(source({ limits: () => [limit({ route: 'a"} 1\nforged 2\\' })] }));
    expect(await samples(metrics, "forged")).toEqual([]);
    expect((await samples(metrics, NAME))[0]).toBe(
      `${NAME}{route="a\\"} 1\\nforged 2\\\\",limit="per-user",result="admitted"} 0`,
    );
  });

  test("of two gateways in one process are their own", async () => {
    const a = new Metrics(source({ limits: () => [limit({ admitted: 1 })] }));
    const b = new Metrics(source({ limits: () => [limit({ admitted: 2 })] }));
    expect([(await samples(a, NAME))[0], (await samples(b, NAME))[0]]).toEqual([
      expect.stringMatching(/ 1$/),
      expect.stringMatching(/ 2$/),
    ]);
  });
});

describe("the shared store", () => {
  test("is up or down, and each limit is degraded with it", async () => {
    let up = true;
    const failures = new Map<string, number>();
    const metrics = new Metrics(
      source({
        limits: () => [limit(), limit({ route: "GET /b" }), limit({ limit: "strict", mode: "deny" })],
        degraded: () => !up,
        store: () => ({ name: "redis", up, failures }),
      }),
    );
    const state = async () => [
      ...(await samples(metrics, "gateway_ratelimit_degraded")),
      ...(await samples(metrics, "gateway_ratelimit_backend_")),
    ];
    expect(await state()).toEqual([
      'gateway_ratelimit_degraded{limit="per-user",mode="local"} 0',
      'gateway_ratelimit_degraded{limit="strict",mode="deny"} 0',
      'gateway_ratelimit_backend_up{store="redis"} 1',
    ]);
    up = false;
    failures.set("timeout", 2);
    expect(await state()).toEqual([
      'gateway_ratelimit_degraded{limit="per-user",mode="local"} 1',
      'gateway_ratelimit_degraded{limit="strict",mode="deny"} 1',
      'gateway_ratelimit_backend_up{store="redis"} 0',
      'gateway_ratelimit_backend_errors_total{store="redis",reason="timeout"} 2',
    ]);
  });

  test("has no series where nothing is shared", async () => {
    expect(await samples(new Metrics(source()), "gateway_ratelimit_backend_")).toEqual([]);
  });
});

test("two scrapes at one time are one", async () => {
  let asked = 0;
  const metrics = new Metrics(
    source({
      counters: () => {
        asked += 1;
        return asked;
      },
    }),
  );
  const [a, b] = await Promise.all([metrics.scrape(), metrics.scrape()]);
  expect([a === b, asked]).toEqual([true, 1]);
  expect(await metrics.scrape()).not.toBe(a);
  expect(asked).toBe(2);
});

test("a scrape that fails is no obstacle to the next", async () => {
  let broken = true;
  const metrics = new Metrics(
    source({
      degraded: () => {
        if (broken) throw new Error("broken");
        return false;
      },
    }),
  );
  await expect(metrics.text()).rejects.toThrow("broken");
  broken = false;
  expect(await metrics.text()).toContain("gateway_ready 1");
});

test("the process tells its version, its memory and how many counters it holds", async () => {
  const metrics = new Metrics(source({ counters: () => 12 }));
  expect(await samples(metrics, "gateway_ratelimit_counters")).toEqual(["gateway_ratelimit_counters 12"]);
  expect(await samples(metrics, "gateway_build_info")).toEqual([
    expect.stringMatching(/^gateway_build_info\{version="\d+\.\d+\.\d+",node="v\d+\.\d+\.\d+"\} 1$/),
  ]);
  const [memory = ""] = await samples(metrics, "process_resident_memory_bytes");
  expect(Number(memory.split(" ")[1])).toBeGreaterThan(1e7);
  expect(metrics.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test("bad credentials have a metric only where they are counted", async () => {
  const name = "gateway_failed_credentials_total";
  expect(await new Metrics(source()).text()).not.toContain(name);
  const metrics = new Metrics(source({ failedCredentials: () => new Map([["refused", 3]]) }));
  expect(await samples(metrics, name)).toEqual([`${name}{result="refused"} 3`]);
});
