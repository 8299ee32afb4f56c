// Keys that change at the issuer, and tokens that name unknown ones. Cool-downs pass by clock.

import { describe, expect, test } from "vitest";
import { makeKey } from "../../../support/issuer.ts";
import { remotePolicy, until } from "../../../support/verifier.ts";
import { first, HOUR, PATIENT, publishing, second, state, verifying } from "./published.ts";

describe("J37 rotation", () => {
  test("a token of a new key passes with one fetch, and tokens of the old key still do", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer));
    const old = issuer.token();
    expect(await running.verdict(old)).toBe("ok");
    issuer.rotate(second);
    const fresh = Array.from({ length: 20 }, (_, index) => issuer.token({ jti: `${index}` }));
    expect(new Set(await Promise.all(fresh.map((token) => running.verdict(token))))).toEqual(new Set(["ok"]));
    expect(await running.verdict(old)).toBe("ok");
    expect(issuer.fetches.jwks).toBe(2);
  });

  test("a removed key is refused after the next refresh, also for tokens that are remembered", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 100, leastLifetimeMs: 100 });
    const old = issuer.token();
    expect(await running.verdict(old)).toBe("ok");
    issuer.rotate(second, true);
    await until(() => issuer.fetches.jwks >= 2);
    await until(() => running.events.length >= 2);
    expect(await running.verdict(old)).toBe("token_invalid/jwt_key_unknown");
    expect(await running.verdict(issuer.token())).toBe("ok");
  });

  test("a refresh that brings the same keys leaves remembered tokens remembered", async () => {
    const issuer = await publishing({ keys: [first, second] });
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 50, leastLifetimeMs: 50 });
    const token = issuer.token();
    const principal = await running.principal(token);
    issuer.published = [...issuer.published].reverse();
    await until(() => running.events.length >= 3);
    expect(await running.principal(token)).toBe(principal);
  });

  test.each([
    ["max-age=0", { lifetimeMs: HOUR, leastLifetimeMs: 50 }, "soon"],
    ["public, MAX-AGE=0", { lifetimeMs: HOUR, leastLifetimeMs: 50 }, "soon"],
    ["max-age=3600", { lifetimeMs: HOUR, mostLifetimeMs: 50, leastLifetimeMs: 50 }, "soon"],
    ["max-age=3600", { lifetimeMs: 50, leastLifetimeMs: 50 }, "later"],
    ["max-age=0", { lifetimeMs: 50, leastLifetimeMs: HOUR }, "later"],
    ["no-store, max-age=3600", { lifetimeMs: 50, leastLifetimeMs: 50 }, "soon"],
    [undefined, { lifetimeMs: 50, leastLifetimeMs: 50 }, "soon"],
  ])("with Cache-Control %j and %j keys are fetched again %s", async (cacheControl, timings, when) => {
    const issuer = await publishing();
    issuer.cacheControl = cacheControl;
    const running = await verifying(remotePolicy(issuer), timings);
    if (when === "soon") await until(() => issuer.fetches.jwks >= 2);
    else {
      await new Promise((resolve) => setTimeout(resolve, 120));
      expect(issuer.fetches.jwks).toBe(1);
    }
    expect(state(running)).toBe("ready");
  });
});

describe("J38 unknown key ids", () => {
  test("cause one fetch per cool-down, however many come, and known tokens don't notice", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer));
    const flood = async (count: number) => {
      // Signed before any is shown: the wait for a fetch is bounded, and signing so many takes longer.
      const tokens = Array.from({ length: count }, (_, index) =>
        issuer.token({}, { kid: `random-${issuer.fetches.jwks}-${index}` }),
      );
      const verdicts = await Promise.all(tokens.map((token) => running.verdict(token)));
      expect(new Set(verdicts)).toEqual(new Set(["token_invalid/jwt_key_unknown"]));
    };
    await flood(200);
    await flood(200);
    expect(issuer.fetches.jwks).toBe(2);
    running.clock.steadyOffsetMs = 29_000;
    await flood(20);
    expect(issuer.fetches.jwks).toBe(2);
    running.clock.steadyOffsetMs = 31_000;
    await flood(20);
    expect(issuer.fetches.jwks).toBe(3);
    expect(await running.verdict(issuer.token())).toBe("ok");
  });

  test("can't be judged while the issuer is away, and don't make it be asked again and again", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), PATIENT);
    issuer.fault = { kind: "status", status: 500 };
    for (let index = 0; index < 20; index++) {
      expect(await running.verdict(issuer.token({}, { kid: `k${index}` }))).toBe(
        "keys_unavailable/jwt_key_unknown",
      );
    }
    expect(issuer.fetches.jwks).toBe(2);
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(state(running)).toBe("stale");
  });

  test("a bad signature, a token without a key id or one of an unknown issuer causes no fetch", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer));
    const stranger = makeKey("RS256", "first");
    expect(await running.verdict(issuer.token({}, {}, stranger))).toBe("token_invalid/jwt_signature");
    expect(await running.verdict(issuer.token({}, { kid: undefined }, stranger))).toBe(
      "token_invalid/jwt_signature",
    );
    expect(await running.verdict(issuer.token({ iss: "https://x.example/" }, { kid: "x" }))).toBe(
      "token_invalid/jwt_issuer",
    );
    expect(await running.verdict(issuer.token({}, { alg: "ES256" }))).toBe("token_invalid/jwt_key_unfit");
    expect(issuer.fetches.jwks).toBe(1);
  });

  test("J43 of a hanging issuer hold nobody up for long and share one fetch", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { ...PATIENT, fetchTimeoutMs: 60_000 });
    issuer.fault = { kind: "hangAfterHeaders" };
    const began = performance.now();
    const unknown = Array.from({ length: 50 }, (_, index) =>
      running.verdict(issuer.token({}, { kid: `k${index}` })),
    );
    const known = Array.from({ length: 50 }, (_, index) =>
      running.verdict(issuer.token({ jti: `${index}` })),
    );
    expect(new Set(await Promise.all(known))).toEqual(new Set(["ok"]));
    expect(new Set(await Promise.all(unknown))).toEqual(new Set(["keys_unavailable/jwt_key_unknown"]));
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(issuer.fetches.jwks).toBe(2);
  });
});

describe("stop", () => {
  test("ends the background work and a fetch that is under way", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 30, leastLifetimeMs: 30 });
    issuer.fault = { kind: "hang" };
    const seen = issuer.fetches.jwks;
    await until(() => issuer.fetches.jwks > seen);
    const { length } = running.events;
    running.verifier.stop();
    await until(() => issuer.pending === 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(issuer.fetches.jwks).toBe(seen + 1);
    expect(running.events).toHaveLength(length);
    expect(await running.verdict(issuer.token())).toBe("ok");
  });
});
