// Checks a part of the tree against its zod schema and turns each zod issue into a diagnostic at the right place.

import type * as z from "zod";
import { NOT_YET } from "../core/wording.ts";
import type { DiagnosticCode, Report } from "./report.ts";
import { choicesAt, keysAt } from "./schema-keys.ts";
import { nearest } from "./suggest.ts";
import { entryOf, isReserved, type MapEntry, nodeAt, type Path, type TreeNode, toPlain } from "./tree.ts";

export type Shape = Readonly<Record<string, z.ZodType>>;

/** One key of a map: what it holds when that is valid, and where it stands. */
export interface Field<T> {
  /** Undefined when the key is absent or its value is wrong (then that was reported). */
  readonly value: T | undefined;
  readonly present: boolean;
  /** The value's node; without one the node of the map. */
  readonly node: TreeNode;
  readonly path: Path;
}

export type FieldsOf<S extends Shape> = {
  readonly [K in keyof S]-?: Field<Exclude<z.output<S[K]>, undefined>>;
};

/** A key that stands for another in many heads. */
export interface Mistake {
  readonly meant: string;
  readonly hint: string;
}

/** A node with the path that leads to it. */
export interface Place {
  readonly node: TreeNode;
  readonly path: Path;
}

/**
 * Reads a map key by key, so that one wrong value hides no mistake in another. Undefined when `place` is no map.
 * `mistakes` are keys that are often written for others.
 */
export function readFields<S extends Shape>(
  report: Report,
  place: Place,
  shape: S,
  mistakes: Readonly<Record<string, Mistake>> = {},
): FieldsOf<S> | undefined {
  const { node, path } = place;
  if (node.kind !== "map") {
    report.add(node.at, path, "type_invalid", `expected a map, found ${kindOf(node)}`);
    return undefined;
  }
  const mistyped = new Map<string, MapEntry>();
  const known = Object.keys(shape);
  for (const entry of node.entries) {
    const { key, keyAt } = entry;
    const mistake = Object.hasOwn(mistakes, key) ? mistakes[key] : undefined;
    if (mistake !== undefined) {
      report.add(keyAt, [...path, key], "unknown_key", UNKNOWN_KEY, { hint: mistake.hint });
      mistyped.set(mistake.meant, entry);
    } else if (!Object.hasOwn(shape, key)) {
      const meant = reportUnknownKey(report, keyAt, [...path, key], key, known);
      if (meant !== undefined) mistyped.set(meant, entry);
    }
  }
  const fields: Record<string, Field<unknown>> = {};
  for (const [key, schema] of Object.entries(shape))
    fields[key] = readField(report, place, key, schema, mistyped);
  // Each field was made from the schema of its key.
  return fields as FieldsOf<S>;
}

function readField(
  report: Report,
  map: Place,
  key: string,
  schema: z.ZodType,
  mistyped: ReadonlyMap<string, MapEntry>,
): Field<unknown> {
  const entry = entryOf(map.node, key);
  const path = [...map.path, key];
  const meant = mistyped.get(key);
  if (entry === undefined && meant !== undefined) {
    // The key is there, only misspelt: that it is absent would be a second complaint about one mistake.
    return { value: undefined, present: true, node: meant.value, path };
  }
  if (entry === undefined) {
    if (!schema.safeParse(undefined).success) {
      report.add(map.node.at, path, "required_key", `\`${key}\` is required`);
    }
    return { value: undefined, present: false, node: map.node, path };
  }
  const value = readValue(report, { node: entry.value, path }, schema, entry.keyAt);
  return { value, present: true, node: entry.value, path };
}

/** The value of a node when it fits `schema`; else undefined, and what is wrong was reported. */
export function readValue<T>(
  report: Report,
  place: Place,
  schema: z.ZodType<T>,
  keyAt = place.node.at,
): T | undefined {
  let { node } = place;
  if (isMissing(node)) return undefined;
  let parsed = schema.safeParse(toPlain(node), { error: message });
  if (!parsed.success) {
    const retyped = retype(node, flatten(parsed.error.issues));
    if (retyped !== node) {
      node = retyped;
      parsed = schema.safeParse(toPlain(node), { error: message });
    }
  }
  if (parsed.success) return parsed.data;
  const issues = flatten(parsed.error.issues);
  for (const issue of issues) addIssue(report, { ...place, node }, schema, issue, keyAt);
  // What is left when the wrong parts are taken out can still be judged, so that its mistakes are told now as well.
  const rest = issues.reduce<TreeNode | undefined>((left, issue) => left && without(left, issue), node);
  return rest === undefined ? undefined : schema.safeParse(toPlain(rest)).data;
}

/** Nothing could be put in the place of a variable; that was reported and is not judged any further. */
function isMissing(node: TreeNode): boolean {
  return node.kind === "scalar" && node.substituted === "missing";
}

type Issue = z.core.$ZodIssue;

/** Issues of unions are those of the branch that the value was meant for: the one whose outer type fits. */
function flatten(issues: readonly Issue[], prefix: readonly PropertyKey[] = []): Issue[] {
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

/** A variable always gives text; where a number or a truth value is asked for, the text is read as one. */
function retype(node: TreeNode, issues: readonly Issue[]): TreeNode {
  let out = node;
  for (const issue of issues) {
    if (issue.code !== "invalid_type" && issue.code !== "invalid_union" && issue.code !== "invalid_value")
      continue;
    const scalar = nodeAt(out, issue.path);
    if (scalar?.kind !== "scalar" || scalar.substituted === undefined || typeof scalar.value !== "string")
      continue;
    const text = scalar.value;
    const value = /^-?(?:0|[1-9]\d{0,14})$/.test(text)
      ? Number(text)
      : text === "true"
        ? true
        : text === "false"
          ? false
          : text;
    if (value !== text) out = replaceAt(out, issue.path, { ...scalar, value });
  }
  return out;
}

function replaceAt(node: TreeNode, path: readonly PropertyKey[], leaf: TreeNode): TreeNode {
  const [step, ...rest] = path;
  if (step === undefined) return leaf;
  if (node.kind === "list") {
    const items = node.items.map((item, index) => (index === step ? replaceAt(item, rest, leaf) : item));
    return { ...node, items };
  }
  if (node.kind !== "map") return node;
  const entries = node.entries.map((entry) =>
    entry.key === step ? { ...entry, value: replaceAt(entry.value, rest, leaf) } : entry,
  );
  return { ...node, entries };
}

/** The node without the map entry that an issue is about; undefined when no map keeps anything. */
function without(node: TreeNode, issue: Issue): TreeNode | undefined {
  const wrong =
    issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
  return wrong.reduce<TreeNode | undefined>((left, path) => left && removeAt(left, path), node);
}

function removeAt(node: TreeNode, path: readonly PropertyKey[]): TreeNode | undefined {
  const [step, ...rest] = path;
  // A list keeps its length, or its items would be taken for others.
  if (node.kind !== "map" || step === undefined) return undefined;
  const entry = entryOf(node, String(step));
  if (entry === undefined) return undefined;
  const value = removeAt(entry.value, rest);
  const entries = node.entries.flatMap((one) =>
    one !== entry ? [one] : value === undefined ? [] : [{ ...one, value }],
  );
  return entries.length === 0 ? undefined : { ...node, entries };
}

function addIssue(report: Report, place: Place, schema: z.ZodType, issue: Issue, keyAt: number): void {
  const steps = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
  const path = [...place.path, ...steps];
  const node = nodeAt(place.node, steps);
  if (node !== undefined && isMissing(node)) return;
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

const UNKNOWN_KEY = "this key is not known here";

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
function message(issue: z.core.$ZodRawIssue): string {
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
