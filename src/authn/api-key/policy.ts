// An API key as the gateway knows it: never the key, only its SHA-256.

import type { AddressRange } from "../../core/address.ts";

export interface ApiKeyRecord {
  readonly id: string;
  /** Lower-case hexadecimal SHA-256 of the whole key. */
  readonly hash: string;
  readonly subject: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly tier: string | undefined;
  readonly org: string | undefined;
  /** Wall-clock milliseconds from which the key is refused. */
  readonly expiresAtMs: number | undefined;
  readonly enabled: boolean;
  /** Client addresses that may use the key; empty: any. */
  readonly allowIps: readonly AddressRange[];
  readonly metadata: Readonly<Record<string, unknown>>;
}
