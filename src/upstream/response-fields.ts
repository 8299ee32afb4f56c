// Builds the header section that the client gets from the upstream's answer.

import { endsHere, nominated } from "./field-rules.ts";
import { type FieldEdits, replaceField } from "./request-fields.ts";

export interface ResponseFieldsPolicy {
  readonly edits: FieldEdits;
  /** Lower-case names that the gateway speaks for on this answer; the upstream's are dropped. */
  readonly replaced: ReadonlySet<string>;
  /** `Cache-Control: private` where the upstream says nothing: an API key is invisible to shared caches (RFC 9111 3.5). */
  readonly keepPrivate: boolean;
  /** Flat list of the gateway's own fields for this answer. */
  readonly own: readonly string[];
}

/** The flat header list for the client. Names are lower case, repeated lines stay apart and in order. */
export function responseFields(
  upstream: Readonly<Record<string, string | string[] | undefined>>,
  status: number,
  policy: ResponseFieldsPolicy,
): string[] {
  const dropped = nominated(upstream.connection);
  const out: string[] = [];
  let cacheControl = false;
  for (const name in upstream) {
    if (endsHere(name) || policy.replaced.has(name) || dropped?.has(name)) continue;
    if (policy.edits.remove.length > 0 && policy.edits.remove.includes(name)) continue;
    if (name === "content-length" && status === 204) continue;
    if (name === "cache-control") cacheControl = true;
    const value = upstream[name];
    if (typeof value === "string") out.push(name, value);
    else if (value !== undefined) for (const line of value) out.push(name, line);
  }
  for (const text of policy.own) out.push(text);
  if (policy.keepPrivate && !cacheControl) out.push("cache-control", "private");
  for (const [name, value] of policy.edits.set) replaceField(out, name, value);
  return out;
}
