// Compiles `redis`: where limits are counted together, in which form Redis is run there, and how it is entered.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { dirname, resolve } from "node:path";
import { SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import {
  parseRedisAddress,
  parseRedisUrl,
  type RedisAccess,
  type RedisAddress,
  type RedisServers,
  type RedisTls,
  type RedisUrl,
} from "../../store/redis-address.ts";
import type { RedisPolicy } from "../gateway-config.ts";
import { redisOption, redisShape, redisTlsShape } from "../options.ts";
import { type Field, type FieldsOf, readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import { readText } from "../source.ts";
import type { Place } from "../tree.ts";
import { checkRange, durationOf, keyAtOf, partOf } from "./entries.ts";

type RedisFields = FieldsOf<typeof redisShape>;
type TlsFields = FieldsOf<typeof redisTlsShape>;

const MOST_FILE_BYTES = 1024 * 1024;
const DEFAULT_PREFIX = "gw";
const DEFAULT_TIMEOUT_MS = 50;
const SENTINEL_PORT = 26_379;
const NODE_PORT = 6_379;
const WAYS = ["url", "sentinels", "cluster"] as const;

/** `redis`. */
export async function compileRedis(
  report: Report,
  place: Place | undefined,
): Promise<RedisPolicy | undefined> {
  if (place === undefined) return undefined;
  if (place.node.kind === "scalar") {
    const url = readValue(report, place, redisOption);
    if (typeof url !== "string" || urlAt(report, place, url) === undefined) return undefined;
    return { url, prefix: DEFAULT_PREFIX, timeoutMs: DEFAULT_TIMEOUT_MS };
  }
  const fields = readFields(report, place, redisShape);
  if (fields === undefined) return undefined;
  const timeoutMs = durationOf(fields.timeout, DEFAULT_TIMEOUT_MS);
  checkRange(report, fields.timeout, timeoutMs, [1, 10_000], "expected 1ms to 10s");
  const url = fields.url.value === undefined ? undefined : urlAt(report, fields.url, fields.url.value);
  const servers = compileServers(report, place, fields, url);
  const access = await compileAccess(report, fields, url);
  if (servers === undefined) return undefined;
  return { ...servers, ...access, prefix: fields.prefix.value ?? DEFAULT_PREFIX, timeoutMs };
}

/** The parts of a URL; a wrong one, and a password in it, are reported. */
function urlAt(report: Report, { node, path }: Place, text: string): RedisUrl | undefined {
  const parsed = parseRedisUrl(text);
  if (!parsed.ok) {
    report.add(node.at, path, "value_invalid", parsed.error);
    return undefined;
  }
  const { password } = parsed.value;
  const literal =
    node.kind === "scalar" &&
    (node.substituted === undefined ||
      (node.substituted === "part" && report.source.includes(encodeURIComponent(password ?? ""))));
  if (password !== undefined && literal) {
    report.add(node.at, path, "secret_literal", "the password stands in the file in plain text", {
      severity: "warning",
      hint: `take the URL from the environment or a file: ${VARIABLE} or ${SECRET_FILE}; or use \`passwordFile\``,
    });
  }
  return parsed.value;
}

/** Which of the three ways leads to Redis; every key that belongs to another one is reported. */
function compileServers(
  report: Report,
  place: Place,
  fields: RedisFields,
  url: RedisUrl | undefined,
): RedisServers | undefined {
  const [way, ...others] = WAYS.filter((name) => fields[name].present);
  if (way === undefined) {
    report.add(
      place.node.at,
      place.path,
      "required_key",
      "one of `url`, `sentinels` and `cluster` is required",
    );
    return undefined;
  }
  for (const other of others)
    conflict(report, place, other, `\`${way}\` and \`${other}\` can't stand together`);
  if (way !== "sentinels") {
    for (const key of ["name", "sentinelUsername", "sentinelPassword"] as const) {
      if (fields[key].present) conflict(report, place, key, `\`${key}\` needs \`sentinels\``);
    }
  }
  if (way === "cluster" && (fields.database.value ?? 0) !== 0)
    conflict(report, place, "database", "a cluster has no other database than 0");
  if (way === "url" && url?.tls === false && fields.tls.present)
    conflict(report, place, "tls", "`tls` needs a rediss:// URL");
  if (way === "url")
    return url === undefined || fields.url.value === undefined ? undefined : { url: fields.url.value };
  const nodes = addresses(report, fields[way], way === "cluster" ? NODE_PORT : SENTINEL_PORT);
  if (way === "cluster") return { cluster: nodes };
  return compileSentinels(report, place, fields, nodes);
}

function compileSentinels(
  report: Report,
  place: Place,
  { name, sentinelUsername, sentinelPassword }: RedisFields,
  sentinels: readonly RedisAddress[],
): RedisServers | undefined {
  if (!name.present)
    report.add(
      place.node.at,
      name.path,
      "required_key",
      "`name` is required: the master that the Sentinels watch",
    );
  if (sentinelUsername.present && !sentinelPassword.present)
    conflict(report, place, "sentinelUsername", "`sentinelUsername` needs `sentinelPassword`");
  const password = secretOf(report, sentinelPassword);
  if (name.value === undefined) return undefined;
  return {
    sentinels,
    name: name.value,
    sentinelUsername: sentinelUsername.value,
    sentinelPassword: password,
  };
}

async function compileAccess(
  report: Report,
  fields: RedisFields,
  url: RedisUrl | undefined,
): Promise<RedisAccess> {
  const { username, password, passwordFile, database, tls } = fields;
  const twice = (field: Field<unknown>, key: string, what: string): void => {
    if (field.present)
      report.add(field.node.at, field.path, "conflict", `\`${key}\` and ${what} can't stand together`);
  };
  if (url?.username !== undefined) twice(username, "username", "a user name in the URL");
  if (url?.password !== undefined) {
    twice(password, "password", "a password in the URL");
    twice(passwordFile, "passwordFile", "a password in the URL");
  }
  if (url?.database !== undefined) twice(database, "database", "a database in the URL");
  if (password.present) twice(passwordFile, "passwordFile", "`password`");
  const anyPassword = password.present || passwordFile.present || url?.password !== undefined;
  if (username.present && !anyPassword)
    report.add(username.node.at, username.path, "conflict", "`username` needs `password` or `passwordFile`");
  return {
    username: username.value,
    password: secretOf(report, password),
    passwordFile: await compilePasswordFile(report, passwordFile),
    database: database.value,
    tls: await compileTls(report, tls, url?.tls === true),
  };
}

/** A password that came from outside of the file; one in plain text is reported. */
function secretOf(report: Report, { value, present, node, path }: Field<string>): string | undefined {
  if (!present || value === undefined || node.kind !== "scalar") return undefined;
  if (node.substituted === "whole") return value;
  report.add(node.at, path, "secret_literal", "a password can't stand in the file in plain text", {
    hint: `write ${VARIABLE} or ${SECRET_FILE}, without a default`,
  });
  return undefined;
}

async function compilePasswordFile(report: Report, field: Field<string>): Promise<string | undefined> {
  const file = await fileAt(report, field, field.value);
  if (file === undefined) return undefined;
  const { node, path } = field;
  if (file.text.trim() === "") report.add(node.at, path, "secret_file_unreadable", "the file is empty");
  else warnOfReaders(report, field, file.mode);
  return file.path;
}

async function compileTls(
  report: Report,
  field: RedisFields["tls"],
  byUrl: boolean,
): Promise<RedisTls | undefined> {
  if (field.value === undefined) return byUrl ? {} : undefined;
  if (field.value === true) return {};
  const fields = readFields(report, field, redisTlsShape);
  if (fields === undefined) return undefined;
  const { ca, cert, key, serverName } = fields;
  if (cert.present !== key.present) {
    const [given, missing] = cert.present ? ["cert", "key"] : ["key", "cert"];
    report.add(
      keyAtOf(field, given),
      [...field.path, given],
      "conflict",
      `\`${given}\` needs \`${missing}\``,
    );
  }
  return {
    ca: (await pemAt(report, ca, "certificate"))?.path,
    ...(await compilePair(report, fields)),
    serverName: serverName.value,
  };
}

async function compilePair(
  report: Report,
  { cert, key }: TlsFields,
): Promise<Pick<RedisTls, "cert" | "key">> {
  const certFile = await pemAt(report, cert, "certificate");
  const keyFile = await pemAt(report, key, "private key");
  if (keyFile !== undefined) warnOfReaders(report, key, keyFile.mode);
  if (certFile !== undefined && keyFile !== undefined) {
    const matches = new X509Certificate(certFile.text).checkPrivateKey(createPrivateKey(keyFile.text));
    if (!matches)
      report.add(
        key.node.at,
        key.path,
        "key_source_invalid",
        "the private key doesn't belong to the certificate",
      );
  }
  return { cert: certFile?.path, key: keyFile?.path };
}

interface ReadFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

async function pemAt(
  report: Report,
  field: Field<string>,
  what: "certificate" | "private key",
): Promise<ReadFile | undefined> {
  const file = await fileAt(report, field, field.value);
  if (file === undefined) return undefined;
  try {
    if (what === "certificate") new X509Certificate(file.text);
    else createPrivateKey(file.text);
    return file;
  } catch {
    const more = what === "certificate" ? "" : " without a passphrase";
    report.add(field.node.at, field.path, "key_source_invalid", `expected a PEM file with a ${what}${more}`);
    return undefined;
  }
}

/** The file that a value names, relative to the configuration's folder; an unreadable one is reported. */
async function fileAt(
  report: Report,
  { node, path }: Place,
  name: string | undefined,
): Promise<ReadFile | undefined> {
  if (name === undefined) return undefined;
  const file = resolve(dirname(report.file), name);
  const read = await readText(file, MOST_FILE_BYTES);
  if (read.ok) return { path: file, ...read.value };
  report.add(node.at, path, "secret_file_unreadable", `the file can't be read: ${read.error.message}`);
  return undefined;
}

function warnOfReaders(report: Report, { node, path }: Place, mode: number): void {
  if ((mode & 0o004) === 0) return;
  report.add(node.at, path, "file_permissions", "every user of this machine can read the file", {
    severity: "warning",
    hint: "chmod 600, or 640 with a group of its own",
  });
}

function addresses(
  report: Report,
  field: Field<readonly string[]>,
  defaultPort: number,
): readonly RedisAddress[] {
  return (field.value ?? []).flatMap((text, index) => {
    const address = parseRedisAddress(text, defaultPort);
    if (address !== undefined) return [address];
    const { node, path } = partOf(field, index);
    report.add(node.at, path, "value_invalid", "expected host:port such as redis-1:6379 or [::1]:6379");
    return [];
  });
}

function conflict(report: Report, place: Place, key: string, message: string): void {
  const at = keyAtOf({ ...place, value: undefined, present: true }, key);
  report.add(at, [...place.path, key], "conflict", message);
}
