// Compiles `issuers`: where each issuer's keys come from, which algorithms fit, and who the tokens are for.

import { dirname, resolve } from "node:path";
import { algorithmsFault, isSymmetric, weakSecret } from "../../authn/jwt/algorithms.ts";
import { issuerShape } from "../../authn/jwt/options.ts";
import type { ClaimNames, IssuerPolicy, KeySource } from "../../authn/jwt/policy.ts";
import { SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import { type FieldsOf, type Place, readFields } from "../read.ts";
import type { Report } from "../report.ts";
import { readText } from "../source.ts";
import { CLAIM_HINT, parseClaimPath } from "./claim-path.ts";
import { checkRange, durationOf, keyAtOf, type Named, namedEntries, partOf } from "./entries.ts";

type IssuerFields = FieldsOf<typeof issuerShape>;

const MOST_KEY_FILE_BYTES = 1024 * 1024;
const SOURCES = ["secret", "jwks", "jwksUri", "discovery"] as const;
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

async function keySource(report: Report, entry: Named, fields: IssuerFields): Promise<KeySource | undefined> {
  const given = SOURCES.filter((name) => fields[name].present);
  const [first, second] = given;
  if (first !== undefined && second !== undefined) {
    report.add(
      keyAtIn(entry, second),
      [...entry.path, second],
      "key_source_invalid",
      `\`${first}\` and \`${second}\` can't stand together: keys come from one place`,
    );
    return undefined;
  }
  if (first === undefined) return { kind: "discovery", url: undefined };
  const value = fields[first].value;
  if (value === undefined) return undefined;
  if (first === "secret") return { kind: "secret", secret: new TextEncoder().encode(value) };
  if (first === "jwks") return readKeyFile(report, fields.jwks, value);
  return { kind: first, url: value };
}

function keyAtIn(entry: Place, key: string): number {
  return keyAtOf({ ...entry, value: undefined, present: true }, key);
}

async function readKeyFile(
  report: Report,
  { node, path }: Place,
  name: string,
): Promise<KeySource | undefined> {
  const read = await readText(resolve(dirname(report.file), name), MOST_KEY_FILE_BYTES);
  if (!read.ok) {
    report.add(node.at, path, "key_source_invalid", `the key file can't be read: ${read.error.message}`);
    return undefined;
  }
  if (read.value.text.includes("-----BEGIN ")) return { kind: "pem", pem: read.value.text };
  const keys = keysIn(read.value.text);
  if (keys !== undefined) return { kind: "jwks", keys };
  report.add(
    node.at,
    path,
    "key_source_invalid",
    'expected a file with a JWK Set, {"keys": [...]}, or a PEM public key',
  );
  return undefined;
}

function keysIn(text: string): readonly Readonly<Record<string, unknown>>[] | undefined {
  try {
    const set: unknown = JSON.parse(text);
    if (typeof set !== "object" || set === null || !("keys" in set) || !Array.isArray(set.keys))
      return undefined;
    const keys = set.keys.filter((key) => typeof key === "object" && key !== null);
    return keys.length === 0 ? undefined : keys;
  } catch {
    return undefined;
  }
}

async function checkKeys(
  report: Report,
  entry: Named,
  fields: IssuerFields,
  source: KeySource,
  algorithms: readonly string[],
): Promise<void> {
  if (source.kind === "secret") {
    checkSecret(report, fields, source.secret, algorithms);
  } else if (source.kind === "jwks" || source.kind === "pem") {
    // Only files need the cryptography library at load.
    const { checkKeySource } = await import("../../authn/jwt/key-source.ts");
    const fault = await checkKeySource(source, algorithms);
    if (fault !== undefined)
      report.add(fields.jwks.node.at, [...entry.path, "jwks"], "key_source_invalid", fault);
  }
}

function checkSecret(
  report: Report,
  { secret }: IssuerFields,
  bytes: Uint8Array,
  algorithms: readonly string[],
): void {
  const needed = weakSecret(algorithms, bytes);
  const { node, path } = secret;
  if (needed !== undefined) {
    report.add(
      node.at,
      path,
      "secret_weak",
      `the secret is too short: ${algorithms.join(", ")} need at least ${needed} bytes`,
      {
        hint: "make one with `openssl rand -base64 64`",
      },
    );
  }
  if (node.kind === "scalar" && node.substituted === undefined) {
    report.add(node.at, path, "secret_literal", "the secret stands in the file in plain text", {
      severity: "warning",
      hint: `take it from the environment or a file: ${VARIABLE} or ${SECRET_FILE}`,
    });
  }
}

function checkUrls(report: Report, fields: IssuerFields): void {
  const remote = !fields.secret.present && !fields.jwks.present;
  const discovers = remote && !fields.jwksUri.present && !fields.discovery.present;
  for (const field of [fields.discovery, fields.jwksUri, ...(discovers ? [fields.issuer] : [])]) {
    const { value, node, path } = field;
    if (value === undefined || value === "") continue;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (
      url === undefined ||
      !/^https?:$/.test(url.protocol) ||
      url.username !== "" ||
      url.password !== "" ||
      url.hash !== ""
    ) {
      report.add(
        node.at,
        path,
        "value_invalid",
        "expected an https:// URL without user name, password and fragment",
        {
          hint:
            field === fields.issuer
              ? "an issuer that is no URL needs `jwksUri`, `jwks` or `secret`"
              : "keys are fetched from here",
        },
      );
    } else if (url.protocol === "http:" && !isLoopback(url.hostname) && fields.allowHttp.value !== true) {
      report.add(node.at, path, "insecure_url", "keys fetched over plain http can be replaced on the way", {
        hint: "use https://, or write `allowHttp: true` at this issuer if the network between is yours alone",
      });
    }
  }
}

function isLoopback(host: string): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(host)
  );
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
