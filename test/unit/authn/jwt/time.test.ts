// From when until when a token is accepted; ids as in the catalogue of attacks.

import { describe, expect, test } from "vitest";
import { type Claims, signRaw } from "../../../support/issuer.ts";
import { keyPolicy } from "../../../support/verifier.ts";
import { claims, corp, NOW, rsa, running, token } from "./corp.ts";

describe("a token's time", () => {
  const at = async (over: Claims, leewaySeconds: number, nowMs = NOW * 1000) => {
    const verifier = await running([keyPolicy([rsa], { leewaySeconds })]);
    verifier.clock.frozenWallMs = nowMs;
    return verifier.verdict(token({ iat: undefined, ...over }));
  };

  test("J17 a token without exp is refused", async () => {
    expect(await at({ exp: undefined }, 0)).toBe("token_invalid/jwt_exp");
  });

  test.each([
    [0, -1, "token_expired/jwt_expired"],
    [0, 0, "token_expired/jwt_expired"],
    [0, 0.5, "ok"],
    [0, 1, "ok"],
    [30, -31, "token_expired/jwt_expired"],
    [30, -30, "token_expired/jwt_expired"],
    [30, -29, "ok"],
  ])("J18 with a leeway of %i s a token whose exp is now%+d is %s", async (leeway, offset, verdict) => {
    expect(await at({ exp: NOW + offset }, leeway)).toBe(verdict);
  });

  test.each([
    `"${NOW + 300}"`,
    "null",
    "true",
    "[1]",
    "{}",
    "1e400",
    "-1e400",
    "253402300800",
  ])("J19 exp %s is refused", async (exp) => {
    const payload = JSON.stringify(claims({ exp: 0 })).replace('"exp":0', `"exp":${exp}`);
    const raw = signRaw(JSON.stringify({ alg: "RS256", kid: rsa.kid }), payload, rsa);
    expect(await corp.verdict(raw)).toBe("token_invalid/jwt_exp");
  });

  test("J19 a negative exp has long expired", async () => {
    expect(await at({ exp: -1 }, 0)).toBe("token_expired/jwt_expired");
  });

  test.each([
    [{ nbf: NOW + 1 }, 0, "token_invalid/jwt_not_yet_valid"],
    [{ nbf: NOW }, 0, "ok"],
    [{ nbf: NOW + 30 }, 30, "ok"],
    [{ nbf: NOW + 31 }, 30, "token_invalid/jwt_not_yet_valid"],
    [{ nbf: `${NOW}` }, 0, "token_invalid/jwt_nbf"],
    [{ nbf: null }, 0, "token_invalid/jwt_nbf"],
    [{ iat: NOW + 3600 }, 30, "token_invalid/jwt_issued_ahead"],
    [{ iat: NOW + 30 }, 30, "ok"],
    [{ iat: `${NOW}` }, 0, "token_invalid/jwt_iat"],
    [{ iat: NOW - 63_072_000 }, 0, "ok"],
  ])("J20 %j with a leeway of %i s is %s", async (over, leeway, verdict) => {
    expect(await at(over, leeway)).toBe(verdict);
  });

  test.each([
    0, 30,
  ])("a remembered token is refused from the very millisecond that a new one is, with %i s leeway", async (leewaySeconds) => {
    const verifier = await running([keyPolicy([rsa], { leewaySeconds })]);
    const known = token({ exp: NOW + 60, nbf: NOW - 60, iat: undefined });
    const endMs = (NOW + 60 + leewaySeconds) * 1000;
    const startMs = (NOW - 60 - leewaySeconds) * 1000;
    expect(await verifier.verdict(known)).toBe("ok");
    for (const [atMs, verdict] of [
      [endMs - 1, "ok"],
      [endMs, "token_expired/jwt_expired"],
      [startMs, "ok"],
      [startMs - 1, "token_invalid/jwt_not_yet_valid"],
    ] as const) {
      verifier.clock.frozenWallMs = atMs;
      expect(await verifier.verdict(known)).toBe(verdict);
      const fresh = await running([keyPolicy([rsa], { leewaySeconds })]);
      fresh.clock.frozenWallMs = atMs;
      expect(await fresh.verdict(known)).toBe(verdict);
    }
  });

  test("J46 a wall clock that jumps changes verdicts and nothing else", async () => {
    const verifier = await running([keyPolicy([rsa])]);
    const good = token({ iat: undefined });
    expect(await verifier.verdict(good)).toBe("ok");
    verifier.clock.wallOffsetMs = 3_600_000;
    expect(await verifier.verdict(good)).toBe("token_expired/jwt_expired");
    verifier.clock.wallOffsetMs = -3_600_000;
    expect(await verifier.verdict(good)).toBe("ok");
  });
});
