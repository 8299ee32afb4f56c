// What is said at load about the keys of a configuration.

import { createPrivateKey, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { weakSecret } from "../../../../src/authn/jwt/algorithms.ts";
import { checkKeySource } from "../../../../src/authn/jwt/key-source.ts";
import type { IssuerPolicy, KeySource } from "../../../../src/authn/jwt/policy.ts";
import { JwtVerifier } from "../../../../src/authn/jwt/verifier.ts";
import { makeKey } from "../../../support/issuer.ts";
import { issuerPolicy, MovableClock, startVerifier } from "../../../support/verifier.ts";

const rsa = makeKey("RS256");
const ec = makeKey("ES256");
const weak = makeKey("RS256", "weak", 1024);
const privateJwk = (rsa.signer as KeyObject).export({ format: "jwk" });
const pkcs8 = (rsa.signer as KeyObject).export({ format: "pem", type: "pkcs8" }).toString();
const pkcs1 = (rsa.signer as KeyObject).export({ format: "pem", type: "pkcs1" }).toString();
const sec1 = (ec.signer as KeyObject).export({ format: "pem", type: "sec1" }).toString();

// A self-signed certificate (EC P-256, made for this file; its key was thrown away) and the key inside it.
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBgjCCASmgAwIBAgIUHP/6QWyq4RcPKT1AQDNk821CWQ4wCgYIKoZIzj0EAwIw
FjEUMBIGA1UEAwwLaXNzdWVyLnRlc3QwIBcNMjYxMTIyMDExMjEwWhgPMjEyNjEw
MjkwMTEyMTBaMBYxFDASBgNVBAMMC2lzc3Vlci50ZXN0MFkwEwYHKoZIzj0CAQYI
KoZIzj0DAQcDQgAEK2uzLCfrQVTGwv7eACrYqUV4LwdZzU1PkcbNnWlfyoNGScMN
2Rbtsa7avWXpe540u5Ry+/mpAj7t2RApEdC0NaNTMFEwHQYDVR0OBBYEFBidSOWi
g8qIGSNSsJbJFcgx5B3hMB8GA1UdIwQYMBaAFBidSOWig8qIGSNSsJbJFcgx5B3h
MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgFgscT3xwxTCfOzS/
LvDuMNhgsrHgHqjX36fXzyBC/HACIEL8NVZ/ZJkgL8ST227l8wI08RapORalw1Hv
enqCcNWW
-----END CERTIFICATE-----
`;
const jwks = (...keys: object[]): KeySource => ({ kind: "jwks", keys: keys as Record<string, unknown>[] });
const pem = (text: string): KeySource => ({ kind: "pem", pem: text });
const secret = (length: number): KeySource => ({ kind: "secret", secret: new Uint8Array(length) });

function construct(policy: IssuerPolicy): () => JwtVerifier {
  const ports = {
    clock: new MovableClock(),
    emit: () => {},
    grants: () => ({ scopes: [], tier: undefined }),
  };
  return () => new JwtVerifier([policy], ports);
}

describe("a key source that can be used", () => {
  test.each<[string, KeySource, string[]]>([
    ["a JWK Set", jwks(rsa.jwk, ec.jwk), ["RS256", "ES256"]],
    ["a JWK Set of which one key fits", jwks(rsa.jwk, ec.jwk), ["ES256"]],
    ["a JWK Set with one weak key beside a strong one", jwks(weak.jwk, rsa.jwk), ["RS256"]],
    ["an SPKI public key", pem(rsa.pem), ["PS256"]],
    ["an EC public key", pem(ec.pem), ["ES256"]],
    [
      "several public keys, with text around them",
      pem(`keys:\r\n${rsa.pem}\n# next\n${ec.pem}`),
      ["RS256", "ES256"],
    ],
    ["a certificate", pem(CERTIFICATE), ["ES256"]],
    ["a secret of 32 bytes for HS256", secret(32), ["HS256"]],
    ["a secret of 64 bytes for all HMACs", secret(64), ["HS256", "HS384", "HS512"]],
    ["a URL", { kind: "jwksUri", url: "https://a.example/jwks" }, ["RS256"]],
    ["discovery from the issuer", { kind: "discovery", url: undefined }, ["RS256"]],
  ])("%s", async (_, source, algorithms) => {
    expect(await checkKeySource(source, algorithms)).toBeUndefined();
    expect(construct(issuerPolicy(source, { algorithms }))).not.toThrow();
  });
});

describe("a key source that is refused, at load and by the verifier", () => {
  test.each<[string, KeySource, string[], RegExp]>([
    ["a private PEM key", pem(pkcs8), ["RS256"], /private key/],
    ["a private RSA key", pem(pkcs1), ["RS256"], /private key/],
    ["a private EC key", pem(sec1), ["ES256"], /private key/],
    ["a private key behind a public one", pem(rsa.pem + pkcs8), ["RS256"], /private key/],
    [
      "an encrypted private key",
      pem(pkcs8.replaceAll("PRIVATE", "ENCRYPTED PRIVATE")),
      ["RS256"],
      /private key/,
    ],
    ["a private JWK", jwks({ ...privateJwk, kid: "a" }), ["RS256"], /private key/],
    ["a private JWK beside a public one", jwks(ec.jwk, privateJwk), ["RS256", "ES256"], /private key/],
    ["a symmetric JWK", jwks({ kty: "oct", k: "AAAA" }), ["RS256"], /symmetric key/],
    ["text that is no PEM", pem("hello"), ["RS256"], /no public key/],
    ["broken PEM", pem(rsa.pem.replace(/MII/, "AAA")), ["RS256"], /can't be read/],
    ["a certificate chain", pem(CERTIFICATE + CERTIFICATE), ["ES256"], /one certificate/],
    ["an empty set", jwks(), ["RS256"], /empty/],
    ["a set without a fitting key", jwks(ec.jwk), ["RS256"], /fits/],
    ["a PEM key that doesn't fit", pem(ec.pem), ["RS256"], /fits/],
    ["no algorithms (J04)", jwks(rsa.jwk), [], /no algorithm/],
    ["none", jwks(rsa.jwk), ["none"], /not supported/],
    ["HMAC beside others (J04)", jwks(rsa.jwk), ["HS256", "RS256"], /can't stand beside/],
    ["HMAC with public keys", jwks(rsa.jwk), ["HS256"], /go with `secret`/],
    ["HMAC with a URL", { kind: "jwksUri", url: "https://a.example/" }, ["HS256"], /go with `secret`/],
    ["a secret for RS256", secret(64), ["RS256"], /go with `secret`/],
    ["a URL of another scheme", { kind: "jwksUri", url: "file:///etc/passwd" }, ["RS256"], /http/],
    ["a URL with credentials", { kind: "jwksUri", url: "https://u:p@a.example/" }, ["RS256"], /http/],
    ["a metadata URL that is none", { kind: "discovery", url: "corp" }, ["RS256"], /http/],
  ])("%s", async (_, source, algorithms, sentence) => {
    expect(await checkKeySource(source, algorithms)).toMatch(sentence);
    const policy = issuerPolicy(source, { algorithms });
    expect(construct(policy)).toThrow(expect.objectContaining({ code: "config_invalid" }));
    expect(construct(policy)).toThrow(sentence);
  });

  test("a set of weak keys only, which shows on import", async () => {
    expect(await checkKeySource(jwks(weak.jwk), ["RS256"])).toMatch(/2048 bits/);
    const running = await startVerifier([issuerPolicy(jwks(weak.jwk))]);
    expect(running.verifier.health()).toEqual([
      { issuer: "corp", state: "waiting", keys: 0, keysAgeMs: undefined },
    ]);
    expect(running.events).toEqual([
      { kind: "keys_refresh_failed", issuer: "corp", reason: "import", stale: false },
    ]);
  });

  test("discovery from an issuer that is no URL", () => {
    const policy = issuerPolicy({ kind: "discovery", url: undefined }, { issuer: "corp" });
    expect(construct(policy)).toThrow(/discovery needs/);
  });

  test("no message holds key material", async () => {
    const sources = [pem(pkcs8), jwks({ ...privateJwk }), pem(rsa.pem.replace(/MII/, "AAA"))];
    const body = pkcs8.split("\n")[1] ?? "";
    for (const source of sources) {
      const sentence = (await checkKeySource(source, ["RS256"])) ?? "";
      expect(sentence).not.toContain(body.slice(0, 12));
      expect(sentence).not.toContain(String(privateJwk.d).slice(0, 12));
    }
  });
});

describe("J13 the strength of a shared secret", () => {
  test.each([
    [["HS256"], 1, 32],
    [["HS256"], 31, 32],
    [["HS256"], 32, undefined],
    [["HS384"], 47, 48],
    [["HS384"], 48, undefined],
    [["HS512"], 63, 64],
    [["HS512"], 64, undefined],
    [["HS256", "HS512"], 32, 64],
    [["RS256"], 0, undefined],
  ])("for %j, %i bytes: needed %j", async (algorithms, length, needed) => {
    expect(weakSecret(algorithms, new Uint8Array(length))).toBe(needed);
    if (needed === undefined || algorithms.includes("RS256")) return;
    expect(await checkKeySource(secret(length), algorithms)).toMatch(`${needed} bytes`);
    expect(construct(issuerPolicy(secret(length), { algorithms }))).toThrow(/too short/);
  });
});

test("a private key really is one, so that the cases above mean something", () => {
  expect(createPrivateKey(pkcs8).type).toBe("private");
});
