// `gatewarden key create`: makes an API key, prints it once, and the line that lets the gateway know it.

import { hash } from "node:crypto";
import { EXPIRY_HINT, parseExpiry } from "../authn/api-key/expiry.ts";
import { formatKey } from "../authn/api-key/format.ts";
import { isScopeToken } from "../core/scope.ts";
import { NAME, NAME_HINT } from "../core/wording.ts";

export interface KeyCreateOptions {
  readonly id: string;
  readonly scopes: string;
  /** `2027-01-31` or a full RFC 3339 time. */
  readonly expires?: string;
  readonly test?: boolean;
  readonly format: string;
}

export function keyCreate(options: KeyCreateOptions): number {
  const fault = faultOf(options);
  if (fault !== undefined) {
    process.stderr.write(`gatewarden: ${fault}\n`);
    return 2;
  }
  const scopes = options.scopes.split(",").map((scope) => scope.trim());
  const key = formatKey(options.test === true ? "test" : "live");
  const entry = {
    id: options.id,
    hash: `sha256:${hash("sha256", key, "hex")}`,
    scopes,
    ...(options.expires === undefined ? {} : { expires: options.expires }),
  };
  if (options.format === "json") {
    process.stdout.write(`${JSON.stringify({ key, entry })}\n`);
    return 0;
  }
  const expires = options.expires === undefined ? "" : `, expires: ${JSON.stringify(options.expires)}`;
  process.stdout.write(`Key (shown this once):
  ${key}

Line for gateway.yaml, under apiKeys:
  - { id: ${quoted(entry.id)}, hash: ${JSON.stringify(entry.hash)}, scopes: [${scopes.map(quoted).join(", ")}]${expires} }
`);
  return 0;
}

/** Text that YAML reads as this very text, within braces or brackets. */
function quoted(text: string): string {
  const plain = /^[A-Za-z][A-Za-z0-9:._/-]*$/.test(text) && !text.endsWith(":");
  return plain && !/^(?:true|false|null)$/i.test(text) ? text : JSON.stringify(text);
}

function faultOf(options: KeyCreateOptions): string | undefined {
  if (!NAME.test(options.id)) return `--id: ${NAME_HINT}`;
  for (const scope of options.scopes.split(",")) {
    if (!isScopeToken(scope.trim()))
      return `--scopes: ${JSON.stringify(scope.trim())} is not a scope (RFC 6749 section 3.3)`;
  }
  if (options.expires !== undefined && parseExpiry(options.expires) === undefined)
    return `--expires: ${EXPIRY_HINT}`;
  return undefined;
}
