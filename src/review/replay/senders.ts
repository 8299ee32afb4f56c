// Who sent a logged request, as far as its line tells: from the members of a line to what stands for the credential.

import { rejected } from "../../authn/authenticator.ts";
import { grantsOf } from "../../authz/roles.ts";
import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { DENIALS, type DenialCode, deny } from "../../core/denial.ts";
import { Fields } from "../../core/fields.ts";
import type { Principal } from "../../core/principal.ts";
import { ScopeSet } from "../../core/scope.ts";
import type { OfflineGateway } from "../../pipeline/offline.ts";
import type { Stand } from "../../pipeline/simulate.ts";
import type { LoggedDecision } from "./log-lines.ts";

export type Sender =
  /** Sent no credential. */
  | { readonly kind: "nobody" }
  /** The API key of this id. */
  | { readonly kind: "key"; readonly id: string }
  /** A verified token, perhaps with the key beside it. Where the line leaves open what it gave, `least` and `most` differ. */
  | {
      readonly kind: "token";
      readonly least: Principal;
      readonly most: Principal;
      readonly keyId: string | undefined;
    }
  /** A credential that was no good. */
  | { readonly kind: "bad"; readonly code: DenialCode; readonly reason: string }
  /** The line doesn't tell. */
  | { readonly kind: "unknown" };

/** Reason of the refusal that stands for a sender who isn't known. */
export const SENDER_UNKNOWN = "sender_not_in_log";

const BAD: ReadonlySet<string> = new Set([
  "token_invalid",
  "token_expired",
  "api_key_invalid",
  "credentials_malformed",
  "credentials_ambiguous",
  "too_many_failures",
]);

const NOBODY: Sender = { kind: "nobody" };
const UNKNOWN: Sender = { kind: "unknown" };
// Callers that are remembered, so that one who comes again is the same object for the caches below.
const MOST_REMEMBERED = 20_000;

/** Tells senders by one pair of files. */
export class Senders {
  readonly #config: GatewayConfig;
  readonly #old: GatewayConfig | undefined;
  #tokens = new Map<string, Sender>();

  constructor(config: GatewayConfig, old: GatewayConfig | undefined) {
    this.#config = config;
    this.#old = old;
  }

  /** @param route the one of the new file that takes the request, where it is known */
  of(line: LoggedDecision, route: RoutePolicy | undefined): Sender {
    const { code, observed, authMethod, keyId } = line;
    const fault = code !== undefined && isCredentialCode(code) ? code : observed.find(isCredentialCode);
    if (fault === "credentials_missing") return NOBODY;
    if (fault !== undefined && fault in DENIALS) {
      return {
        kind: "bad",
        code: fault as DenialCode,
        reason: (fault === code ? line.reason : undefined) ?? fault,
      };
    }
    if (authMethod === "apiKey" && keyId !== undefined) return { kind: "key", id: keyId };
    if (authMethod === "jwt" && line.subject !== undefined) return this.#token(line);
    if (authMethod === "anonymous") return this.#anonymous(line, route);
    return UNKNOWN;
  }

  /** Nobody's credential was looked at on a public route; on an optional one there was none. */
  #anonymous({ route: name }: LoggedDecision, route: RoutePolicy | undefined): Sender {
    const before = this.#old?.routes.find((one) => one.name === name);
    const access = before === undefined ? (route?.name === name ? route?.access : undefined) : before.access;
    return access === "optional" ? NOBODY : UNKNOWN;
  }

  #token(line: LoggedDecision): Sender {
    const { issuer, subject, scopes, roles, tier, org, keyId } = line;
    const key = JSON.stringify([issuer, subject, scopes, roles, tier, org, keyId]);
    const known = this.#tokens.get(key);
    if (known !== undefined) return known;
    if (this.#tokens.size >= MOST_REMEMBERED) this.#tokens = new Map();
    const made = this.#makeToken(line);
    this.#tokens.set(key, made);
    return made;
  }

  /** The line's scopes hold what roles granted then: with the old file that is taken out, as far as it can be told. */
  #makeToken({ issuer, subject = "", scopes, roles, tier, org, keyId }: LoggedDecision): Sender {
    const now = grantsOf(this.#config.roles, roles);
    const before = this.#old === undefined ? undefined : grantsOf(this.#old.roles, roles);
    const base = {
      method: "jwt",
      subject,
      roles,
      claims: {},
      ...(issuer === undefined ? {} : { issuer }),
      ...(org === undefined ? {} : { org }),
      ...(keyId === undefined ? {} : { keyId, clientId: keyId }),
    } as const;
    const make = (held: readonly string[], of: string | undefined): Principal => ({
      ...base,
      scopes: new ScopeSet([...held, ...now.scopes]),
      ...(of === undefined ? {} : { tier: of }),
    });
    const most = make(scopes, tier ?? now.tier);
    const lost = before?.scopes.filter((scope) => !now.scopes.includes(scope)) ?? [];
    const mayBeGranted = tier !== undefined && before?.tier === tier && now.tier !== tier;
    if (lost.length === 0 && !mayBeGranted) return { kind: "token", least: most, most, keyId };
    const least = make(
      scopes.filter((scope) => !lost.includes(scope)),
      mayBeGranted ? now.tier : most.tier,
    );
    return { kind: "token", least, most, keyId };
  }
}

function isCredentialCode(code: string): boolean {
  return code === "credentials_missing" || BAD.has(code);
}

const NO_FIELDS = new Fields([]);

/** What stands for the sender's credential. */
export function standFor(sender: Sender, gateway: OfflineGateway, which: "least" | "most"): Stand {
  const nobody: Stand = (route, address) => route.chain.authenticate(NO_FIELDS, "", address);
  switch (sender.kind) {
    case "nobody":
      return nobody;
    case "unknown":
      return () => rejected(deny("credentials_missing", SENDER_UNKNOWN));
    case "key":
      return (
        gateway.key(sender.id) ??
        ((route, address) =>
          route.credentialKinds.has("apiKey")
            ? rejected(deny("api_key_invalid", "key_unknown"))
            : nobody(route, address))
      );
    case "bad": {
      const { code, reason } = sender;
      const kind = code.startsWith("token_") ? "jwt" : code === "api_key_invalid" ? "apiKey" : undefined;
      return (route, address) =>
        kind !== undefined && !route.credentialKinds.has(kind)
          ? nobody(route, address)
          : rejected(deny(code, reason));
    }
    case "token":
      return tokenStand(sender, gateway, which, nobody);
  }
}

function tokenStand(
  sender: Extract<Sender, { readonly kind: "token" }>,
  gateway: OfflineGateway,
  which: "least" | "most",
  nobody: Stand,
): Stand {
  const principal = sender[which];
  const { issuers, routes } = gateway.config;
  const names = issuers.filter(({ issuer }) => issuer === principal.issuer).map(({ name }) => name);
  return (route, address) => {
    if (!route.credentialKinds.has("jwt")) {
      const key = sender.keyId === undefined ? undefined : gateway.key(sender.keyId);
      return (key ?? nobody)(route, address);
    }
    if (!names.some((name) => gateway.accepts(route, name)))
      return rejected(deny("token_invalid", "jwt_issuer"));
    const auth = routes.find(({ name }) => name === route.name)?.auth ?? [];
    const alone = auth.some((kinds) => kinds.length === 1 && kinds[0] !== "apiKey");
    if (alone || sender.keyId !== undefined) return { kind: "authenticated", principal };
    return rejected(deny("credentials_missing", "key_missing"));
  };
}
