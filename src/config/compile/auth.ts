// Compiles `auth`: the kinds of credentials a route takes, as alternatives of sets.

import type * as z from "zod";
import type { authOption } from "../../authn/options.ts";
import { notYet } from "../../core/wording.ts";
import type { AuthRule } from "../gateway-config.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { partOf } from "./entries.ts";

const LATER = ["session", "mtls"];

/** What exists for credentials to be checked with. */
export interface Verifiers {
  /** Names in `issuers`, also of entries with mistakes. */
  readonly issuers: ReadonlySet<string>;
}

/** The rule of an `auth` field; undefined when it is absent or wrong. */
export function compileAuth(
  report: Report,
  field: Field<z.output<typeof authOption>>,
  verifiers: Verifiers,
): AuthRule | undefined {
  const { value } = field;
  if (value === undefined) return undefined;
  const rule: string[][] = [];
  const list = Array.isArray(value) ? value : [value];
  for (const [index, one] of list.entries()) {
    const place = Array.isArray(value) ? partOf(field, index) : field;
    if (typeof one === "string") {
      checkName(report, place, one, verifiers);
      rule.push([one]);
      continue;
    }
    for (const [at, name] of one.all.entries()) {
      checkName(report, partOf({ ...place, value: one, present: true }, "all", at), name, verifiers);
    }
    if (new Set(one.all).size < one.all.length) {
      report.add(place.node.at, place.path, "duplicate_value", "a kind of credential is listed twice");
    }
    rule.push([...one.all]);
  }
  const alternatives = rule.map((names) => names.toSorted().join(" "));
  if (new Set(alternatives).size < alternatives.length) {
    report.add(field.node.at, field.path, "duplicate_value", "a kind of credential is listed twice");
  }
  return rule;
}

function checkName(report: Report, { node, path }: Place, name: string, { issuers }: Verifiers): void {
  if (name === "apiKey") return;
  if (LATER.includes(name)) {
    report.add(node.at, path, "not_supported_yet", notYet(name));
    return;
  }
  if (name === "jwt") {
    if (issuers.size === 0) {
      report.add(
        node.at,
        path,
        "unknown_reference",
        "`jwt` needs an entry in `issuers` whose tokens it takes",
      );
    }
    return;
  }
  if (name.startsWith("jwt:")) {
    const issuer = name.slice("jwt:".length);
    if (!issuers.has(issuer))
      report.addUnknown(
        node.at,
        path,
        "unknown_reference",
        "no issuer of this name is declared",
        issuer,
        issuers,
      );
    return;
  }
  if (name === "none" || name === "public" || name === "anonymous") {
    report.add(node.at, path, "value_invalid", "expected jwt, jwt:ISSUER or apiKey", {
      hint: "to open a route, write `public: true` and no `auth`",
    });
    return;
  }
  report.addUnknown(node.at, path, "value_invalid", "expected jwt, jwt:ISSUER or apiKey", name, [
    "jwt",
    "apiKey",
  ]);
}
