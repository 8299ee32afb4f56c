// Where the keys of an issuer come from: one place each, fetched safely, fit for the algorithms.

import { dirname, resolve } from "node:path";
import { weakSecret } from "../../authn/jwt/algorithms.ts";
import type { issuerShape } from "../../authn/jwt/options.ts";
import type { KeySource } from "../../authn/jwt/policy.ts";
import { SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import type { FieldsOf } from "../read.ts";
import type { Report } from "../report.ts";
import { readText } from "../source.ts";
import type { Place } from "../tree.ts";
import { keyAtOf, type Named } from "./entries.ts";

/** The fields of one entry of `issuers`. */
export type IssuerFields = FieldsOf<typeof issuerShape>;

const MOST_KEY_FILE_BYTES = 1024 * 1024;
const SOURCES = ["secret", "jwks", "jwksUri", "discovery"] as const;

/** Where the keys of an issuer come from; undefined when that can't be said (then it was reported). */
export async function keySource(
  report: Report,
  entry: Named,
  fields: IssuerFields,
): Promise<KeySource | undefined> {
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
  const file = resolve(dirname(report.file), name);
  report.uses(file);
  const read = await readText(file, MOST_KEY_FILE_BYTES);
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

/** Reports keys that can't be used with the algorithms, and secrets that are too short. */
export async function checkKeys(
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

/** Reports URLs that keys can't be fetched from, or not safely. */
export function checkUrls(report: Report, fields: IssuerFields): void {
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
