// Builds the header section that the client gets from the upstream's answer.

import { endsHere, nominated } from "./field-rules.ts";
import type { ResponseHead } from "./http1/response-head.ts";
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
export function responseFields(head: ResponseHead, policy: ResponseFieldsPolicy): string[] {
  const { fields, status } = head;
  const dropped = nominated(head.connection);
  const out: string[] = [];
  let cacheControl = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (endsHere(name) || policy.replaced.has(name) || dropped?.has(name)) continue;
    if (policy.edits.remove.length > 0 && policy.edits.remove.includes(name)) continue;
    if (name === "content-length" && status === 204) continue;
    if (name === "cache-control") cacheControl = true;
    out.push(name, fields[index + 1] as string);
  }
  for (const text of policy.own) out.push(text);
  if (policy.keepPrivate && !cacheControl) out.push("cache-control", "private");
  for (const [name, value] of policy.edits.set) replaceField(out, name, value);
  return out;
}
