// Keys that an issuer publishes: rotation, outages, hostile answers. Pauses are short; cool-downs and ages move by clock.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import type { IssuerPolicy } from "../../../../src/authn/jwt/policy.ts";
import { type Fault, type IssuerOptions, makeKey, TestIssuer } from "../../../support/issuer.ts";
import { type RunningVerifier, remotePolicy, startVerifier, until } from "../../../support/verifier.ts";

const first = makeKey("RS256", "first");
const second = makeKey("RS256", "second");
const HOUR = 3_600_000;
// Failures are retried soon, so that a test needn't wait; everything else as in production but the waits for hanging peers.
const QUICK = { backoffMs: 20, mostBackoffMs: 40, fetchTimeoutMs: 400, waitMs: 200 };
const PATIENT = { ...QUICK, backoffMs: 60_000, mostBackoffMs: 60_000 };

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function publishing(options: IssuerOptions = { keys: [first] }): Promise<TestIssuer> {
  const issuer = await TestIssuer.start(options);
  cleanUp.push(() => issuer.stop());
  return issuer;
}

async function verifying(
  policy: IssuerPolicy,
  timings: NonNullable<Parameters<typeof startVerifier>[1]>["timings"] = QUICK,
): Promise<RunningVerifier> {
  const running = await startVerifier([policy], { timings: { ...QUICK, ...timings } });
  cleanUp.push(() => running.verifier.stop());
  return running;
}

const state = (running: RunningVerifier) => running.verifier.health()[0]?.state;
const reasons = (running: RunningVerifier) =>
  running.events.flatMap((event) => (event.kind === "keys_refresh_failed" ? [event.reason] : []));

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
    await until(() => issuer.fetches.jwks === 2);
    await until(() => running.events.length === 2);
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
      const verdicts = await Promise.all(
        Array.from({ length: count }, (_, index) =>
          running.verdict(issuer.token({}, { kid: `random-${issuer.fetches.jwks}-${index}` })),
        ),
      );
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
    const running = await verifying(remotePolicy(issuer), PATIENT);
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
    expect(performance.now() - began).toBeLessThan(1_500);
    expect(issuer.fetches.jwks).toBe(2);
  });
});

describe("J39 an issuer that is away at the start", () => {
  test("makes tokens unjudgeable at once, without a fetch per request", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "status", status: 500 };
    const running = await verifying(remotePolicy(issuer), PATIENT);
    const token = issuer.token();
    const began = performance.now();
    for (let index = 0; index < 1_000; index++) {
      const outcome = await running.verifier.verify(token, undefined);
      expect(outcome).toEqual({
        kind: "rejected",
        denial: { code: "keys_unavailable", reason: "jwt_keys_missing", retryAfterSeconds: 60 },
      });
      if (index === 0) expect(performance.now() - began).toBeLessThan(100);
    }
    expect(issuer.fetches.jwks).toBe(1);
    expect(running.verifier.health()).toEqual([{ issuer: "corp", state: "waiting", keysAgeMs: undefined }]);
    expect(reasons(running)).toEqual(["jwks_status_500"]);
  });

  test("is asked again after pauses that grow, and is believed once it is back", async () => {
    const issuer = await publishing();
    issuer.fault = { kind: "reset" };
    const running = await verifying(remotePolicy(issuer), { backoffMs: 20, mostBackoffMs: 80 });
    await until(() => issuer.fetches.jwks === 4);
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
    const running = await verifying(remotePolicy(issuer), { backoffMs: 40, mostBackoffMs: 160 });
    while (at.length < 5) {
      const seen = running.events.length;
      await until(() => running.events.length > seen);
      at.push(performance.now());
    }
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    expect(gaps[0]).toBeGreaterThan(60);
    expect(gaps[1]).toBeGreaterThan(140);
    expect(gaps[3]).toBeGreaterThan(140);
    expect(gaps[3]).toBeLessThan(300);
  });

  test("the first request waits for a first answer that is on its way", async () => {
    const issuer = await publishing();
    issuer.delayMs = 60;
    const { JwtVerifier } = await import("../../../../src/authn/jwt/verifier.ts");
    const clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };
    const ports = { clock, emit: () => {}, grants: () => ({ scopes: [], tier: undefined }) };
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
});

describe("an answer that can't be trusted keeps the last good keys", () => {
  const trapped: { hits: number } = { hits: 0 };

  async function trap(): Promise<string> {
    const server = createServer((_, response) => {
      trapped.hits++;
      response.end(JSON.stringify({ keys: [second.jwk] }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/admin`;
  }

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
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-type": "application/json" }).end(bomb);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp.push(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    });
    const issuer = await publishing();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const running = await verifying({ ...remotePolicy(issuer), source: { kind: "jwksUri", url } }, PATIENT);
    expect(reasons(running)).toEqual(["jwks_too_large"]);
  });

  test("J44 a redirect is not followed", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer), { lifetimeMs: 50, leastLifetimeMs: 50 });
    issuer.fault = { kind: "redirect", location: await trap() };
    await until(() => reasons(running).length > 0);
    expect(reasons(running)[0]).toBe("jwks_redirect");
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(trapped.hits).toBe(0);
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

describe("discovery", () => {
  const OIDC = "/.well-known/openid-configuration";
  const OAUTH = "/.well-known/oauth-authorization-server";

  test.each([
    ["", OIDC, [OIDC]],
    ["/", OIDC, [OIDC]],
    ["", OAUTH, [OIDC, OAUTH]],
    ["/realms/one", `/realms/one${OIDC}`, [`/realms/one${OIDC}`]],
    ["/realms/one/", `/realms/one${OIDC}`, [`/realms/one${OIDC}`]],
    ["/t1", `${OAUTH}/t1`, [`/t1${OIDC}`, `${OAUTH}/t1`]],
    ["/t1", `${OIDC}/t1`, [`/t1${OIDC}`, `${OAUTH}/t1`, `${OIDC}/t1`]],
  ])("an issuer with the path %j whose metadata is at %s is found", async (path, place, asked) => {
    const issuer = await publishing({ keys: [first], path });
    issuer.discoveryPaths = [place];
    const running = await verifying(remotePolicy(issuer, {}, true));
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(issuer.paths).toEqual([...asked, "/jwks.json"]);
  });

  test("one exact metadata URL may be given", async () => {
    const issuer = await publishing();
    const url = `${issuer.issuer}/t9${OIDC}`;
    const running = await verifying({ ...remotePolicy(issuer), source: { kind: "discovery", url } });
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(issuer.paths).toEqual([`/t9${OIDC}`, "/jwks.json"]);
  });

  test.each<[string, object, string]>([
    ["names another issuer", { issuer: "http://127.0.0.1/" }, "discovery_issuer_mismatch"],
    ["names no issuer", { issuer: undefined }, "discovery_issuer_mismatch"],
    ["has no key set", { jwks_uri: undefined }, "discovery_jwks_uri_invalid"],
    ["has a file as key set", { jwks_uri: "file:///etc/passwd" }, "discovery_jwks_uri_invalid"],
    ["has credentials in its URL", { jwks_uri: "http://a:b@127.0.0.1/" }, "discovery_jwks_uri_invalid"],
  ])("a document that %s is discarded", async (_, over, reason) => {
    const issuer = await publishing();
    issuer.discovery = { ...over };
    const running = await verifying(remotePolicy(issuer, {}, true), PATIENT);
    expect(reasons(running)).toEqual([reason]);
    expect(issuer.fetches.jwks).toBe(0);
    expect(await running.verdict(issuer.token())).toBe("keys_unavailable/jwt_keys_missing");
  });

  test.each<[Fault, string, number]>([
    [{ kind: "redirect", location: "http://127.0.0.1:1/" }, "discovery_redirect", 2],
    [{ kind: "hang" }, "discovery_timeout", 1],
    [{ kind: "endless" }, "discovery_too_large", 2],
    [{ kind: "html" }, "discovery_not_json", 2],
    [{ kind: "reset" }, "discovery_unreachable", 1],
  ])("J44 %j is reported and nothing else is asked for", async (fault, reason, fetches) => {
    const issuer = await publishing();
    issuer.discoveryFault = fault;
    const running = await verifying(remotePolicy(issuer, {}, true), { ...PATIENT, waitMs: 1_000 });
    expect(reasons(running)).toEqual([reason]);
    expect(issuer.fetches).toEqual({ jwks: 0, discovery: fetches, other: 0 });
  });

  test("is not repeated for each refresh, but is when the key set has gone", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer, {}, true), { lifetimeMs: 40, leastLifetimeMs: 40 });
    await until(() => issuer.fetches.jwks >= 3);
    expect(issuer.fetches.discovery).toBe(1);
    issuer.fault = { kind: "status", status: 404 };
    await until(() => state(running) === "stale");
    await until(() => issuer.fetches.discovery >= 2);
    issuer.fault = undefined;
    await until(() => state(running) === "ready");
  });

  test("metadata that is lost later doesn't matter while the key set is there", async () => {
    const issuer = await publishing();
    const timings = { lifetimeMs: 40, leastLifetimeMs: 40, discoveryMs: 1 };
    const running = await verifying(remotePolicy(issuer, {}, true), timings);
    issuer.discoveryFault = { kind: "status", status: 500 };
    const seen = issuer.fetches.jwks;
    await until(() => issuer.fetches.jwks > seen + 1);
    expect(state(running)).toBe("ready");
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
