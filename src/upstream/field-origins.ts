// Where each line of a forwarded header section comes from, and why lines of the client's are not in it: for people who
// ask. The section itself is made by `requestFields` alone.

import { isSensitiveName, MASK, maskSecrets } from "../core/masking.ts";
import type { Principal } from "../core/principal.ts";
import type { GatewayRequest } from "../core/request.ts";
import { type DropReason, nominated } from "./field-rules.ts";
import { type RequestFieldsPolicy, requestFields } from "./request-fields.ts";

/** `client`: passed on; `gateway`: made here; `identity`: a fact about the caller; `route`: set by the file. */
export type FieldOrigin = "client" | "gateway" | "identity" | "route";

/** One line that the upstream gets. */
export interface ForwardedField {
  readonly name: string;
  /** `…` where the value may be a secret. */
  readonly value: string;
  readonly from: FieldOrigin;
}

/** One line of the client's that the upstream doesn't get. */
export interface DroppedField {
  readonly name: string;
  /** `credential`: not forwarded unless the route says so; `nominated`: named in Connection; `route`: the file removes or replaces it; `framing`: written anew. */
  readonly why: DropReason | "credential" | "nominated" | "route" | "framing";
}

const GATEWAY = new Set(["host", "x-request-id", "via"]);

/** The header section for the upstream, line by line. */
export function forwardedFields(
  policy: RequestFieldsPolicy,
  request: GatewayRequest,
  principal: Principal,
  port: string,
): readonly ForwardedField[] {
  const flat = requestFields(policy, request, principal, port);
  const edited = new Set(policy.edits.set.map(([name]) => name.toLowerCase()));
  const identity = new Set(evenEntries(policy.identity.of(principal)).map((name) => name.toLowerCase()));
  return evenEntries(flat).map((name, index): ForwardedField => {
    const lower = name.toLowerCase();
    const value = flat[index * 2 + 1] ?? "";
    if (edited.has(lower)) {
      const hidden = policy.edits.hidden?.has(lower) === true || isSensitiveName(lower);
      return { name, value: hidden ? MASK : maskSecrets(value), from: "route" };
    }
    if (identity.has(lower)) return { name, value, from: "identity" };
    if (GATEWAY.has(lower) || lower.startsWith("x-forwarded-")) return { name, value, from: "gateway" };
    const secret = isSensitiveName(lower) || policy.rules.verdict(lower) === "credential";
    return { name, value: secret ? MASK : maskSecrets(value), from: "client" };
  });
}

/** The lines of the client's that are not passed on. */
export function droppedFields(
  policy: RequestFieldsPolicy,
  { fields }: GatewayRequest,
): readonly DroppedField[] {
  const { rules, edits, forwardCredentials } = policy;
  const named = nominated(fields.all("connection"));
  const replaced = new Set(edits.set.map(([name]) => name.toLowerCase()));
  const why = (lower: string): DroppedField["why"] | undefined => {
    const verdict = rules.verdict(lower);
    if (verdict === "drop") return rules.dropReason(lower);
    if (verdict === "length") return "framing";
    if (verdict === "credential" && !forwardCredentials) return "credential";
    if (named?.has(lower) === true) return "nominated";
    return edits.remove.includes(lower) || replaced.has(lower) ? "route" : undefined;
  };
  return fields.names.flatMap((lower, index): DroppedField[] => {
    const reason = why(lower);
    // The gateway's own Host is what the client's becomes.
    return reason === undefined || lower === "host"
      ? []
      : [{ name: fields.raw[index * 2] ?? lower, why: reason }];
  });
}

function evenEntries(flat: readonly string[]): readonly string[] {
  return flat.filter((_, index) => index % 2 === 0);
}
