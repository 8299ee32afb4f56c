// Key sets: an issuer that rotates, fails or attacks neither opens the gateway, nor closes it for known keys, nor makes
// it a weapon against the issuer.

import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { expectAlive } from "../support/cases.ts";
import { makeKey, signToken, TestIssuer } from "../support/issuer.ts";
import { type Rig, startRig } from "../support/rig.ts";

const first = makeKey("ES256", "first");
let rig: Rig;

const call = async (token: string, one = rig): Promise<number> =>
  (await one.call({ target: "/api/x", headers: { Authorization: `Bearer ${token}` } })).status;

describe("a warm key set", () => {
  beforeAll(async () => {
    // One address sends hundreds of bad tokens, and each has to get its own answer.
    rig = await startRig({ keysA: [first], sections: "failedCredentials: false" });
    expect(await call(rig.token())).toBe(200);
  });
  afterAll(() => rig?.stop());
  afterEach(() => {
    rig.issuerA.fault = undefined;
  });

  test("★J37 a new key is accepted on its first use, with one fetch, and the old one still", async () => {
    const before = rig.issuerA.fetches.jwks;
    const old = rig.token();
    const next = makeKey("ES256", "second");
    rig.issuerA.rotate(next);
    const statuses = await Promise.all(
      Array.from({ length: 10 }, (_, index) => call(rig.token({ sub: `u${index}` }))),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(rig.issuerA.fetches.jwks - before).toBe(1);
    expect(await call(old)).toBe(200);
    expect(await call(rig.token({}, {}, first))).toBe(200);
  });

  test("★J38 a flood of unknown key ids causes no flood of fetches and harms no valid caller", async () => {
    const before = rig.issuerA.fetches.jwks;
    const mark = rig.recorder.mark();
    const valid: number[] = [];
    for (let round = 0; round < 25; round++) {
      const flood = Array.from({ length: 20 }, (_, index) =>
        call(rig.token({}, { kid: `unknown-${round}-${index}` })),
      );
      const started = performance.now();
      expect(await call(rig.token({ sub: "valid" }))).toBe(200);
      valid.push(performance.now() - started);
      expect(new Set(await Promise.all(flood))).toEqual(new Set([401]));
    }
    expect(rig.issuerA.fetches.jwks - before).toBeLessThanOrEqual(1);
    expect(rig.recorder.since(mark).requests).toBe(25);
    expect(valid.sort((a, b) => a - b)[12]).toBeLessThan(100);
  });

  test.each([
    "status",
    "hang",
    "reset",
    "html",
    "truncated",
    "empty",
  ] as const)("★J40 known keys keep working while the issuer answers with %s", async (kind) => {
    rig.issuerA.fault = kind === "status" ? { kind, status: 500 } : { kind };
    expect(await call(rig.token({ sub: kind }))).toBe(200);
    expect(await call(rig.token({ sub: kind }, { kid: "nobody" }))).toBe(401);
  });

  test("J41 a token of a stranger's key is refused at once, without a wait for the issuer", async () => {
    rig.issuerA.fault = { kind: "hang" };
    const started = performance.now();
    const stranger = makeKey("ES256", "first");
    expect(await call(signToken(rig.claims(), stranger))).toBe(401);
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});

describe("a cold start", () => {
  const cold = (kind: "status" | "endless" | "redirect", location = ""): Promise<Rig> => {
    const fault =
      kind === "status"
        ? ({ kind, status: 500 } as const)
        : kind === "redirect"
          ? ({ kind, location } as const)
          : ({ kind } as const);
    return startRig({ keysA: [first], fault, untilReady: false });
  };

  test("★J39 without keys the answer is 503, not 401, the issuer is left in peace, and readiness says no", async () => {
    const one = await cold("status");
    try {
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => one.call({ target: "/api/x", headers: one.bearer() })),
      );
      expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([503]));
      expect(answers[0]?.json.code).toBe("keys_unavailable");
      expect(Number(answers[0]?.header("retry-after"))).toBeGreaterThan(0);
      expect(one.issuerA.fetches.jwks).toBeLessThanOrEqual(3);
      expect(await one.gateway.isReady()).toBe(false);
      // Whoever needs no key of that issuer is served.
      expect((await one.call({ target: "/api/x", headers: { "X-API-Key": one.keys.reader } })).status).toBe(
        200,
      );
      one.issuerA.fault = undefined;
      const deadline = performance.now() + 8_000;
      while (!(await one.gateway.isReady()) && performance.now() < deadline) await sleep(50);
      expect(await call(one.token(), one)).toBe(200);
      await expectAlive(one);
      one.assertQuiet();
    } finally {
      await one.stop();
    }
  });

  test.runIf(process.platform === "linux")(
    "★J42 an endless key set is cut off and costs no memory",
    async () => {
      const one = await cold("endless");
      try {
        expect(await call(one.token(), one)).toBe(503);
        await sleep(1_000);
        const status = await readFile(`/proc/${one.gateway.pid}/status`, "utf8");
        expect(Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1])).toBeLessThan(250 * 1_024);
        expect(one.issuerA.fetches.jwks).toBeLessThanOrEqual(3);
        await expectAlive(one);
      } finally {
        await one.stop();
      }
    },
  );

  test("J44 a redirected key set is not followed", async () => {
    const trap = await TestIssuer.start({ keys: [first] });
    const one = await cold("redirect", trap.jwksUri);
    try {
      expect(await call(one.token(), one)).toBe(503);
      await sleep(100);
      expect(trap.fetches).toEqual({ jwks: 0, discovery: 0, other: 0 });
    } finally {
      await one.stop();
      await trap.stop();
    }
  });
});
