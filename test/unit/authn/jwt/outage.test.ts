// An issuer that can't be reached, at the start or later. Ages pass by clock.

import { describe, expect, test } from "vitest";
import { JwtVerifier } from "../../../../src/authn/jwt/verifier.ts";
import { keyPolicy, MovableClock, remotePolicy, startVerifier, until } from "../../../support/verifier.ts";
import { cleanUp, HOUR, PATIENT, publishing, reasons, second, state, verifying } from "./published.ts";

describe("J39 an issuer that is away at the start", () => {
  test("makes tokens unjudgeable at once, without a fetch per request", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "status", status: 500 };
    const running = await verifying(remotePolicy(issuer), { ...PATIENT, waitMs: 10_000 });
    const token = issuer.token();
    const began = performance.now();
    for (let index = 0; index < 1_000; index++) {
      const outcome = await running.verifier.verify(token, undefined);
      expect(outcome).toEqual({
        kind: "rejected",
        denial: { code: "keys_unavailable", reason: "jwt_keys_missing", retryAfterSeconds: 60 },
      });
      if (index === 0) expect(performance.now() - began).toBeLessThan(5_000);
    }
    expect(issuer.fetches.jwks).toBe(1);
    expect(running.verifier.health()).toEqual([
      { issuer: "corp", state: "waiting", keys: 0, keysAgeMs: undefined },
    ]);
    expect(reasons(running)).toEqual(["jwks_status_500"]);
  });

  test("is asked again after pauses that grow, and is believed once it is back", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "reset" };
    const running = await verifying(remotePolicy(issuer), { backoffMs: 20, mostBackoffMs: 80 });
    await until(() => issuer.fetches.jwks >= 4);
    expect(await running.verdict(issuer.token())).toBe("keys_unavailable/jwt_keys_missing");
    issuer.fault = undefined;
    await until(() => state(running) === "ready");
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(new Set(reasons(running))).toEqual(new Set(["jwks_unreachable"]));
  });

  test("pauses double up to their bound", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "status", status: 503 };
    const at: number[] = [];
    const ports = {
      clock: new MovableClock(),
      emit: () => void at.push(performance.now()),
      grants: () => ({ scopes: [], tier: undefined }),
    };
    const timings = { backoffMs: 10, mostBackoffMs: 40 };
    const verifier = new JwtVerifier([remotePolicy(issuer)], ports, { timings });
    cleanUp.push(() => verifier.stop());
    verifier.start();
    await until(() => at.length >= 9);
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    for (const [index, least] of [10, 20, 40, 40].entries()) expect(gaps[index]).toBeGreaterThan(least - 2);
    expect(gaps[7]).toBeLessThan(1_000);
  });

  test("the first request waits for a first answer that is on its way", async () => {
    const issuer = await publishing();
    issuer.delayMs = 60;
    const ports = {
      clock: new MovableClock(),
      emit: () => {},
      grants: () => ({ scopes: [], tier: undefined }),
    };
    const verifier = new JwtVerifier([remotePolicy(issuer)], ports);
    cleanUp.push(() => verifier.stop());
    verifier.start();
    expect((await verifier.verify(issuer.token(), undefined)).kind).toBe("authenticated");
  });
});

describe("J40 an issuer that goes away later", () => {
  test("its last keys serve on, are called stale, and end with their age", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 50, leastLifetimeMs: 50 });
    const known = issuer.token();
    expect(await running.verdict(known)).toBe("ok");
    issuer.fault = { kind: "reset" };
    await until(() => state(running) === "stale");
    running.clock.steadyOffsetMs = 23 * HOUR;
    expect(await running.verdict(known)).toBe("ok");
    expect(await running.verdict(issuer.token({ jti: "new" }))).toBe("ok");
    expect(running.verifier.health()[0]?.keysAgeMs).toBeGreaterThan(22 * HOUR);
    running.clock.steadyOffsetMs = 24 * HOUR + 1_000;
    expect(await running.verdict(issuer.token({ jti: "newer" }))).toBe("keys_unavailable/jwt_keys_missing");
    expect(await running.verdict(known)).toBe("keys_unavailable/jwt_keys_missing");
    expect(state(running)).toBe("waiting");
    issuer.fault = undefined;
    await until(() => state(running) === "ready");
    expect(await running.verdict(known)).toBe("ok");
  });

  test("a remembered token ends with the keys, though nothing else asks for them", async () => {
    const issuer = await publishing();
    const timings = { ...PATIENT, lifetimeMs: 50, leastLifetimeMs: 50, staleMs: 300 };
    const running = await verifying(remotePolicy(issuer), timings);
    const known = issuer.token();
    expect(await running.verdict(known)).toBe("ok");
    issuer.fault = { kind: "reset" };
    await expect
      .poll(() => running.verdict(known), { timeout: 5_000 })
      .toBe("keys_unavailable/jwt_keys_missing");
  });

  test("a token that another entry of the same issuer refuses can't be judged without the missing keys", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "reset" };
    const running = await startVerifier(
      [keyPolicy([second], { issuer: issuer.issuer, name: "local" }), remotePolicy(issuer)],
      { timings: PATIENT },
    );
    cleanUp.push(() => running.verifier.stop());
    const token = issuer.token({}, { kid: undefined });
    expect(await running.verdict(token, "local")).toBe("token_invalid/jwt_signature");
    expect(await running.verdict(token)).toBe("keys_unavailable/jwt_keys_missing");
  });
});
