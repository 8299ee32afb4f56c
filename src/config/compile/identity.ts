// Compiles `identity`: which headers tell the upstream who is calling.

import { isFieldName } from "../../core/fields.ts";
import { endsHere, RequestFieldRules } from "../../upstream/field-rules.ts";
import type { IdentityFact } from "../../upstream/identity.ts";
import { identityShape } from "../options.ts";
import { readFields } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { parseClaimPath } from "./claim-path.ts";
import { keyAtOf, partOf } from "./entries.ts";

type Mapping = readonly (readonly [header: string, fact: IdentityFact])[];

const FACTS = ["subject", "scopes", "roles", "email", "org", "method", "client", "tier"] as const;

const OWN: Mapping = [
  ["X-User-Id", "subject"],
  ["X-User-Scopes", "scopes"],
  ["X-User-Roles", "roles"],
  ["X-User-Email", "email"],
  ["X-Org-Id", "org"],
  ["X-Auth-Method", "method"],
  ["X-Client-Id", "client"],
  ["X-User-Tier", "tier"],
];

const PRESETS: Readonly<Record<"kong" | "oauth2-proxy", Mapping>> = {
  kong: [
    ["X-Consumer-Custom-Id", "subject"],
    ["X-Consumer-Username", "subject"],
    ["X-Consumer-Groups", "roles"],
    ["X-Credential-Identifier", "client"],
    ["X-Authenticated-Userid", "subject"],
    ["X-Authenticated-Scope", "scopes"],
  ],
  "oauth2-proxy": [
    ["X-Forwarded-User", "subject"],
    ["X-Forwarded-Email", "email"],
    ["X-Forwarded-Groups", "roles"],
  ],
};

export interface IdentityHeaders {
  readonly mapping: Mapping;
  /** Lower case: everything that a client must never set, whether or not it is sent here. */
  readonly names: readonly string[];
}

/** `identity`: the preset (or the gateway's own set), with `headers` added to it or put in its place name by name. */
export function compileIdentity(report: Report, place: Place | undefined): IdentityHeaders {
  const fields = place === undefined ? undefined : readFields(report, place, identityShape);
  const preset = fields?.preset.value;
  const mapping = new Map<string, readonly [string, IdentityFact]>();
  for (const entry of preset === undefined ? OWN : PRESETS[preset])
    mapping.set(entry[0].toLowerCase(), entry);
  const names = new Set([...OWN.map(([header]) => header.toLowerCase()), ...mapping.keys()]);
  const seen = new Set<string>();
  for (const [header, text] of Object.entries(fields?.headers.value ?? {})) {
    if (fields === undefined) break;
    const lower = header.toLowerCase();
    const path = [...fields.headers.path, header];
    const fault = headerFault(lower);
    const at = keyAtOf(fields.headers, header);
    if (fault !== undefined) report.add(at, path, "value_invalid", fault);
    if (seen.has(lower)) report.add(at, path, "duplicate_value", "this header is listed twice");
    seen.add(lower);
    names.add(lower);
    const fact = text === false ? undefined : factOf(text);
    if (text === false) mapping.delete(lower);
    else if (fact !== undefined) mapping.set(lower, [header, fact]);
    else {
      const { node } = partOf(fields.headers, header);
      report.addUnknown(
        node.at,
        path,
        "value_invalid",
        `expected ${FACTS.join(", ")} or claims.NAME`,
        text,
        FACTS,
      );
    }
  }
  return { mapping: [...mapping.values()], names: [...names] };
}

const RULES = new RequestFieldRules([], ["authorization", "cookie"]);
const OWNED_ELSEWHERE = new Set(["content-length", "content-type", "content-encoding", "origin", "range"]);

/** Why a header can't carry a fact; X-Forwarded-User and its like are fine, since nothing else sets them. */
function headerFault(lower: string): string | undefined {
  if (!isFieldName(lower)) return "expected a header field name";
  const taken = endsHere(lower) || OWNED_ELSEWHERE.has(lower) || RULES.verdict(lower) !== "keep";
  const harmless =
    /^x-(?:forwarded-(?:user|email|groups|preferred-username|access-token)|auth-request-)/.test(lower) ||
    /^remote-/.test(lower);
  return taken && !harmless
    ? "this header has a meaning of its own and can't carry a fact of the caller"
    : undefined;
}

function factOf(text: string): IdentityFact | undefined {
  const plain = FACTS.find((one) => one === text);
  if (plain !== undefined) return plain;
  if (text.startsWith("/")) {
    const claim = parseClaimPath(text);
    return claim === undefined ? undefined : { claim };
  }
  const claim = text.startsWith("claims.") ? parseClaimPath(text.slice("claims.".length)) : undefined;
  return claim === undefined ? undefined : { claim };
}
