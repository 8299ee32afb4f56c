// The tokens and the verifier of one issuer, at a time that stands still; shared by the tests of this folder.

import { afterAll, beforeAll } from "vitest";
import type { IssuerPolicy } from "../../../../src/authn/jwt/policy.ts";
import { type Claims, makeKey, type SigningKey, signToken } from "../../../support/issuer.ts";
import { keyPolicy, type RunningVerifier, startVerifier } from "../../../support/verifier.ts";

/** The time at which everything is verified, in seconds. */
export const NOW = 1_800_000_000;
export const rsa = makeKey("RS256", "a-rsa");
export const ec = makeKey("ES256", "a-ec");
/** Has the key id of `rsa` and is in no set. */
export const stranger = makeKey("RS256", "a-rsa");

const USUAL: Claims = {
  iss: "https://login.example.com/",
  sub: "user-1",
  aud: "modules-api",
  iat: NOW - 10,
  exp: NOW + 300,
};

export function claims(over: Claims = {}): Claims {
  return { ...USUAL, ...over };
}

/** A valid token with these claims and header members laid over the usual ones. */
export function token(over: Claims = {}, header: Claims = {}, key: SigningKey = rsa): string {
  return signToken(claims(over), key, header);
}

const started: RunningVerifier[] = [];

/** A verifier at `NOW`, stopped when the file's tests have run. */
export async function running(policies: readonly IssuerPolicy[]): Promise<RunningVerifier> {
  const verifier = await startVerifier(policies);
  verifier.clock.frozenWallMs = NOW * 1000;
  started.push(verifier);
  return verifier;
}

/** Trusts `rsa` and `ec`. */
export let corp: RunningVerifier;

beforeAll(async () => {
  corp = await running([keyPolicy([rsa, ec])]);
});

afterAll(() => {
  for (const { verifier } of started) verifier.stop();
});
