// Which issuers the token schemes of a document come down to: one entry of `issuers` each.

import type { Scheme } from "./model.ts";
import { unusedName } from "./names.ts";

/** An issuer that nobody has: its domain is reserved (RFC 2606), so no token passes until it is replaced. */
export const NOBODY = "https://login.example.com/";

export interface PlannedIssuer {
  readonly name: string;
  readonly issuer: string;
  /** The value should be looked at: it is guessed, or a placeholder. */
  readonly doubtful: boolean;
  readonly discovery: string | undefined;
  readonly source: string;
}

export interface PlannedIssuers {
  /** In the order of the document. */
  readonly issuers: readonly PlannedIssuer[];
  /** Name of the entry by scheme. */
  readonly byScheme: ReadonlyMap<string, string>;
}

/** @param given issuer of the tokens of which the document doesn't tell any */
export function issuersOf(schemes: ReadonlyMap<string, Scheme>, given: string | undefined): PlannedIssuers {
  const issuers: PlannedIssuer[] = [];
  const byScheme = new Map<string, string>();
  const names = new Set<string>();
  for (const [scheme, one] of schemes) {
    if (one.kind !== "token") continue;
    const issuer = one.issuer ?? given ?? NOBODY;
    const known = issuers.find((other) => other.issuer === issuer);
    const name = known?.name ?? unusedName(names, scheme, "issuer");
    byScheme.set(scheme, name);
    if (known !== undefined) continue;
    const named = one.issuer === undefined && given !== undefined;
    issuers.push({
      name,
      issuer,
      doubtful: !named && !one.source.startsWith("from"),
      discovery: one.discovery,
      source: named ? "as told" : one.source,
    });
  }
  return { issuers, byScheme };
}

/** The entry for a document that knows no credential at all. */
export function someIssuer(given: string | undefined): PlannedIssuer {
  return {
    name: "issuer",
    issuer: given ?? NOBODY,
    doubtful: given === undefined,
    discovery: undefined,
    source:
      given === undefined
        ? "the document doesn't tell who issues the tokens; nobody can with this placeholder"
        : "as told",
  };
}
