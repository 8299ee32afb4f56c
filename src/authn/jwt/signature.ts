// Finds the keys that may have signed a token and lets jose check the signature against them.

import type { CryptoKey } from "jose";
import * as errors from "jose/errors";
import { compactVerify } from "jose/jws/compact/verify";
import { type Denial, deny } from "../../core/denial.ts";
import { GatewayFailure } from "../../core/failure.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { KeySet } from "./key-set.ts";

/** Keys to try, and the epoch of the set that they come from. */
export interface Candidates {
  readonly keys: readonly CryptoKey[];
  readonly epoch: number;
}

/** The keys for a token's key id and algorithm. Only an unknown key id makes the set look for more, never a bad signature. */
export async function findKeys(
  set: KeySet,
  kid: string | undefined,
  algorithm: string,
): Promise<Result<Candidates, Denial>> {
  if (set.usable() === undefined) await set.firstAttempt();
  const table = set.usable();
  if (table === undefined) return err(unavailable(set, "jwt_keys_missing"));
  const keys = table.candidates(kid, algorithm);
  if (keys.length > 0) return ok({ keys, epoch: set.epoch });
  if (kid === undefined || table.knows(kid)) return err(deny("token_invalid", "jwt_key_unfit"));
  const certain = await set.lookAgain();
  const found = set.usable()?.candidates(kid, algorithm) ?? [];
  if (found.length > 0) return ok({ keys: found, epoch: set.epoch });
  return err(certain ? deny("token_invalid", "jwt_key_unknown") : unavailable(set, "jwt_key_unknown"));
}

function unavailable(set: KeySet, reason: string): Denial {
  return deny("keys_unavailable", reason, { retryAfterSeconds: set.retryAfterSeconds });
}

/** Whether one of `keys` made the signature. */
export async function isSigned(
  token: string,
  keys: readonly CryptoKey[],
  algorithm: string,
): Promise<boolean> {
  for (const key of keys) {
    try {
      await compactVerify(token, key, { algorithms: [algorithm] });
      return true;
    } catch (error) {
      // The error isn't kept as a cause: it may hold the token's content.
      if (!(error instanceof errors.JOSEError)) throw new GatewayFailure("bug", "the signature check broke");
    }
  }
  return false;
}
