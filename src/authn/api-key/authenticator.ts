// API keys: form, checksum, look-up by hash, state. One answer for unknown, expired, disabled and misplaced keys.

import { hash } from "node:crypto";
import { inRanges } from "../../core/address.ts";
import type { Clock } from "../../core/clock.ts";
import { deny } from "../../core/denial.ts";
import type { Principal } from "../../core/principal.ts";
import { ScopeSet } from "../../core/scope.ts";
import { type Authenticator, type AuthnOutcome, rejected } from "../authenticator.ts";
import { keyForm } from "./format.ts";
import type { ApiKeyRecord } from "./policy.ts";

export interface ApiKeyPorts {
  readonly clock: Clock;
  /** Scopes and tier that roles grant. */
  readonly grants: (roles: readonly string[]) => {
    readonly scopes: readonly string[];
    readonly tier: string | undefined;
  };
}

interface KnownKey {
  readonly record: ApiKeyRecord;
  readonly outcome: AuthnOutcome;
}

// Keys of another form may have any length; nothing longer than this is hashed.
const LONGEST_KEY = 512;
const UNPRINTABLE = /[^\x21-\x7e]/;

/** Authenticates by the SHA-256 of the whole key: the look-up costs the same for every key and tells nothing by its time. */
export class ApiKeyAuthenticator implements Authenticator {
  readonly name = "apiKey";
  readonly kind = "apiKey";
  readonly #clock: Clock;
  readonly #known = new Map<string, KnownKey>();

  constructor(records: readonly ApiKeyRecord[], ports: ApiKeyPorts) {
    this.#clock = ports.clock;
    for (const record of records) {
      this.#known.set(record.hash, {
        record,
        outcome: { kind: "authenticated", principal: principalOf(record, ports) },
      });
    }
  }

  authenticate(credential: string, clientAddress: string): AuthnOutcome {
    if (credential === "" || credential.length > LONGEST_KEY || UNPRINTABLE.test(credential))
      return refuse("key_form");
    if (keyForm(credential) === "broken") return refuse("key_checksum");
    return this.#judge(this.#known.get(hash("sha256", credential, "hex")), clientAddress);
  }

  /** The outcome for whoever has the key called `id`, without the key itself: for questions, never for requests. */
  authenticateId(id: string, clientAddress: string): AuthnOutcome {
    const known = [...this.#known.values()].find(({ record }) => record.id === id);
    return this.#judge(known, clientAddress);
  }

  #judge(known: KnownKey | undefined, clientAddress: string): AuthnOutcome {
    if (known === undefined) return refuse("key_unknown");
    const { record } = known;
    if (!record.enabled) return refuse("key_disabled");
    if (record.expiresAtMs !== undefined && record.expiresAtMs <= this.#clock.wallMs())
      return refuse("key_expired");
    if (record.allowIps.length > 0 && !inRanges(clientAddress, record.allowIps)) return refuse("key_address");
    return known.outcome;
  }
}

function refuse(reason: string): AuthnOutcome {
  return rejected(deny("api_key_invalid", reason));
}

/** Who the holder of a key is. */
export function principalOf(record: ApiKeyRecord, ports: Pick<ApiKeyPorts, "grants">): Principal {
  const grants = ports.grants(record.roles);
  const tier = record.tier ?? grants.tier;
  return {
    method: "apiKey",
    subject: record.subject,
    clientId: record.id,
    keyId: record.id,
    scopes: new ScopeSet([...record.scopes, ...grants.scopes]),
    roles: record.roles,
    claims: record.metadata,
    ...(record.org === undefined ? {} : { org: record.org }),
    ...(tier === undefined ? {} : { tier }),
    ...(record.expiresAtMs === undefined ? {} : { expiresAtMs: record.expiresAtMs }),
  };
}
