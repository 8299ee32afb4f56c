// Keys, tokens and API keys of one run: 200 callers that may read, one that may not, and credentials that must be refused.

import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { exportJWK, SignJWT } from "jose";
import type { Credential } from "./target.ts";

/** How many different credentials the load uses in turn. */
export const CALLERS = 200;
export const ISSUER = "https://issuer.bench.example/";
export const AUDIENCE = "modules-api";
export const SCOPE = "modules:read";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

export type Algorithm = "HS256" | "RS256" | "ES256";

/** Credentials of one kind, as header values. */
export interface CredentialSet {
  /** Lower case. */
  readonly header: string;
  /** One per caller; the subject of entry N is `caller-N`. */
  readonly good: readonly string[];
  /** Genuine, but without the scope. */
  readonly unscoped: string;
  /** Each must be answered with 401. */
  readonly refused: Readonly<Record<string, string>>;
}

export interface ApiKeyEntry {
  readonly id: string;
  readonly hash: string;
  readonly scopes: readonly string[];
}

export interface Fixtures {
  /** Text of the HMAC key, 64 characters. */
  readonly secret: string;
  /** Paths of the public key as PEM and as a JWK Set. */
  readonly publicKeys: Readonly<Record<"RS256" | "ES256", { readonly pem: string; readonly jwks: string }>>;
  readonly apiKeys: readonly ApiKeyEntry[];
  readonly credentials: Readonly<Record<Exclude<Credential, "none">, CredentialSet>>;
}

/** Makes the credentials of a run and writes the public keys below `directory`. */
export async function makeFixtures(directory: string): Promise<Fixtures> {
  const secret = randomBytes(32).toString("hex");
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const strangers = {
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey,
    ec: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  };
  const keys = makeApiKeys();
  return {
    secret,
    publicKeys: {
      RS256: await writePublicKey(directory, "RS256", rsa.publicKey),
      ES256: await writePublicKey(directory, "ES256", ec.publicKey),
    },
    apiKeys: keys.entries,
    credentials: {
      HS256: await tokenSet("HS256", Buffer.from(secret), randomBytes(32)),
      RS256: await tokenSet("RS256", rsa.privateKey, strangers.rsa),
      ES256: await tokenSet("ES256", ec.privateKey, strangers.ec),
      apiKey: keys.set,
    },
  };
}

type SigningKey = KeyObject | Uint8Array;

async function tokenSet(alg: Algorithm, key: SigningKey, strangersKey: SigningKey): Promise<CredentialSet> {
  const good: string[] = [];
  for (let n = 0; n < CALLERS; n++) good.push(await sign(alg, key, `caller-${n}`, {}));
  const unsigned = `${Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url")}.${good[0]?.split(".")[1]}.`;
  const refused = {
    "signed by another key": await sign(alg, strangersKey, "caller-0", {}),
    unsigned,
    expired: await sign(alg, key, "caller-0", { lifetime: -600 }),
    "of another issuer": await sign(alg, key, "caller-0", { issuer: "https://other.example/" }),
  };
  const bearer = (token: string) => `Bearer ${token}`;
  return {
    header: "authorization",
    good: good.map(bearer),
    unscoped: bearer(await sign(alg, key, "reader", { scope: "modules:list profile:read" })),
    refused: Object.fromEntries(Object.entries(refused).map(([why, token]) => [why, bearer(token)])),
  };
}

interface Deviation {
  readonly lifetime?: number;
  readonly issuer?: string;
  readonly scope?: string;
}

function sign(alg: Algorithm, key: SigningKey, subject: string, deviation: Deviation): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ scope: deviation.scope ?? `${SCOPE} profile:read` })
    .setProtectedHeader({ alg, typ: "JWT", kid: `bench-${alg}` })
    .setSubject(subject)
    .setIssuer(deviation.issuer ?? ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt(now - 1_200)
    .setExpirationTime(now + (deviation.lifetime ?? 3_600))
    .sign(key);
}

async function writePublicKey(
  directory: string,
  alg: "RS256" | "ES256",
  key: KeyObject,
): Promise<{ pem: string; jwks: string }> {
  const pem = join(directory, `${alg}.pem`);
  const jwks = join(directory, `${alg}.jwks.json`);
  writeFileSync(pem, key.export({ type: "spki", format: "pem" }));
  const jwk = { ...(await exportJWK(key)), alg, use: "sig", kid: `bench-${alg}` };
  writeFileSync(jwks, JSON.stringify({ keys: [jwk] }));
  return { pem, jwks };
}

function makeApiKeys(): { entries: readonly ApiKeyEntry[]; set: CredentialSet } {
  const good: string[] = [];
  const entries: ApiKeyEntry[] = [];
  const add = (id: string, scopes: readonly string[]): string => {
    const key = newApiKey();
    entries.push({ id, hash: createHash("sha256").update(key).digest("hex"), scopes });
    return key;
  };
  for (let n = 0; n < CALLERS; n++) good.push(add(`caller-${n}`, [SCOPE]));
  const unscoped = add("reader", ["modules:list"]);
  const mistyped = `${good[0]?.slice(0, -1)}${good[0]?.endsWith("0") ? "1" : "0"}`;
  const refused = { unknown: newApiKey(), "with a wrong checksum": mistyped };
  return { entries, set: { header: "x-api-key", good, unscoped, refused } };
}

/** `gwk_live_`, 43 base62 characters of 32 random bytes, 6 of the CRC-32 over what stands before. */
function newApiKey(): string {
  const body = base62(BigInt(`0x${randomBytes(32).toString("hex")}`), 43);
  return `gwk_live_${body}${base62(BigInt(crc32(`gwk_live_${body}`)), 6)}`;
}

function base62(value: bigint, width: number): string {
  let text = "";
  for (let rest = value; text.length < width; rest /= 62n) text = ALPHABET.charAt(Number(rest % 62n)) + text;
  return text;
}
