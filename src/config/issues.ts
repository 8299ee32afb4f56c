// Turns the issues of a zod schema into diagnostics: at the right place, in plain words, with what was probably meant.

import type * as z from "zod";
import { NOT_YET } from "../core/wording.ts";
import type { DiagnosticCode, Report } from "./report.ts";
import { choicesAt, keysAt } from "./schema-keys.ts";
import { nearest } from "./suggest.ts";
import { entryOf, isReserved, nodeAt, type Path, type Place, type TreeNode } from "./tree.ts";
import { removeAt } from "./tree-edit.ts";

/** An issue of any kind. */
export type Issue = z.core.$ZodIssue;

/** Issues of unions are those of the branch that the value was meant for: the one whose outer type fits. */
export function flatten(issues: readonly Issue[], prefix: readonly PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code === "invalid_union" && "errors" in issue) {
      const meant = issue.errors.find((branch) => !branch.some(isOuterMismatch));
      if (meant !== undefined) return flatten(meant, path);
    }
    return [{ ...issue, path }];
  });
}

function isOuterMismatch(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === "invalid_union") return true;
  return issue.code === "invalid_type" || issue.code === "invalid_value";
}

/** The node without the map entries that an issue is about; undefined when no map keeps anything. */
export function without(node: TreeNode, issue: Issue): TreeNode | undefined {
  const wrong =
    issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
  return wrong.reduce<TreeNode | undefined>((left, path) => left && removeAt(left, path), node);
}

/** Reports an issue of the value at `place`; `keyAt` is where the value's key stands. */
export function addIssue(report: Report, place: Place, schema: z.ZodType, issue: Issue, keyAt: number): void {
  const steps = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
  const path = [...place.path, ...steps];
  const node = nodeAt(place.node, steps);
  const parent = nodeAt(place.node, steps.slice(0, -1));
  const entry = entryOf(parent, String(steps.at(-1)));
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, steps);
    for (const key of issue.keys) {
      reportUnknownKey(report, entryOf(node, key)?.keyAt ?? place.node.at, [...path, key], key, known);
    }
    return;
  }
  const at = node?.at ?? parent?.at ?? place.node.at;
  if (issue.message.endsWith(NOT_YET)) {
    // The key is what isn't supported, unless one of its values isn't.
    const never = issue.code === "invalid_type" && issue.expected === "never";
    report.add(never ? (entry?.keyAt ?? keyAt) : at, path, "not_supported_yet", issue.message);
    return;
  }
  if (node === undefined) {
    report.add(at, path, "required_key", `\`${String(steps.at(-1))}\` is required`);
    return;
  }
  const code = codeOf(issue);
  const word = node.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;
  if (word !== undefined) report.addUnknown(at, path, code, issue.message, word, choicesAt(schema, steps));
  else report.add(at, path, code, issue.message);
}

function codeOf(issue: Issue): DiagnosticCode {
  switch (issue.code) {
    case "invalid_type":
    case "invalid_union":
      return "type_invalid";
    case "too_small":
      return issue.origin === "array" ? "list_empty" : "value_out_of_range";
    case "too_big":
      return "value_out_of_range";
    case "invalid_key":
      return "key_invalid";
    default:
      return "value_invalid";
  }
}

/** Sentence of every unknown key. */
export const UNKNOWN_KEY = "this key is not known here";

/** Reports a key that isn't among the `known` ones, and gives the one that was probably meant. */
export function reportUnknownKey(
  report: Report,
  at: number,
  path: Path,
  key: string,
  known: readonly string[],
): string | undefined {
  // Reserved names were reported already.
  if (isReserved(key)) return undefined;
  const suggestion = nearest(key, known);
  report.add(at, path, "unknown_key", UNKNOWN_KEY, { suggestion });
  return suggestion;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

/** Default sentence of an issue; a schema's own sentence wins over it. */
export function sentence(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      if (issue.expected === "int" && typeof issue.input === "number") return "expected a whole number";
      return `expected ${KINDS[issue.expected] ?? issue.expected}, found ${kindOfPlain(issue.input)}`;
    case "invalid_value":
      return `expected ${issue.values.length === 1 ? "" : "one of "}${issue.values.map(String).join(", ")}`;
    case "too_small":
      return issue.origin === "array"
        ? "an empty list is not allowed here"
        : `expected at least ${issue.minimum}`;
    case "too_big":
      return issue.origin === "array"
        ? `expected at most ${issue.maximum} entries`
        : `expected at most ${issue.maximum}`;
    default:
      return "this value is not valid here";
  }
}

function kindOfPlain(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return KINDS[typeof value] ?? "something else";
}

/** The kind of a node in words. */
export function kindOf(node: TreeNode): string {
  if (node.kind === "list") return "a list";
  return node.kind === "map" ? "a map" : kindOfPlain(node.value);
}
