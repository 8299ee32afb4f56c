// The form of the gateway's own API keys: `gwk_live_` or `gwk_test_`, 43 base62 characters of 32 random bytes, and 6
// base62 characters of the CRC-32 of all before them. The checksum finds typing errors offline; it is no security.

import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const OWN_FORM = /^gwk_(?:live|test)_[0-9A-Za-z]{49}$/;

export type KeyEnvironment = "live" | "test";

function base62(value: bigint, width: number): string {
  let rest = value;
  let text = "";
  while (rest > 0n) {
    text = ALPHABET[Number(rest % 62n)] + text;
    rest /= 62n;
  }
  return text.padStart(width, "0");
}

/** A key from 32 bytes; random ones unless given. */
export function formatKey(environment: KeyEnvironment, bytes: Uint8Array = randomBytes(32)): string {
  const body = `gwk_${environment}_${base62(BigInt(`0x${Buffer.from(bytes).toString("hex")}`), 43)}`;
  return body + base62(BigInt(crc32(body)), 6);
}

/** `own`: well-formed with the right checksum; `broken`: begins like ours but isn't; `foreign`: a key of another form. */
export function keyForm(key: string): "own" | "broken" | "foreign" {
  if (!/^gwk_(?:live|test)_/.test(key)) return "foreign";
  if (!OWN_FORM.test(key)) return "broken";
  const body = key.slice(0, -6);
  return base62(BigInt(crc32(body)), 6) === key.slice(-6) ? "own" : "broken";
}
