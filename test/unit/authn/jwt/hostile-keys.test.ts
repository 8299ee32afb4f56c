// Key sets that can't be trusted, in whole or in part.

import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type Fault, makeKey } from "../../../support/issuer.ts";
import { type RunningVerifier, remotePolicy, until } from "../../../support/verifier.ts";
import { first, PATIENT, publishing, reasons, second, serving, state, verifying } from "./published.ts";

describe("an answer that can't be trusted keeps the last good keys", () => {
  test.each<[string, Fault, string]>([
    ["J41 an empty set", { kind: "empty" }, "jwks_empty"],
    ["J41 HTML", { kind: "html" }, "jwks_not_json"],
    ["J41 half of the JSON", { kind: "truncated" }, "jwks_not_json"],
    ["J41 a list", { kind: "body", body: "[]" }, "jwks_invalid"],
    ["J41 null", { kind: "body", body: "null" }, "jwks_invalid"],
    ["J41 keys that are no list", { kind: "body", body: '{"keys":{}}' }, "jwks_invalid"],
    ["J41 keys that are no objects", { kind: "body", body: '{"keys":[1,null,[],"x"]}' }, "jwks_empty"],
    ["J41 a deep nest", { kind: "body", body: `{"keys":[${"[".repeat(400_000)}` }, "jwks_not_json"],
    [
      "a closed deep nest",
      { kind: "body", body: `{"keys":${"[".repeat(200_000)}${"]".repeat(200_000)}}` },
      "jwks_empty",
    ],
    ["J42 an endless body", { kind: "endless" }, "jwks_too_large"],
    ["a cut body", { kind: "cut" }, "jwks_unreachable"],
    ["J43 silence", { kind: "hang" }, "jwks_timeout"],
    ["J43 silence after the headers", { kind: "hangAfterHeaders" }, "jwks_timeout"],
    ["status 204", { kind: "status", status: 204 }, "jwks_status_204"],
    ["status 404", { kind: "status", status: 404 }, "jwks_status_404"],
  ])("%s", async (_, fault, reason) => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 50, leastLifetimeMs: 50 });
    issuer.fault = fault;
    await until(() => reasons(running).length > 0);
    expect(reasons(running)[0]).toBe(reason);
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(state(running)).toBe("stale");
    issuer.fault = undefined;
    await until(() => state(running) === "ready");
  });

  test("J42 the connection of an endless body is cut and little of it is kept", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "endless" };
    const before = process.memoryUsage().rss;
    const running = await verifying(remotePolicy(issuer), PATIENT);
    expect(reasons(running)).toEqual(["jwks_too_large"]);
    await until(() => issuer.pending === 0);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  test("J42 a compressed bomb is cut as well", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20));
    const url = await serving((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-type": "application/json" }).end(bomb);
    });
    const issuer = await publishing();
    const running = await verifying({ ...remotePolicy(issuer), source: { kind: "jwksUri", url } }, PATIENT);
    expect(reasons(running)).toEqual(["jwks_too_large"]);
  });

  test("J44 a redirect is not followed", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 50, leastLifetimeMs: 50 });
    let hits = 0;
    const trap = await serving((_, response) => {
      hits++;
      response.end(JSON.stringify({ keys: [second.jwk] }));
    });
    issuer.fault = { kind: "redirect", location: `${trap}/admin` };
    await until(() => reasons(running).length > 0);
    expect(reasons(running)[0]).toBe("jwks_redirect");
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(hits).toBe(0);
  });
});

describe("a set with unusable keys", () => {
  const ignored = (running: RunningVerifier) =>
    running.events.flatMap((event) => (event.kind === "key_ignored" ? [event.reason] : []));

  const { alg: _, ...untyped } = second.jwk;
  const secret = makeKey("HS256", "oct");
  const { k, ...emptySecret } = secret.jwk;
  const weak = makeKey("RS256", "weak", 1024);

  test.each<[string, object, string]>([
    ["J11 a symmetric key", secret.jwk, "symmetric"],
    ["J11 a symmetric key without its secret", { ...emptySecret, kty: "oct" }, "symmetric"],
    ["J11 a private RSA key", { ...second.jwk, d: "AQAB" }, "private"],
    ["J11 a private prime", { ...second.jwk, p: "AQAB" }, "private"],
    ["J11 a secret inside an RSA key", { ...second.jwk, k }, "private"],
    ["a weak RSA key", weak.jwk, "weak"],
    ["an unknown key type", { ...second.jwk, kty: "XYZ" }, "algorithm_unused"],
    ["a key type of object machinery", { ...second.jwk, kty: "constructor" }, "algorithm_unused"],
    ["an encryption key", { ...second.jwk, use: "enc" }, "not_for_signatures"],
    ["a signing-only key", { ...second.jwk, key_ops: ["sign"] }, "not_for_signatures"],
    ["an algorithm that isn't accepted", { ...second.jwk, alg: "RS512" }, "algorithm_unused"],
    ["an encryption algorithm", { ...second.jwk, alg: "RSA-OAEP" }, "algorithm_unused"],
    ["a missing member", { ...second.jwk, n: undefined }, "member_missing"],
    ["a key id of another type", { ...second.jwk, kid: 7 }, "kid_invalid"],
    ["a point that isn't on its curve", { kty: "EC", crv: "P-256", x: "AAAA", y: "AAAA" }, "not_importable"],
    [
      "a curve that isn't accepted",
      { kty: "EC", crv: "secp256k1", x: "AAAA", y: "AAAA" },
      "algorithm_unused",
    ],
  ])("does without %s and uses the others", async (_, jwk, reason) => {
    const issuer = await publishing();
    issuer.published = [jwk as Record<string, unknown>, first.jwk];
    const running = await verifying(remotePolicy(issuer));
    expect(ignored(running)).toEqual([reason]);
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(await running.verdict(issuer.token({}, {}, second))).toBe("token_invalid/jwt_key_unknown");
  });

  test("J11 never verifies HS256 with a published symmetric key", async () => {
    const issuer = await publishing();
    issuer.published = [secret.jwk, first.jwk];
    const running = await verifying(remotePolicy(issuer));
    expect(await running.verdict(issuer.token({}, {}, secret))).toBe("token_invalid/jwt_alg");
  });

  test("J41 of 10,000 entries is read as far as its hundredth", async () => {
    const issuer = await publishing();
    const filler = { kty: "RSA", use: "enc" };
    issuer.published = [first.jwk, ...Array.from({ length: 9_998 }, () => filler), second.jwk];
    const running = await verifying(remotePolicy(issuer));
    expect(ignored(running)).toEqual(["too_many", "not_for_signatures"]);
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(await running.verdict(issuer.token({}, {}, second))).toBe("token_invalid/jwt_key_unknown");
  });

  test("J10 tries each key of one key id, whatever their order and type", async () => {
    const twin = makeKey("RS256", "first");
    const curve = makeKey("ES256", "first");
    for (const keys of [
      [twin, curve, first],
      [first, twin, curve],
    ]) {
      const issuer = await publishing({ keys });
      const running = await verifying(remotePolicy(issuer));
      for (const key of keys) expect(await running.verdict(issuer.token({}, {}, key))).toBe("ok");
      const stranger = makeKey("ES256", "first");
      expect(await running.verdict(issuer.token({}, {}, stranger))).toBe("token_invalid/jwt_signature");
    }
  });

  test("a key without an algorithm serves those that are accepted and fit its type", async () => {
    const issuer = await publishing();
    issuer.published = [untyped];
    const running = await verifying(remotePolicy(issuer, { algorithms: ["RS256", "ES256"] }));
    expect(await running.verdict(issuer.token({}, {}, second))).toBe("ok");
    const pss = { ...second, alg: "PS256" };
    expect(await running.verdict(issuer.token({}, {}, pss))).toBe("token_invalid/jwt_alg");
  });
});
