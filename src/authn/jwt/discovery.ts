// Finds an issuer's key set through its published metadata (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3).

import { err, ok, type Result } from "../../core/result.ts";
import { type FetchBounds, type FetchFault, fetchJson } from "./fetch-json.ts";
import { httpUrl } from "./key-source.ts";
import { isObject } from "./strict-json.ts";

/** Why discovery gave no key set. */
export type DiscoveryFault = FetchFault | "issuer_mismatch" | "jwks_uri_invalid";

/** Where the metadata of `issuer` may be, in the order of trying: appended as OpenID Connect has it, then inserted before the path. */
export function metadataUrls(issuer: string): string[] {
  const url = httpUrl(issuer);
  if (url === undefined) return [];
  const path = url.pathname.replace(/\/$/, "");
  const urls = [
    `${url.origin}${path}/.well-known/openid-configuration`,
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
    `${url.origin}/.well-known/openid-configuration${path}`,
  ];
  return [...new Set(urls)];
}

/** The `jwks_uri` of a metadata document, which has to name exactly `issuer` and must not step down from https to http. */
export function jwksUriOf(
  document: unknown,
  issuer: string,
): Result<string, "issuer_mismatch" | "jwks_uri_invalid"> {
  if (!isObject(document) || document.issuer !== issuer) return err("issuer_mismatch");
  const url = typeof document.jwks_uri === "string" ? httpUrl(document.jwks_uri) : undefined;
  const secure = url?.protocol === "https:" || !issuer.startsWith("https:");
  return url !== undefined && secure ? ok(url.href) : err("jwks_uri_invalid");
}

/** Asks each place in turn until one gives a valid document; a server that doesn't answer isn't asked for the next one. */
export async function discoverJwksUri(
  issuer: string,
  metadataUrl: string | undefined,
  bounds: FetchBounds,
  signal: AbortSignal,
): Promise<Result<string, DiscoveryFault>> {
  let fault: DiscoveryFault = "unreachable";
  for (const url of metadataUrl === undefined ? metadataUrls(issuer) : [metadataUrl]) {
    const fetched = await fetchJson(url, bounds, signal);
    const found = fetched.ok ? jwksUriOf(fetched.value.document, issuer) : fetched;
    if (found.ok) return found;
    // A 404 says nothing about the issuer; the first other fault is what its operator has to hear of.
    if (fault === "unreachable" || fault === "status_404") fault = found.error;
    if (found.error === "unreachable" || found.error === "timeout") break;
  }
  return err(fault);
}
