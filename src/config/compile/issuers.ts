// Compiles `issuers`: which algorithms fit, and who the tokens are for.

import { algorithmsFault, isSymmetric } from "../../authn/jwt/algorithms.ts";
import { issuerShape } from "../../authn/jwt/options.ts";
import type { ClaimNames, IssuerPolicy } from "../../authn/jwt/policy.ts";
import { readFields } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { CLAIM_HINT, parseClaimPath } from "./claim-path.ts";
import { checkRange, durationOf, type Named, namedEntries, partOf } from "./entries.ts";
import { checkKeys, checkUrls, type IssuerFields, keySource } from "./key-sources.ts";

const ASYMMETRIC = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const DEFAULT_CLAIMS: ClaimNames = {
  subject: ["sub"],
  scopes: undefined,
  roles: ["roles"],
  org: ["org_id"],
  email: ["email"],
  tier: ["tier"],
};

/** `issuers`. An entry with a mistake is left out; it was reported. */
export async function compileIssuers(
  report: Report,
  place: Place | undefined,
): Promise<readonly IssuerPolicy[]> {
  if (place === undefined) return [];
  const policies: IssuerPolicy[] = [];
  const seen = new Map<string, number>();
  for (const entry of namedEntries(report, place)) {
    const fields = readFields(report, entry, issuerShape);
    if (fields === undefined) continue;
    const first = fields.issuer.value === undefined ? undefined : seen.get(fields.issuer.value);
    if (first !== undefined) {
      report.add(
        fields.issuer.node.at,
        fields.issuer.path,
        "duplicate_value",
        "another entry has this issuer already",
        { relatedAt: first },
      );
    } else if (fields.issuer.value !== undefined) seen.set(fields.issuer.value, fields.issuer.node.at);
    const policy = await compileIssuer(report, entry, fields);
    if (policy !== undefined) policies.push(policy);
  }
  return policies;
}

async function compileIssuer(
  report: Report,
  entry: Named,
  fields: IssuerFields,
): Promise<IssuerPolicy | undefined> {
  checkUrls(report, fields);
  const algorithms = compileAlgorithms(report, fields);
  const source = await keySource(report, entry, fields);
  const leewayMs = durationOf(fields.leeway, 30_000);
  checkRange(report, fields.leeway, leewayMs, [0, 120_000], "expected at most 120s");
  if (source !== undefined && algorithms !== undefined)
    await checkKeys(report, entry, fields, source, algorithms);
  const audience = compileAudience(report, entry, fields);
  const claims = compileClaims(report, fields);
  const issuer = fields.issuer.value;
  if (issuer === undefined || source === undefined || algorithms === undefined) return undefined;
  return {
    name: entry.name,
    issuer,
    audience,
    algorithms,
    source,
    leewaySeconds: leewayMs / 1000,
    types: fields.typ.value === undefined ? undefined : listOf(fields.typ.value).map(plainType),
    clientId: fields.clientId.value,
    claims,
  };
}

function listOf(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

/** Media types in `typ` may leave out `application/` (RFC 7515 section 4.1.9). */
function plainType(type: string): string {
  return type.toLowerCase().replace(/^application\//, "");
}

function compileAudience(report: Report, entry: Named, fields: IssuerFields): readonly string[] | undefined {
  const { audience } = fields;
  if (!audience.present) {
    report.add(
      entry.keyAt,
      [...entry.path, "audience"],
      "audience_missing",
      "`audience` is required: without it tokens made for other services would pass",
      {
        hint: "name your API, or write `audience: none` if these tokens carry none",
      },
    );
    return undefined;
  }
  if (audience.value === undefined || audience.value === "none") return undefined;
  return [...new Set(listOf(audience.value))];
}

function compileAlgorithms(report: Report, fields: IssuerFields): readonly string[] | undefined {
  const { algorithms, secret } = fields;
  if (!algorithms.present) return secret.present ? ["HS256"] : ASYMMETRIC;
  if (algorithms.value === undefined) return undefined;
  for (const [index, name] of algorithms.value.entries()) {
    if (algorithmsFault([name]) === undefined) continue;
    const { node, path } = partOf(algorithms, index);
    const known = ["HS256", "HS384", "HS512", ...ASYMMETRIC];
    const message =
      name.toLowerCase() === "none"
        ? "tokens without a signature are never accepted"
        : `expected one of ${known.join(", ")}`;
    report.addUnknown(node.at, path, "value_invalid", message, name, known);
    return undefined;
  }
  const fault = algorithmsFault(algorithms.value);
  if (fault !== undefined) {
    report.add(algorithms.node.at, algorithms.path, "algorithm_conflict", fault);
    return undefined;
  }
  if (isSymmetric(algorithms.value) === secret.present) return algorithms.value;
  report.add(
    algorithms.node.at,
    algorithms.path,
    "algorithm_conflict",
    secret.present
      ? "`secret` goes with HS256, HS384 or HS512 only"
      : "HS256, HS384 and HS512 need a `secret`, and no public keys",
  );
  return undefined;
}

function compileClaims(report: Report, fields: IssuerFields): ClaimNames {
  const names: Record<string, readonly string[]> = {};
  for (const [key, text] of Object.entries(fields.claims.value ?? {})) {
    if (text === undefined) continue;
    const claim = parseClaimPath(text);
    const { node, path } = partOf(fields.claims, key);
    if (claim === undefined) report.add(node.at, path, "value_invalid", CLAIM_HINT);
    else names[key] = claim;
  }
  return { ...DEFAULT_CLAIMS, ...names };
}
