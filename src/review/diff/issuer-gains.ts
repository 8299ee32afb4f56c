// Which tokens an entry of `issuers` takes that another one doesn't.

import { isDeepStrictEqual } from "node:util";
import type { IssuerPolicy, KeySource } from "../../authn/jwt/policy.ts";
import { possibly, type Reason, surely } from "./reasons.ts";

const DEFAULT_TYPES = ["at+jwt", "jwt", ""];

/** Why `to` may take a token that `from` refuses; empty when it can't. */
export function issuerGains(from: IssuerPolicy, to: IssuerPolicy): readonly Reason[] {
  if (from === to || isDeepStrictEqual(from, to)) return [];
  // Nothing else matters where not even the name in the tokens is the same.
  if (from.issuer !== to.issuer) return [surely("another `issuer` is named")];
  const reasons: Reason[] = [];
  if (from.audience !== undefined) {
    if (to.audience === undefined) reasons.push(surely("any audience is taken"));
    else reasons.push(...alsoTaken("audience", from.audience, to.audience));
  }
  reasons.push(...alsoTaken("algorithm", from.algorithms, to.algorithms));
  reasons.push(...alsoTaken("token type", from.types ?? DEFAULT_TYPES, to.types ?? DEFAULT_TYPES));
  if (to.leewaySeconds > from.leewaySeconds)
    reasons.push(surely(`the leeway is ${to.leewaySeconds}s, formerly ${from.leewaySeconds}s`));
  if (from.clientId !== undefined && from.clientId !== to.clientId)
    reasons.push(
      surely(to.clientId === undefined ? "tokens of any client are taken" : "another client is named"),
    );
  if (!keysWithin(to.source, from.source)) reasons.push(possibly("its keys come from elsewhere"));
  if (!isDeepStrictEqual(from.claims.subject, to.claims.subject))
    reasons.push(possibly("the subject is read from another claim"));
  return reasons;
}

function alsoTaken(what: string, before: readonly string[], after: readonly string[]): readonly Reason[] {
  const added = after.filter((value) => !before.includes(value));
  const names = added.map((value) => (value === "" ? "none" : value)).join(", ");
  return added.length === 0 ? [] : [surely(`${what} ${names} is also taken`)];
}

function keysWithin(inner: KeySource, outer: KeySource): boolean {
  if (inner.kind !== "jwks" || outer.kind !== "jwks") return isDeepStrictEqual(inner, outer);
  return inner.keys.every((key) => outer.keys.some((other) => isDeepStrictEqual(key, other)));
}
