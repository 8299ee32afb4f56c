// What is left of the limits when the shared counters lose what they knew: several limiters, a real Redis that is killed
// or set back to an earlier state, and a time that is the test's own.

import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type {
  LimitAlgorithm,
  LimitPolicy,
  LimitSync,
  StoreFailurePolicy,
} from "../../src/rate-limit/policy.ts";
import { Fleet, Instance, TICK } from "../support/limit-fleet.ts";
import { Admissions, keysOf, random } from "../support/limit-script.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const MS = 1_000;
let server: TestRedis;
let redis: Redis;
let fleets = 0;

beforeAll(async () => {
  server = await startRedis();
  redis = await connected();
});

afterEach(() => void vi.unstubAllGlobals());

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function connected(): Promise<Redis> {
  const client = new Redis(server.url);
  client.on("error", () => undefined);
  await client.ping();
  return client;
}

interface Moment {
  readonly key: string;
  readonly dump: Buffer | null;
  readonly left: number;
}

type Loss = "restart" | "rollback" | "nothing";

/** Limiters on one Redis that can lose what it knows. */
class Scene {
  readonly fleet: Fleet;
  readonly all: Instance[];
  readonly policies: readonly LimitPolicy[];
  readonly admissions = new Admissions();
  /** Moments of admissions after the comeback. */
  readonly later: number[] = [];
  back = Number.POSITIVE_INFINITY;
  #saved: Moment[] = [];

  constructor(count: number, policy: Partial<LimitPolicy>) {
    this.fleet = new Fleet(redis, `recovery-${fleets++}`);
    this.fleet.takeTimers();
    const fate = () => ({ runs: 8 * TICK, answers: 8 * TICK });
    this.all = Array.from({ length: count }, () => new Instance(this.fleet, () => count, fate));
    this.policies = [
      {
        name: "limit",
        limit: 100,
        windowMs: 10_000,
        subject: { by: "route" },
        cost: 1,
        onStoreFailure: "deny",
        ...policy,
      },
    ];
  }

  get window(): number {
    return (this.policies[0] as LimitPolicy).windowMs * MS;
  }

  take(index: number, at: number, count: number): void {
    const { cost } = this.policies[0] as LimitPolicy;
    this.fleet.at(at, () => {
      for (let turn = 0; turn < count; turn++) {
        void (this.all[index] as Instance).take(this.policies).then(({ kind }) => {
          if (kind !== "admitted") return;
          this.admissions.add(this.fleet.now, cost);
          if (this.fleet.now > this.back) this.later.push(this.fleet.now);
        });
      }
    });
  }

  /** Keeps what Redis knows now, for a `rollback`. */
  async save(): Promise<void> {
    this.#saved = [];
    for (const key of await keysOf(redis, this.fleet.prefix)) {
      this.#saved.push({ key, dump: await redis.dumpBuffer(key), left: await redis.pttl(key) });
    }
  }

  async lose(loss: Loss): Promise<void> {
    this.fleet.down = true;
    for (const instance of this.all) instance.available = false;
    if (loss === "restart") {
      redis.disconnect();
      await realTime(() => server.restart());
      redis = await realTime(connected);
      this.fleet.redis = redis;
    } else if (loss === "rollback") {
      const keys = await keysOf(redis, this.fleet.prefix);
      if (keys.length > 0) await redis.del(...keys);
      for (const { key, dump, left } of this.#saved) if (dump !== null) await redis.restore(key, left, dump);
    }
  }

  /** Lets all instances tell what they know, each `delays` after it is asked to. */
  async comeBack(delays: readonly number[]): Promise<void> {
    const { fleet } = this;
    fleet.down = false;
    const phases = new Map<number, { left: number; go: () => void; gone: Promise<void> }>();
    const barrier = (phase: number): Promise<void> => {
      let waiting = phases.get(phase);
      if (waiting === undefined) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting = { left: this.all.length, go: resolve, gone: promise };
        phases.set(phase, waiting);
      }
      if (--waiting.left === 0) waiting.go();
      return waiting.gone;
    };
    let left = this.all.length;
    for (const [index, instance] of this.all.entries()) {
      const run = (keys: readonly string[], args: readonly string[]) =>
        new Promise<readonly unknown[]>((resolve) => {
          fleet.at(fleet.now + (delays[index] ?? 0), async () => resolve(await fleet.script(keys, args)));
        });
      void instance.limiter.comeBack({ sameServer: false, run, barrier }).then(() => {
        instance.available = true;
        left--;
      });
    }
    await fleet.run(fleet.now + 100 * MS);
    expect(left).toBe(0);
    this.back = fleet.now;
  }

  /** Units in the trailing window of each admission since the comeback, at most. */
  mostSince(): number {
    return Math.max(0, ...this.later.map((at) => this.admissions.within(at, this.window)));
  }
}

/** Timers of the fleet would keep a real server waiting. */
async function realTime<T>(work: () => Promise<T>): Promise<T> {
  const fake = [globalThis.setTimeout, globalThis.clearTimeout] as const;
  vi.unstubAllGlobals();
  const result = await work();
  vi.stubGlobal("setTimeout", fake[0]);
  vi.stubGlobal("clearTimeout", fake[1]);
  return result;
}

const ALGORITHMS = ["slidingWindow", "slidingLog", "tokenBucket"] as const;
const SYNCS = ["exact", "leased"] as const;
const KINDS = ALGORITHMS.flatMap((algorithm) => SYNCS.map((sync) => ({ algorithm, sync })));

describe.each(KINDS)("$algorithm, $sync, over a Redis that was killed", ({ algorithm, sync }) => {
  test("admits nothing more in the window than was left over all instances, and then all of it again", async () => {
    const scene = new Scene(3, { algorithm, sync });
    for (const index of [0, 1, 2]) scene.take(index, index * 20 * MS, 50);
    await scene.fleet.run(400 * MS);
    expect(scene.admissions.units).toBeGreaterThanOrEqual(95);
    await scene.lose("restart");
    await scene.fleet.run(500 * MS);
    await scene.comeBack([0, 1 * MS, 2 * MS]);
    for (let at = 600; at < 23_000; at += 10) scene.take((at / 10) % 3, at * MS, 3);
    await scene.fleet.run(23_500 * MS);
    expect(overall(scene, algorithm)).toBeLessThanOrEqual(100);
    expect(scene.admissions.units).toBeGreaterThan(algorithm === "tokenBucket" ? 290 : 190);
  });
});

function overall({ admissions, policies, window }: Scene, algorithm: LimitAlgorithm): number {
  const { limit } = policies[0] as LimitPolicy;
  return algorithm === "tokenBucket" ? admissions.mostAboveDrain(limit, window) : admissions.most(window);
}

describe("after a loss", () => {
  test.each([
    ["first", [0, 10 * MS]],
    ["last", [10 * MS, 0]],
  ] as const)("what one instance saw long ago and tells %s stands for nothing that came later", async (_when, delays) => {
    const scene = new Scene(2, { algorithm: "slidingLog" });
    scene.take(1, 1_000 * MS, 80);
    // The first instance sees these 80 and its own, and then no more.
    scene.take(0, 10_000 * MS, 1);
    scene.take(1, 11_500 * MS, 99);
    await scene.fleet.run(15_000 * MS);
    expect(scene.admissions.units).toBe(180);
    await scene.lose("restart");
    await scene.comeBack(delays);
    for (let at = 15_200; at < 31_000; at += 20) scene.take((at / 20) % 2, at * MS, 100);
    await scene.fleet.run(32_000 * MS);
    expect(scene.admissions.most(scene.window)).toBeLessThanOrEqual(100);
    expect(scene.admissions.units).toBe(280);
  });

  test("what was lent and spent after the last answer counts until a window after it was spent", async () => {
    const scene = new Scene(1, { sync: "leased" });
    for (let at = 0; at < 250; at += 5) scene.take(0, at * MS, 1);
    await scene.fleet.run(252 * MS);
    // What is left of the lease goes without another word to Redis.
    scene.fleet.down = true;
    for (const instance of scene.all) instance.available = false;
    const lent = scene.admissions.units;
    for (let at = 253; at < 600; at += 3) scene.take(0, at * MS, 1);
    await scene.fleet.run(600 * MS);
    expect(scene.admissions.units).toBeGreaterThan(lent);
    await scene.lose("restart");
    await scene.comeBack([0]);
    for (let at = 800; at < 22_000; at += at > 9_900 && at < 11_000 ? 2 : 20) scene.take(0, at * MS, 100);
    await scene.fleet.run(23_000 * MS);
    expect(scene.admissions.most(scene.window)).toBeLessThanOrEqual(100);
  });

  const storms = KINDS.flatMap((kind) =>
    (["deny", "local", "allow"] as const).map((mode) => ({ ...kind, mode })),
  );
  test.each(
    storms,
  )("Q09 $algorithm, $sync, $mode: nothing is admitted that the window has no room for, over random losses", async ({
    algorithm,
    sync,
    mode,
  }) => {
    for (let seed = 1; seed <= 6; seed++) await randomLoss(seed, algorithm, sync, mode);
  });
});

async function randomLoss(
  seed: number,
  algorithm: LimitAlgorithm,
  sync: LimitSync,
  onStoreFailure: StoreFailurePolicy,
): Promise<void> {
  const below = random(seed * 7_919);
  const limit = [10, 100, 1_000][seed % 3] as number;
  const cost = Math.ceil(limit / 100);
  const scene = new Scene(2 + (seed % 2), { algorithm, sync, limit, cost, onStoreFailure });
  const { fleet, all } = scene;
  const loss = (["rollback", "nothing"] as const)[below(2)] as Loss;
  const traffic = (from: number, until: number): void => {
    for (let at = from; at < until; at += TICK * (1 + below(1_600))) {
      scene.take(below(3) === 0 ? 0 : below(all.length), at, 1 + below(below(6) === 0 ? 30 : 2));
    }
  };
  const lostAt = 8_000 * MS + TICK * below(100_000);
  traffic(0, lostAt);
  const lastWrites = TICK * below(8 * 2_000);
  fleet.at(lostAt - lastWrites, () => scene.save());
  await fleet.run(lostAt);
  await scene.lose(loss);
  const outage = TICK * below(8 * 3_000);
  traffic(lostAt, lostAt + outage);
  await fleet.run(lostAt + outage);
  await scene.comeBack(all.map(() => TICK * below(80)));
  const back = fleet.now;
  traffic(back, back + 2 * scene.window);
  await fleet.run(back + 2 * scene.window + 100 * MS);
  const told = JSON.stringify({ seed, algorithm, sync, onStoreFailure, loss });
  expect(scene.later.length, told).toBeGreaterThan(0);
  if (algorithm !== "tokenBucket") expect(scene.mostSince(), told).toBeLessThanOrEqual(limit);
  else if (onStoreFailure === "local") {
    expect(scene.admissions.mostAboveDrain(limit, scene.window, scene.back), told).toBeLessThanOrEqual(limit);
  }
  if (onStoreFailure === "deny") expect(overall(scene, algorithm), told).toBeLessThanOrEqual(limit);
}
