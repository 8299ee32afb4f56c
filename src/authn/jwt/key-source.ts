// Checks a key source at load and turns the keys that stand in the configuration itself into JWKs.

import { createPublicKey } from "node:crypto";
import { err, ok, type Result } from "../../core/result.ts";
import { algorithmsFault, isSymmetric, weakSecret } from "./algorithms.ts";
import type { KeyFault } from "./jwk.ts";
import { importKeys, readKeySet } from "./key-table.ts";
import type { KeySource } from "./policy.ts";

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]{1,32768}-----END \1-----/g;

const SENTENCES: Readonly<Record<KeyFault, string>> = {
  not_an_object: "an entry of the key set is not an object",
  symmetric: "the key set holds a symmetric key; give a shared secret as `secret`",
  private: "the key set holds a private key; only public keys belong here",
  kid_invalid: "a `kid` of the key set is not a text of 1 to 256 characters",
  not_for_signatures: "no key of the set is for verifying signatures",
  algorithm_unused: "no key of the set fits the accepted algorithms",
  member_missing: "a key of the set lacks a member of its type",
  weak: "an RSA key is shorter than 2048 bits",
  oversized: "an RSA key is longer than 8192 bits",
  not_importable: "a key can't be read",
  too_many: "the key set holds more than 100 keys",
};

/** Faults that make a set in the configuration wrong even when other keys of it can be used. */
const FORBIDDEN: readonly KeyFault[] = ["symmetric", "private", "not_an_object", "too_many"];

/** The entries of a set that is given in the configuration: JWKs as they are, or those of PEM text. The error is a sentence. */
export function localKeys(
  source: Extract<KeySource, { kind: "jwks" | "pem" }>,
  algorithms: readonly string[],
): Result<readonly unknown[], string> {
  const entries = source.kind === "pem" ? pemKeys(source.pem) : ok(source.keys);
  if (!entries.ok) return entries;
  const { keys, faults } = readKeySet(entries.value, algorithms);
  const fatal = FORBIDDEN.find((fault) => faults.includes(fault));
  if (fatal !== undefined) return err(SENTENCES[fatal]);
  if (keys.length > 0) return entries;
  const first = faults[0];
  return err(first === undefined ? "the key set is empty" : SENTENCES[first]);
}

/** Public keys (SPKI or PKCS#1), or one certificate. A chain is refused: its other keys would be trusted as well. */
function pemKeys(pem: string): Result<readonly unknown[], string> {
  if (/-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----/.test(pem)) {
    return err("the PEM text holds a private key; only public keys belong here");
  }
  const blocks = [...pem.matchAll(PEM_BLOCK)];
  if (blocks.length === 0) return err("the PEM text holds no public key and no certificate");
  if (blocks.length > 1 && blocks.some((block) => block[1] === "CERTIFICATE")) {
    return err(
      "the PEM text holds a certificate and something else; give the one certificate or public keys",
    );
  }
  try {
    return ok(blocks.map((block) => createPublicKey(block[0]).export({ format: "jwk" })));
  } catch {
    return err("a key of the PEM text can't be read");
  }
}

/** What can be said without any I/O against a source for these algorithms, as a sentence. */
export function sourceFault(
  source: KeySource,
  algorithms: readonly string[],
  issuer?: string,
): string | undefined {
  const fault = algorithmsFault(algorithms);
  if (fault !== undefined) return fault;
  if (isSymmetric(algorithms) !== (source.kind === "secret")) {
    return "HS* algorithms go with `secret`, and every other algorithm with public keys";
  }
  switch (source.kind) {
    case "secret": {
      const needed = weakSecret(algorithms, source.secret);
      return needed === undefined
        ? undefined
        : `the secret is too short: these algorithms need at least ${needed} bytes`;
    }
    case "jwks":
    case "pem": {
      const keys = localKeys(source, algorithms);
      return keys.ok ? undefined : keys.error;
    }
    case "jwksUri":
      return httpUrl(source.url) === undefined ? "the key set's URL is not an http(s) URL" : undefined;
    case "discovery": {
      const url = source.url ?? issuer;
      return url !== undefined && httpUrl(url) === undefined
        ? "discovery needs an http(s) URL: an issuer that is none, or a URL of its metadata"
        : undefined;
    }
  }
}

/** Checks a source at load, also whether its keys can be imported. A sentence for people, or undefined when it is fine. */
export async function checkKeySource(
  source: KeySource,
  algorithms: readonly string[],
): Promise<string | undefined> {
  const fault = sourceFault(source, algorithms);
  if (fault !== undefined || (source.kind !== "jwks" && source.kind !== "pem")) return fault;
  const entries = localKeys(source, algorithms);
  if (!entries.ok) return entries.error;
  const { table, faults } = await importKeys(readKeySet(entries.value, algorithms).keys, algorithms);
  const first = faults[0];
  return table.count === 0 && first !== undefined ? SENTENCES[first] : undefined;
}

/** Parses an absolute http or https URL without user information; undefined for anything else. */
export function httpUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url !== undefined && url.username === "" && url.password === "";
  return plain && (url.protocol === "https:" || url.protocol === "http:") ? url : undefined;
}
