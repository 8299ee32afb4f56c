// Who fails: the units that failures are counted by, as hashes, and which credentials could be guessed at all.

import { hash } from "node:crypto";
import { limitUnit } from "../../core/address.ts";
import { keyForm } from "../api-key/format.ts";
import type { CredentialKind } from "../authenticator.ts";
import { readCompact } from "../jwt/compact.ts";

// 128 bits of SHA-256 in base64url.
const HASH_CHARACTERS = 22;
// Of a key of the gateway's own form: `gwk_live_` and three characters. It has forty more, so these give nothing away.
const OWN_PREFIX = /^gwk_(?:live|test)_[0-9A-Za-z]{3}/;
// Of any other key, where at least ten more characters follow.
const OTHER_PREFIX_CHARACTERS = 6;
const LONG_ENOUGH_CHARACTERS = 16;
// Longer tokens are not read a second time only to say whose they claim to be.
const MOST_TOKEN_CHARACTERS = 4_096;

/** The address's unit: an IPv4 address, or the /64 of an IPv6 one. */
export function addressId(clientAddress: string): string {
  return hashed("address", limitUnit(clientAddress));
}

/**
 * The public part of a credential that failed: the beginning of a key, or the issuer and subject that a token claims,
 * unverified. Undefined when it has none that would be shared by several guesses.
 */
export function credentialId(kind: CredentialKind, credential: string): string | undefined {
  return kind === "apiKey" ? keyId(credential) : claimedId(credential);
}

/** Whether somebody who doesn't know the key could find it by trying: any key but one of 32 random bytes. */
export function isGuessable(key: string): boolean {
  return keyForm(key) !== "own";
}

function keyId(key: string): string | undefined {
  const own = OWN_PREFIX.exec(key)?.[0];
  if (own !== undefined) return hashed("key", own);
  return key.length > LONG_ENOUGH_CHARACTERS
    ? hashed("key", key.slice(0, OTHER_PREFIX_CHARACTERS))
    : undefined;
}

function claimedId(token: string): string | undefined {
  const read = token.length > MOST_TOKEN_CHARACTERS ? undefined : readCompact(token);
  if (read?.ok !== true) return undefined;
  const { iss, sub } = read.value.payload;
  return typeof iss === "string" && typeof sub === "string" ? hashed("token", iss, sub) : undefined;
}

/** Each part is led by its length, so that no two identities read alike. */
function hashed(...parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join("");
  return hash("sha256", text, "base64url").slice(0, HASH_CHARACTERS);
}
