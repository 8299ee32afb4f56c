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

const addresses = new RecentHashes();
const fieldValues = new RecentHashes();

/** The kind and hash of an identity. Each part is led by its length, so that no two identities read alike. */
function identity(kind: string, ...parts: readonly string[]): string {
  const text = parts.map((part) => `${part.length}:${part}`).join("");
  return `${kind}:${hash("sha256", text, "base64url").slice(0, HASH_CHARACTERS)}`;
}

function addressIdentity(address: string): string {
  return addresses.get(address, (text) => identity("ip", limitUnit(text)));
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

/** Makes the function that gives the counter's key of a request under one limit. */
export function keyMaker(prefix: string, policy: LimitPolicy): (input: LimitInput) => string {
  const { subject } = policy;
  // The window is part of the key: a log can only serve one, and limits that share a name may differ in it.
  const start = `${prefix}:${policy.name}:${policy.windowMs}:`;
  if (subject.by === "route") return () => `${start}route`;
  if (subject.by === "ip") return (input) => start + addressIdentity(input.clientAddress);
  if (subject.by === "header") {
    const name = lowerName(subject.name);
    return (input) =>
      start + (fieldIdentity(input.fields.first(name)) ?? addressIdentity(input.clientAddress));
  }
  const known = new WeakMap<Principal, string>();
  return ({ principal, clientAddress }) => {
    if (principal === undefined) return start + addressIdentity(clientAddress);
    const key = known.get(principal);
    if (key !== undefined) return key;
    const found = principalIdentity(principal, subject);
    if (found === undefined) return start + addressIdentity(clientAddress);
    known.set(principal, start + found);
    return start + found;
  };
}
