// Compiles `apiKeys` and `apiKeyHeaders`. A key in plain text is refused: only its hash, or a reference to where it is.

import { createHash } from "node:crypto";
import { parseExpiry } from "../../authn/api-key/expiry.ts";
import type { ApiKeyRecord } from "../../authn/api-key/policy.ts";
import type { RoleTable } from "../../authz/policy.ts";
import { isFieldName } from "../../core/fields.ts";
import { SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import { writtenKeyLimits } from "../../rate-limit/options.ts";
import { isTiered, type LimitPolicy } from "../../rate-limit/policy.ts";
import { apiKeyEntryShape, apiKeyHeadersOption } from "../options.ts";
import { type FieldsOf, readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { listEntries, partOf, rangeList } from "./entries.ts";
import { checkReachable } from "./limit-lint.ts";
import { nameLimits, type SharedLimits } from "./limit-names.ts";
import { compileLimits } from "./limits.ts";
import { checkRoles } from "./roles.ts";
import { checkTierName, type TierTable } from "./tiers.ts";

const writtenShape = { ...apiKeyEntryShape, limits: writtenKeyLimits.optional() };

type KeyFields = FieldsOf<typeof writtenShape>;

/** What keys refer to. */
export interface KeySurroundings {
  readonly roles: RoleTable;
  /** `tiers`, where the file has them. */
  readonly tiers: TierTable | undefined;
  /** Whether the file has `redis`. */
  readonly shared: boolean;
  /** Names of all limits of the file. */
  readonly sharedLimits: SharedLimits;
}

/** The keys, and the limits of those that have their own, by id. */
export interface CompiledKeys {
  readonly records: readonly ApiKeyRecord[];
  readonly limits: ReadonlyMap<string, readonly LimitPolicy[]>;
}

/** `apiKeys`. */
export function compileApiKeys(
  report: Report,
  place: Place | undefined,
  around: KeySurroundings,
): CompiledKeys {
  const limits = new Map<string, readonly LimitPolicy[]>();
  if (place === undefined) return { records: [], limits };
  const ids = new Map<string, number>();
  const hashes = new Map<string, number>();
  const records = listEntries(report, place).flatMap((entry) => {
    if (report.full) return [];
    const fields = readFields(report, entry, writtenShape, {
      key: {
        meant: "hash",
        hint: `keys don't stand in the file: write \`hash: "sha256:…"\`, or \`value: ${VARIABLE}\``,
      },
    });
    if (fields === undefined) return [];
    const hash = compileHash(report, entry, fields);
    unique(report, ids, fields.id.value, fields.id, "another key has this id already");
    const holder = fields.hash.present ? fields.hash : fields.value;
    unique(report, hashes, hash, holder, "another entry is for the same key already");
    checkRoles(report, fields.roles, fields.roles.value ?? [], around.roles);
    checkTierName(report, fields.tier, fields.tier.value, around.tiers);
    const expiresAtMs = compileExpiry(report, fields);
    const allowIps = rangeList(report, fields.allowIps, fields.allowIps.value ?? []);
    const id = fields.id.value;
    const own = compileKeyLimits(report, fields, around);
    if (id !== undefined && own.length > 0) limits.set(id, own);
    return id === undefined || hash === undefined
      ? []
      : [record(fields, { id, hash, expiresAtMs, allowIps })];
  });
  return { records, limits };
}

function compileKeyLimits(
  report: Report,
  { id, limits }: KeyFields,
  { tiers, shared, sharedLimits }: KeySurroundings,
): readonly LimitPolicy[] {
  const named = nameLimits(
    compileLimits(report, limits, { tiers, shared, ofKey: true }),
    `key ${id.value ?? ""}`,
  );
  sharedLimits.addNamed(named);
  checkReachable(report, named, []);
  return named.flatMap(({ limit }) => (isTiered(limit) ? [] : [limit]));
}

function record(
  fields: KeyFields,
  rest: Pick<ApiKeyRecord, "id" | "hash" | "expiresAtMs" | "allowIps">,
): ApiKeyRecord {
  return {
    ...rest,
    subject: fields.subject.value ?? rest.id,
    scopes: fields.scopes.value ?? [],
    roles: fields.roles.value ?? [],
    tier: fields.tier.value,
    org: fields.org.value,
    enabled: fields.enabled.value ?? true,
    metadata: fields.metadata.value ?? {},
  };
}

function unique(
  report: Report,
  seen: Map<string, number>,
  value: string | undefined,
  place: Place,
  message: string,
): void {
  if (value === undefined) return;
  const first = seen.get(value);
  if (first === undefined) seen.set(value, place.node.at);
  else report.add(place.node.at, place.path, "duplicate_value", message, { relatedAt: first });
}

function compileHash(report: Report, entry: Place, { hash, value }: KeyFields): string | undefined {
  if (hash.present && value.present) {
    report.add(value.node.at, value.path, "conflict", "`hash` and `value` can't stand together");
    return undefined;
  }
  if (hash.present) return hash.value?.slice("sha256:".length).toLowerCase();
  if (!value.present) {
    report.add(
      entry.node.at,
      [...entry.path, "hash"],
      "required_key",
      `\`hash\` is required, or \`value: ${VARIABLE}\``,
    );
    return undefined;
  }
  if (value.value === undefined || value.node.kind !== "scalar") return undefined;
  if (value.node.substituted !== "whole") {
    report.add(value.node.at, value.path, "secret_literal", "a key can't stand in the file in plain text", {
      hint: `write \`value: ${VARIABLE}\` or \`value: ${SECRET_FILE}\`, without a default, or \`hash: "sha256:…"\``,
    });
    return undefined;
  }
  return createHash("sha256").update(value.value).digest("hex");
}

function compileExpiry(report: Report, { expires }: KeyFields): number | undefined {
  if (expires.value === undefined) return undefined;
  const time = parseExpiry(expires.value);
  if (time !== undefined) return time;
  report.add(expires.node.at, expires.path, "value_invalid", "there is no such date");
  return undefined;
}

/** `apiKeyHeaders`, lower case. */
export function compileApiKeyHeaders(report: Report, place: Place | undefined): readonly string[] {
  const names = place === undefined ? undefined : readValue(report, place, apiKeyHeadersOption);
  if (place === undefined || names === undefined) return ["x-api-key"];
  const field = { ...place, value: names, present: true };
  for (const [index, name] of names.entries()) {
    const { node, path } = partOf(field, index);
    if (!isFieldName(name)) report.add(node.at, path, "value_invalid", "expected a header field name");
    else if (NOT_FOR_KEYS.has(name.toLowerCase())) {
      report.add(
        node.at,
        path,
        "conflict",
        "this field has a meaning of its own; `Authorization: Bearer gwk_…` is read anyway",
      );
    }
  }
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

/** Fields that mean something else already; lower case. */
export const NOT_FOR_KEYS: ReadonlySet<string> = new Set([
  "authorization",
  "connection",
  "content-length",
  "content-type",
  "cookie",
  "host",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
