// Whose requests a limit counts together: from a principal, an address or a field to the key of a counter.
// Keys carry hashes only, so neither a store nor its log ever holds a name, an address or a token.

import { hash } from "node:crypto";
import { limitUnit } from "../core/address.ts";
import { claimAt } from "../core/claims.ts";
import { type Fields, lowerName } from "../core/fields.ts";
import type { Principal } from "../core/principal.ts";
import type { LimitPolicy, LimitSubject } from "./policy.ts";

/** What the limiter has to know about a request. */
export interface LimitInput {
  readonly principal: Principal | undefined;
  /** Address of the client, after trusted proxies. */
  readonly clientAddress: string;
  readonly fields: Fields;
}

const MOST_FIELD_CHARACTERS = 256;
const MOST_REMEMBERED = 10_000;
// 128 bits of SHA-256 in base64url.
const HASH_CHARACTERS = 22;

/** Bounded memory of hashes that were made lately: two generations, the older one is forgotten as a whole. */
class RecentHashes {
  #young = new Map<string, string>();
  #old = new Map<string, string>();

  get(text: string, make: (text: string) => string): string {
    const young = this.#young.get(text);
    if (young !== undefined) return young;
    const made = this.#old.get(text) ?? make(text);
    if (this.#young.size >= MOST_REMEMBERED) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, made);
    return made;
  }
}

const fieldValues = new RecentHashes();

/** The kind and hash of an identity. Each part is led by its length, so that no two identities read alike. */
export function identity(kind: string, ...parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join("");
  return `${kind}:${hash("sha256", text, "base64url").slice(0, HASH_CHARACTERS)}`;
}

const DEFAULT_IPV6_PREFIX = 64;
// One memory for each length of prefix in use.
const addresses = new Map<number, RecentHashes>();

function addressIdentity(address: string, ipv6Prefix: number): string {
  let known = addresses.get(ipv6Prefix);
  if (known === undefined) {
    known = new RecentHashes();
    addresses.set(ipv6Prefix, known);
  }
  return known.get(address, (text) => identity("ip", limitUnit(text, ipv6Prefix)));
}

function fieldIdentity(value: string | undefined): string | undefined {
  if (value === undefined || value === "" || value.length > MOST_FIELD_CHARACTERS) return undefined;
  return fieldValues.get(value, (text) => identity("header", text));
}

/** A token's user is issuer and subject together (RFC 7519 4.1.2); keys of one subject are one user. */
function userIdentity(principal: Principal): string | undefined {
  if (principal.subject !== "") return identity("user", principal.issuer ?? "", principal.subject);
  return principal.keyId === undefined ? undefined : identity("key", principal.keyId);
}

function claimIdentity(principal: Principal, path: readonly string[]): string | undefined {
  const value = claimAt(principal.claims, path);
  const kind = typeof value;
  const countable = kind === "string" || kind === "number" || kind === "boolean";
  return countable ? identity("claim", kind, String(value)) : undefined;
}

/** The identity that lies in the principal alone; undefined when it holds none. */
function principalIdentity(principal: Principal, subject: LimitSubject): string | undefined {
  if (principal.method === "anonymous") return undefined;
  switch (subject.by) {
    case "user":
      return userIdentity(principal);
    case "key":
      return principal.keyId === undefined ? userIdentity(principal) : identity("key", principal.keyId);
    case "org":
      return principal.org === undefined || principal.org === ""
        ? userIdentity(principal)
        : identity("org", principal.org);
    case "claim":
      return claimIdentity(principal, subject.path) ?? userIdentity(principal);
    default:
      return undefined;
  }
}

/** Gives the key of the counter that a request belongs to. */
export type KeyOf = (input: LimitInput) => string;

/** Makes the function that finds a request's counter among those whose keys start with `counters`. */
export function keyMaker(counters: string, subject: LimitSubject): KeyOf {
  if (subject.by === "route") {
    const key = counterKey(counters, ROUTE_IDENTITY);
    return () => key;
  }
  const byAddress = ({ clientAddress }: LimitInput, ipv6Prefix = DEFAULT_IPV6_PREFIX): string =>
    counterKey(counters, addressIdentity(clientAddress, ipv6Prefix));
  if (subject.by === "ip") return (input) => byAddress(input, subject.ipv6Prefix);
  if (subject.by === "header") {
    const name = lowerName(subject.name);
    return (input) => {
      const found = fieldIdentity(input.fields.first(name));
      return found === undefined ? byAddress(input) : counterKey(counters, found);
    };
  }
  // The key as a whole is kept, since a string that is made anew has to be hashed anew.
  const known = new WeakMap<Principal, string>();
  return (input) => {
    const { principal } = input;
    if (principal === undefined) return byAddress(input);
    const remembered = known.get(principal);
    if (remembered !== undefined) return remembered;
    const found = principalIdentity(principal, subject);
    if (found === undefined) return byAddress(input);
    const key = counterKey(counters, found);
    known.set(principal, key);
    return key;
  };
}

/** The identity that all requests of a route share. */
export const ROUTE_IDENTITY = "route";

/**
 * The part of a counter's key before the identity. The window belongs to it: a log can only serve one, and limits that
 * share a name may differ in it. So does all that the form of a bucket depends on.
 */
export function counterName(prefix: string, { name, algorithm, limit, windowMs }: LimitPolicy): string {
  const form = algorithm === "tokenBucket" ? `${windowMs}/${limit}` : windowMs;
  // Braces mark the part of a key by which a cluster places it (Redis cluster specification, hash tags).
  return `${prefix}:${name.replace(/[%{}]/g, encodeURIComponent)}:${form}:`;
}

/** The key of one caller's counter. All counters of one caller lie in one slot of a cluster. */
export function counterKey(counters: string, who: string): string {
  return `${counters}{${who === ROUTE_IDENTITY ? `${ROUTE_IDENTITY} ${counters}` : who}}`;
}
