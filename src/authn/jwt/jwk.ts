// Reads one entry of a JWK Set (RFC 7517): its public members when it can verify signatures, or why it can't be used.

import { err, ok, type Result } from "../../core/result.ts";
import { fittingAlgorithms } from "./algorithms.ts";
import { isObject } from "./strict-json.ts";

/** The public members of a signature key and nothing else. */
export interface PublicJwk {
  readonly kty: string;
  readonly kid?: string;
  readonly alg?: string;
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

/** Why a key is left out; goes to the operator's log. */
export type KeyFault =
  | "not_an_object"
  | "symmetric"
  | "private"
  | "kid_invalid"
  | "not_for_signatures"
  | "algorithm_unused"
  | "member_missing"
  | "weak"
  | "oversized"
  | "not_importable"
  | "too_many";

const MOST_KID_CHARACTERS = 256;
const MOST_MEMBER_CHARACTERS = 4096;
const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const PUBLIC_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ["n", "e"],
  EC: ["crv", "x", "y"],
  OKP: ["crv", "x"],
};

/** Reads an entry for use with some of `algorithms`. Private keys are refused outright: they don't belong in a set. */
export function readJwk(entry: unknown, algorithms: readonly string[]): Result<PublicJwk, KeyFault> {
  if (!isObject(entry)) return err("not_an_object");
  const { kty, kid, alg, use, key_ops: operations } = entry;
  if (kty === "oct") return err("symmetric");
  if (PRIVATE_MEMBERS.some((name) => entry[name] !== undefined)) return err("private");
  if (kid !== undefined && !isText(kid, MOST_KID_CHARACTERS)) return err("kid_invalid");
  if (use !== undefined && use !== "sig") return err("not_for_signatures");
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return err("not_for_signatures");
  }
  const members = typeof kty === "string" && Object.hasOwn(PUBLIC_MEMBERS, kty) ? PUBLIC_MEMBERS[kty] : [];
  const jwk: Record<string, string> = {};
  for (const name of members ?? []) {
    const value = entry[name];
    if (!isText(value, MOST_MEMBER_CHARACTERS)) return err("member_missing");
    jwk[name] = value;
  }
  const shape = { kty: String(kty), crv: jwk.crv, alg: alg === undefined ? undefined : String(alg) };
  if (fittingAlgorithms(shape, algorithms).length === 0) return err("algorithm_unused");
  return ok({
    ...jwk,
    kty: shape.kty,
    ...(shape.alg === undefined ? {} : { alg: shape.alg }),
    ...(kid === undefined ? {} : { kid }),
  });
}

function isText(value: unknown, most: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= most;
}

/** One text per key: equal for equal keys, whatever the order or spelling of the set around them. */
export function jwkFingerprint(jwk: PublicJwk): string {
  return JSON.stringify([jwk.kty, jwk.kid, jwk.alg, jwk.crv, jwk.n, jwk.e, jwk.x, jwk.y]);
}
