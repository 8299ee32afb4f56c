// Turns verified claims into a principal. A claim of the wrong type gives nothing; it is never coerced.

import { claimAt } from "../../core/claims.ts";
import type { Principal } from "../../core/principal.ts";
import { isScopeToken, ScopeSet } from "../../core/scope.ts";
import { isPlainText } from "./claims.ts";
import type { IssuerPolicy } from "./policy.ts";
import type { JsonObject } from "./strict-json.ts";

/** What the configured roles add to those who hold them. */
export type Grants = (roles: readonly string[]) => {
  readonly scopes: readonly string[];
  readonly tier: string | undefined;
};

const SCOPE_CLAIMS = ["scope", "scp", "scopes", "permissions"];
const CLIENT_CLAIMS = ["client_id", "azp", "cid", "appid"];
const MOST_TEXT = 1024;
// More than one @ or a quoted part would let two readers find two different domains.
const EMAIL = /^[^@\s"]{1,256}@[^@\s"]{1,256}$/;

/** The principal of claims that passed every check. The same object stands for the token as long as it is remembered. */
export function toPrincipal(payload: JsonObject, policy: IssuerPolicy, grants: Grants): Principal {
  const names = policy.claims;
  const roles = rolesOf(claimAt(payload, names.roles));
  const granted = grants(roles);
  const tier = textOf(claimAt(payload, names.tier)) ?? granted.tier;
  const clientId = CLIENT_CLAIMS.map((name) => textOf(payload[name])).find((value) => value !== undefined);
  const org = textOf(claimAt(payload, names.org));
  const email = emailOf(claimAt(payload, names.email), payload);
  return Object.freeze({
    method: "jwt",
    subject: String(claimAt(payload, names.subject)),
    issuer: policy.issuer,
    scopes: new ScopeSet([...claimedScopes(payload, names.scopes), ...granted.scopes]),
    roles,
    claims: payload,
    expiresAtMs: Number(payload.exp) * 1000,
    ...(clientId === undefined ? {} : { clientId }),
    ...(org === undefined ? {} : { org }),
    ...(email === undefined ? {} : { email }),
    ...(tier === undefined ? {} : { tier }),
  });
}

function claimedScopes(payload: JsonObject, path: readonly string[] | undefined): string[] {
  if (path !== undefined) return scopesOf(claimAt(payload, path));
  return SCOPE_CLAIMS.flatMap((name) => scopesOf(payload[name]));
}

/** Scopes of one claim: text split on single spaces (RFC 8693 section 4.2) or a list of texts, scope tokens only. */
function scopesOf(value: unknown): string[] {
  return (typeof value === "string" ? value.split(" ") : textsOf(value)).filter(isScopeToken);
}

/** Roles of one claim. A role with a comma couldn't be told from two in the identity header, so it is none. */
function rolesOf(value: unknown): readonly string[] {
  const named = typeof value === "string" && !value.includes(" ") ? [value] : textsOf(value);
  return Object.freeze(named.filter((role) => textOf(role) !== undefined && !role.includes(",")));
}

/** The list of texts that `value` is; one element of another type spoils it all. */
function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === "string") ? value : [];
}

function textOf(value: unknown): string | undefined {
  return isPlainText(value) && value.length <= MOST_TEXT ? value : undefined;
}

/** An address that the issuer says nobody has confirmed may be anybody's, so it isn't passed on. */
function emailOf(value: unknown, payload: JsonObject): string | undefined {
  const text = textOf(value);
  if (text === undefined || payload.email_verified === false || payload.email_verified === "false") {
    return undefined;
  }
  return EMAIL.test(text) ? text : undefined;
}
