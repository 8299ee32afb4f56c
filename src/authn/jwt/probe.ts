// Asks an issuer once for its keys, for those who check a configuration before it goes live.

import { err, ok, type Result } from "../../core/result.ts";
import { discoverJwksUri } from "./discovery.ts";
import { fetchJson } from "./fetch-json.ts";
import { importKeys, readKeySet } from "./key-table.ts";
import type { IssuerPolicy } from "./policy.ts";
import { isObject } from "./strict-json.ts";

const MOST_BYTES = 1024 * 1024;

/** What an issuer has to offer. */
export interface IssuerProbe {
  /** Number of keys that tokens can be verified with. */
  readonly keys: number;
}

/** Whether an issuer's keys have to be fetched at all. */
export function isRemote({ source }: IssuerPolicy): boolean {
  return source.kind === "jwksUri" || source.kind === "discovery";
}

/**
 * Finds and fetches the key set of a remote issuer as a running gateway would. The error is a reason such as
 * `discovery_unreachable`, `discovery_issuer_mismatch`, `jwks_status_404` or `jwks_empty`. Never rejects.
 */
export async function probeIssuer(
  policy: IssuerPolicy,
  timeoutMs: number,
): Promise<Result<IssuerProbe, string>> {
  const { source, issuer, algorithms } = policy;
  if (source.kind !== "jwksUri" && source.kind !== "discovery") return ok({ keys: 0 });
  // One deadline for all that has to be fetched.
  const signal = AbortSignal.timeout(timeoutMs);
  const bounds = { timeoutMs, bodyBytes: MOST_BYTES };
  const found =
    source.kind === "jwksUri" ? ok(source.url) : await discoverJwksUri(issuer, source.url, bounds, signal);
  if (!found.ok) return err(`discovery_${signal.aborted ? "timeout" : found.error}`);
  const fetched = await fetchJson(found.value, bounds, signal);
  if (!fetched.ok) return err(`jwks_${signal.aborted ? "timeout" : fetched.error}`);
  const { document } = fetched.value;
  if (!isObject(document) || !Array.isArray(document.keys)) return err("jwks_invalid");
  const { table } = await importKeys(readKeySet(document.keys, algorithms).keys, algorithms);
  return table.count === 0 ? err("jwks_empty") : ok({ keys: table.count });
}
