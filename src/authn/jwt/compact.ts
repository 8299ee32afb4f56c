// The gate before any cryptography: takes a token's compact form apart and refuses every spelling of it but one.
// Because only one spelling passes, the token's text itself may identify it in caches and deny-lists.

import { err, ok, type Result } from "../../core/result.ts";
import { type JsonObject, parseObject } from "./strict-json.ts";

/** A well-formed token, not yet verified. */
export interface CompactToken {
  readonly header: JsonObject;
  readonly payload: JsonObject;
}

/** Reason codes of a token that is refused for its form. */
export type FormFault =
  | "jwt_size"
  | "jwt_form"
  | "jwt_encrypted"
  | "jwt_base64"
  | "jwt_header"
  | "jwt_payload";

const MOST_CHARACTERS = 16 * 1024;
// Value of each base64url character (RFC 4648 section 5), -1 for every other one.
const SEXTET = new Int8Array(128).fill(-1);
for (const [value, character] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
].entries()) {
  SEXTET[character.charCodeAt(0)] = value;
}

/** Reads a JWS in compact form (RFC 7515 section 7.1) of at most 16 KiB; any other form is refused (RFC 8725 section 3.11). */
export function readCompact(token: string): Result<CompactToken, FormFault> {
  if (token.length > MOST_CHARACTERS) return err("jwt_size");
  const first = token.indexOf(".");
  const second = first === -1 ? -1 : token.indexOf(".", first + 1);
  if (second === -1) return err("jwt_form");
  const third = token.indexOf(".", second + 1);
  if (third !== -1) return err(token.split(".").length === 5 ? "jwt_encrypted" : "jwt_form");
  if (
    !isCanonical(token, 0, first) ||
    !isCanonical(token, first + 1, second) ||
    !isCanonical(token, second + 1, token.length)
  ) {
    return err("jwt_base64");
  }
  const header = parseObject(Buffer.from(token.slice(0, first), "base64url"));
  if (!header.ok) return err("jwt_header");
  const payload = parseObject(Buffer.from(token.slice(first + 1, second), "base64url"));
  return payload.ok ? ok({ header: header.value, payload: payload.value }) : err("jwt_payload");
}

/** Whether this part is not empty and the one base64url text of its bytes: bare alphabet, no padding, unused bits zero. */
function isCanonical(token: string, start: number, end: number): boolean {
  const length = end - start;
  if (length === 0 || length % 4 === 1) return false;
  for (let index = start; index < end; index++) {
    const code = token.charCodeAt(index);
    if (code >= 128 || SEXTET[code] === -1) return false;
  }
  const last = SEXTET[token.charCodeAt(end - 1)] ?? -1;
  if (length % 4 === 2) return (last & 0b1111) === 0;
  return length % 4 === 0 || (last & 0b11) === 0;
}
