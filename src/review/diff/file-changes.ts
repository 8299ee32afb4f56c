// What changes for all requests at once, or for the gateway itself.

import { isDeepStrictEqual } from "node:util";
import type { ApiKeyRecord } from "../../authn/api-key/policy.ts";
import type { IssuerPolicy } from "../../authn/jwt/policy.ts";
import type { RoleTable } from "../../authz/policy.ts";
import type { GatewayConfig, RedisPolicy, ServerLimits } from "../../config/gateway-config.ts";
import { rangeText } from "../../core/address.ts";
import { durationText } from "../../rate-limit/rate-text.ts";
import { limitsText } from "../words.ts";
import { isLooser } from "./limit-change.ts";
import { possibly, type Reason, surely } from "./reasons.ts";
import { type Change, change } from "./route-changes.ts";

type Section = keyof GatewayConfig;
type Compare<K extends Section> = (old: GatewayConfig[K], next: GatewayConfig[K]) => readonly Change[];

const elsewhere = (): readonly Change[] => [];

// Every section has an entry, so that a new one can't be forgotten.
const SECTIONS: { readonly [K in Section]: Compare<K> } = {
  file: elsewhere,
  // They decide nothing.
  tests: elsewhere,
  // Compared by the requests that they let in, and by what becomes of them.
  routes: elsewhere,
  upstreams: elsewhere,
  globalLimits: elsewhere,
  listen: (old, next) => {
    const text = (addresses: GatewayConfig["listen"]): string =>
      addresses.map(({ host, port }) => `${host}:${port}`).join(", ");
    return change("listen", text(old), text(next));
  },
  admin: (old, next) => {
    const text = (admin: GatewayConfig["admin"]): string =>
      admin === undefined
        ? "off"
        : `${admin.listen.host}:${admin.listen.port}${admin.token === undefined ? "" : " with a token"}`;
    return changeOf("admin", old, next, [text(old), text(next)], old === undefined && next !== undefined);
  },
  health: (old, next) => {
    const text = (health: GatewayConfig["health"]): string =>
      health === undefined ? "off" : `${health.live}, ${health.ready}`;
    return change("health", text(old), text(next));
  },
  trustedProxies: (old, next) => {
    const text = (ranges: GatewayConfig["trustedProxies"]): string =>
      ranges.map(rangeText).toSorted().join(", ") || "none";
    return change("trustedProxies", text(old), text(next));
  },
  limits: (old, next) =>
    (Object.keys(old) as (keyof ServerLimits)[]).flatMap((name) =>
      change(
        `limits.${name}`,
        boundText(name, old[name]),
        boundText(name, next[name]),
        next[name] > old[name],
      ),
    ),
  paths: (old, next) =>
    (Object.keys(old) as (keyof GatewayConfig["paths"])[]).flatMap((name) =>
      change(`paths.${name}`, String(old[name]), String(next[name])),
    ),
  drain: (old, next) => {
    const text = ({ delayMs, timeoutMs }: GatewayConfig["drain"]): string =>
      `delay ${durationText(delayMs)}, timeout ${durationText(timeoutMs)}`;
    return change("drain", text(old), text(next));
  },
  redis: (old, next) => changeOf("redis", old, next, [redisText(old), redisText(next)]),
  issuers: (old, next) => namedChanges("issuers", byName(old), byName(next), issuerText),
  apiKeys: (old, next) => namedChanges("apiKeys", byId(old), byId(next), keyText),
  keyLimits: (old, next) =>
    [...new Set([...old.keys(), ...next.keys()])].flatMap((id) => {
      const [before, after] = [old.get(id) ?? [], next.get(id) ?? []];
      return change(
        `limits of the key ${id}`,
        limitsText(before),
        limitsText(after),
        isLooser(before, after),
      );
    }),
  apiKeyHeaders: (old, next) =>
    change("apiKeyHeaders", old.toSorted().join(", "), next.toSorted().join(", ")),
  failedCredentials: (old, next) => {
    const text = (policy: GatewayConfig["failedCredentials"]): string =>
      policy === undefined
        ? "off"
        : `${policy.limit} in ${durationText(policy.windowMs)}, blocks of ${durationText(policy.backoffMs)} to ${durationText(policy.longestMs)}`;
    const looser =
      old !== undefined &&
      (next === undefined ||
        next.limit > old.limit ||
        next.windowMs < old.windowMs ||
        next.backoffMs < old.backoffMs ||
        next.longestMs < old.longestMs);
    return change("failedCredentials", text(old), text(next), looser);
  },
  roles: (old, next) => namedChanges("roles", old, next, roleText),
  identity: (old, next) => {
    const text = (mapping: GatewayConfig["identity"]): string =>
      mapping
        .map(
          ([header, fact]) =>
            `${header}: ${typeof fact === "string" ? fact : `claim ${fact.claim.join(".")}`}`,
        )
        .toSorted()
        .join(", ") || "none";
    return change("identity", text(old), text(next));
  },
  identityNames: (old, next) =>
    change("headers that clients can't set", old.toSorted().join(", "), next.toSorted().join(", ")),
  logs: (old, next) => {
    const text = ({ level, access, decisions, fields }: GatewayConfig["logs"]): string =>
      `level ${level}, access ${access}, decisions ${decisions}, fields ${Object.keys(fields).toSorted().join(", ") || "none"}`;
    return changeOf("logs", old, next, [text(old), text(next)]);
  },
  legacyRateLimitHeaders: (old, next) => change("legacyRateLimitHeaders", String(old), String(next)),
};

/** What changes beside the single routes. */
export function fileChanges(old: GatewayConfig, next: GatewayConfig): readonly Change[] {
  const compare = <K extends Section>(name: K): readonly Change[] => SECTIONS[name](old[name], next[name]);
  return (Object.keys(SECTIONS) as Section[]).flatMap(compare);
}

/** Forms of paths that were refused and are taken now: with them other requests reach the routes. */
export function pathGains(old: GatewayConfig["paths"], next: GatewayConfig["paths"]): readonly Reason[] {
  const gains: Reason[] = [];
  const admits = (text: string) => surely(`paths with ${text} are no longer refused`);
  if (old.encodedSlash === "refuse" && next.encodedSlash !== "refuse") gains.push(admits("an encoded slash"));
  if (old.semicolon === "refuse" && next.semicolon !== "refuse") gains.push(admits("a semicolon"));
  if (old.duplicateSlash === "refuse" && next.duplicateSlash !== "refuse")
    gains.push(admits("two slashes in a row"));
  else if (next.duplicateSlash !== "refuse" && old.duplicateSlash !== next.duplicateSlash)
    gains.push(possibly("paths with two slashes in a row are read in another way"));
  return gains;
}

/** A change that the words may not show, since they leave out what may be secret. */
function changeOf(
  what: string,
  old: unknown,
  next: unknown,
  [before, after]: readonly [string, string],
  looser = false,
): readonly Change[] {
  if (isDeepStrictEqual(old, next)) return [];
  return [{ what, old: before, new: before === after ? `${after}, with other values` : after, looser }];
}

function namedChanges<T>(
  section: string,
  old: ReadonlyMap<string, T>,
  next: ReadonlyMap<string, T>,
  text: (one: T) => string,
): readonly Change[] {
  return [...new Set([...old.keys(), ...next.keys()])].flatMap((name) => {
    const [before, after] = [old.get(name), next.get(name)];
    const words = [before, after].map((one) => (one === undefined ? "absent" : text(one))) as [
      string,
      string,
    ];
    return changeOf(`${section} ${name}`, before, after, words);
  });
}

function byName(issuers: readonly IssuerPolicy[]): ReadonlyMap<string, IssuerPolicy> {
  return new Map(issuers.map((issuer) => [issuer.name, issuer]));
}

function byId(keys: readonly ApiKeyRecord[]): ReadonlyMap<string, ApiKeyRecord> {
  return new Map(keys.map((key) => [key.id, key]));
}

function issuerText({ issuer, audience, algorithms, source, leewaySeconds, clientId }: IssuerPolicy): string {
  const parts = [
    issuer,
    `audience ${audience?.join(", ") ?? "any"}`,
    `algorithms ${algorithms.join(", ")}`,
    `keys from ${source.kind}`,
    `leeway ${leewaySeconds}s`,
    clientId === undefined ? "" : `client ${clientId}`,
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function keyText({ scopes, roles, tier, org, expiresAtMs, enabled, allowIps }: ApiKeyRecord): string {
  const parts = [
    enabled ? "" : "disabled",
    `scopes ${scopes.toSorted().join(", ") || "none"}`,
    roles.length === 0 ? "" : `roles ${roles.toSorted().join(", ")}`,
    tier === undefined ? "" : `tier ${tier}`,
    org === undefined ? "" : `org ${org}`,
    expiresAtMs === undefined ? "" : `until ${new Date(expiresAtMs).toISOString()}`,
    allowIps.length === 0 ? "" : `only from ${allowIps.map(rangeText).toSorted().join(", ")}`,
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function roleText({ scopes, tier }: NonNullable<ReturnType<RoleTable["get"]>>): string {
  return `scopes ${scopes.toSorted().join(", ") || "none"}${tier === undefined ? "" : `; tier ${tier}`}`;
}

function redisText(redis: RedisPolicy | undefined): string {
  if (redis === undefined) return "none";
  const kind = "url" in redis ? "one server" : "cluster" in redis ? "a cluster" : "sentinels";
  return `${kind}, prefix ${redis.prefix}, timeout ${durationText(redis.timeoutMs)}`;
}

function boundText(name: keyof ServerLimits, value: number): string {
  if (name.endsWith("Ms")) return durationText(value);
  return name.endsWith("Bytes") ? `${value} bytes` : String(value);
}
