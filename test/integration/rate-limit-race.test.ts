// Several gateways race for the same slots: exactly the limit is admitted, never one more, never one less.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { LimitPolicy } from "../../src/rate-limit/policy.ts";
import type { Score, Volley } from "./rate-limit-process.ts";

const PROCESSES = 4;
const CLIENTS = 64;
const PROGRAM = fileURLToPath(new URL("./rate-limit-process.ts", import.meta.url));

let gateways: ChildProcess[] = [];

beforeAll(async () => {
  const prefix = `race-test-${process.pid}`;
  gateways = Array.from({ length: PROCESSES }, () =>
    fork(PROGRAM, [inject("redisUrl"), prefix], {
      execArgv: [],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    }),
  );
  for (const answer of await Promise.all(gateways.map((gateway) => once(gateway, "message")))) {
    expect(answer[0]).toBe("ready");
  }
});

afterAll(async () => {
  await Promise.all(
    gateways.map(async (gateway) => {
      const gone = once(gateway, "exit");
      gateway.disconnect();
      await gone;
    }),
  );
});

/** All gateways fire at once; the sum of what they tell. */
async function fire(volley: Volley): Promise<Score> {
  const scores = await Promise.all(
    gateways.map(async (gateway) => {
      const score = once(gateway, "message");
      gateway.send(volley);
      return (await score)[0] as Score;
    }),
  );
  const sum = (of: (score: Score) => number): number => scores.reduce((total, score) => total + of(score), 0);
  return {
    admitted: sum((s) => s.admitted),
    refused: sum((s) => s.refused),
    degraded: sum((s) => s.degraded),
  };
}

function policy(name: string, more: Partial<LimitPolicy> = {}): LimitPolicy {
  const subject = { by: "ip" } as const;
  return { name, limit: 100, windowMs: 60_000, subject, cost: 1, onStoreFailure: "deny", ...more };
}

describe("4 gateways with 64 clients each", () => {
  test("Q06 get exactly the 100 slots that there are, 100 times in a row", async () => {
    for (let round = 0; round < 100; round++) {
      const score = await fire({ requests: CLIENTS, policies: [policy(`round-${round}`)] });
      expect(score).toEqual({ admitted: 100, refused: PROCESSES * CLIENTS - 100, degraded: 0 });
    }
  });

  test("Q06 get exactly what the tighter of two limits leaves, and the wider one counts no more than that", async () => {
    for (let round = 0; round < 20; round++) {
      const wide = policy(`wide-${round}`, { limit: 150 });
      const both = [policy(`tight-${round}`, { limit: 37 }), wide];
      expect(await fire({ requests: CLIENTS, policies: both })).toMatchObject({ admitted: 37 });
      expect(await fire({ requests: CLIENTS, policies: [wide] })).toMatchObject({ admitted: 150 - 37 });
    }
  });

  test("Q06 never get more than 100 units when requests cost 3", async () => {
    for (let round = 0; round < 20; round++) {
      const score = await fire({ requests: CLIENTS, policies: [policy(`cost-${round}`, { cost: 3 })] });
      expect(score.admitted).toBe(33);
    }
  });

  test("Q05 get no second helping within the window, and a full one after it", async () => {
    const policies = [policy("again", { windowMs: 1_500 })];
    const start = performance.now();
    expect(await fire({ requests: CLIENTS, policies })).toMatchObject({ admitted: 100 });
    const firstVolley = performance.now() - start;
    while (performance.now() - start < 1_500 - 200 - firstVolley) {
      expect(await fire({ requests: CLIENTS, policies })).toMatchObject({ admitted: 0 });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await new Promise((resolve) => setTimeout(resolve, 1_510 - (performance.now() - start) + firstVolley));
    expect(await fire({ requests: CLIENTS, policies })).toMatchObject({ admitted: 100 });
  });
});
