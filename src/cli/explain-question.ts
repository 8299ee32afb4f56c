// From the options of `explain` to a question. Secrets may come from standard input or a file, so that they needn't stand
// on a command line, which every user of the machine can read.

import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { AssumedCaller } from "../config/test-policy.ts";
import { err, ok, type Result } from "../core/result.ts";
import type { AskedQuestion } from "../pipeline/asked.ts";

export interface QuestionOptions {
  readonly token?: string;
  readonly key?: string;
  readonly keyId?: string;
  readonly as?: string;
  readonly role?: readonly string[];
  readonly claim?: readonly string[];
  readonly subject?: string;
  readonly issuer?: string;
  readonly org?: string;
  readonly tier?: string;
  readonly header?: readonly string[];
  readonly host?: string;
  readonly ip?: string;
  readonly scheme?: "http" | "https";
  readonly near?: string;
}

const MOST_SECRET_CHARACTERS = 64 * 1024;
const MOST_NEAR = 100;

/** The question, or what is wrong with the options. @param keyField header that API keys are sent in */
export async function askedOf(
  method: string,
  path: string,
  options: QuestionOptions,
  keyField: string,
): Promise<Result<AskedQuestion, string>> {
  const headers: (readonly [string, string])[] = [];
  for (const line of options.header ?? []) {
    const colon = line.indexOf(":");
    if (colon < 1) return err("a header is written 'Name: value'");
    headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
  }
  const as = assumedOf(options);
  if (!as.ok) return as;
  if (options.token === "-" && options.key === "-")
    return err("only one secret can come from standard input");
  const token = await secretOf(options.token);
  const key = await secretOf(options.key);
  if (!token.ok) return token;
  if (!key.ok) return key;
  if (
    as.value !== undefined &&
    (token.value !== undefined || key.value !== undefined || options.keyId !== undefined)
  )
    return err(
      "--as, --role, --claim and their like stand for a caller: no --token, --key or --key-id beside them",
    );
  if (key.value !== undefined) headers.push([keyField, key.value]);
  if (token.value !== undefined) headers.push(["Authorization", `Bearer ${token.value}`]);
  const near = options.near === undefined ? undefined : Number(options.near);
  if (near !== undefined && !(Number.isInteger(near) && near >= 0 && near <= MOST_NEAR))
    return err(`--near is a whole number from 0 to ${MOST_NEAR}`);
  return ok({
    method: method.toUpperCase(),
    path,
    headers,
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(as.value === undefined ? {} : { as: as.value }),
    ...(options.keyId === undefined ? {} : { key: options.keyId }),
    ...(options.ip === undefined ? {} : { clientAddress: options.ip }),
    ...(options.scheme === undefined ? {} : { scheme: options.scheme }),
    ...(near === undefined ? {} : { nearMisses: near }),
  });
}

/** `-`: standard input; `@FILE`: a file; anything else is the secret itself. */
async function secretOf(option: string | undefined): Promise<Result<string | undefined, string>> {
  if (option === undefined) return ok(undefined);
  let secret = option;
  try {
    if (option === "-") secret = await text(process.stdin);
    else if (option.startsWith("@")) secret = await readFile(option.slice(1), "utf8");
  } catch {
    return err("the file with the secret can't be read");
  }
  const trimmed = secret.replace(/\r?\n$/, "");
  if (trimmed === "" || trimmed.length > MOST_SECRET_CHARACTERS || /[\r\n\0]/.test(trimmed))
    return err("a token or key is one line that is not empty");
  return ok(trimmed);
}

function assumedOf(options: QuestionOptions): Result<AssumedCaller | undefined, string> {
  const { as, role, claim, subject, issuer, org, tier } = options;
  const said = [as, role, claim, subject, issuer, org, tier].some((one) => one !== undefined);
  if (!said) return ok(undefined);
  const claims = claimsOf(claim ?? []);
  if (!claims.ok) return claims;
  return ok({
    scopes: (as ?? "").split(/[\s,]+/).filter((scope) => scope !== ""),
    roles: role ?? [],
    claims: claims.value,
    ...(subject === undefined ? {} : { subject }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(org === undefined ? {} : { org }),
    ...(tier === undefined ? {} : { tier }),
  });
}

/** `name=value`: a value is JSON where it parses as that, else text; dots in a name nest. */
function claimsOf(lines: readonly string[]): Result<Readonly<Record<string, unknown>>, string> {
  const claims: Record<string, unknown> = Object.create(null);
  for (const line of lines) {
    const equals = line.indexOf("=");
    const path = line.slice(0, Math.max(0, equals)).split(".");
    if (path.some((name) => name === "")) return err("a claim is written name=value");
    let inside = claims;
    for (const name of path.slice(0, -1)) {
      const held = inside[name];
      const next: Record<string, unknown> =
        typeof held === "object" && held !== null && !Array.isArray(held)
          ? // Narrowed to an object that was made here or parsed from JSON.
            (held as Record<string, unknown>)
          : Object.create(null);
      inside[name] = next;
      inside = next;
    }
    inside[path.at(-1) ?? ""] = readValue(line.slice(equals + 1));
  }
  return ok(claims);
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
