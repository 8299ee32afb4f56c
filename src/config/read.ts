// Reads a part of the tree by its zod schema: map by map, key by key, so that every mistake is found at once.

import type * as z from "zod";
import {
  addIssue,
  flatten,
  type Issue,
  kindOf,
  reportUnknownKey,
  sentence,
  UNKNOWN_KEY,
  without,
} from "./issues.ts";
import type { Report } from "./report.ts";
import { entryOf, type MapEntry, nodeAt, type Path, type Place, type TreeNode, toPlain } from "./tree.ts";
import { replaceAt } from "./tree-edit.ts";

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
    if (report.full) break;
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
  if (isVast(node)) {
    report.add(node.at, place.path, "value_out_of_range", `expected at most ${MOST_BELOW} values here`);
    return undefined;
  }
  let parsed = schema.safeParse(toPlain(node), { error: sentence });
  if (!parsed.success) {
    const retyped = retype(node, firstIssues(parsed.error.issues));
    if (retyped !== node) {
      node = retyped;
      parsed = schema.safeParse(toPlain(node), { error: sentence });
    }
  }
  if (parsed.success) return parsed.data;
  const issues = firstIssues(parsed.error.issues);
  for (const issue of issues) addIssue(report, { ...place, node }, schema, issue, keyAt);
  // What is left when the wrong parts are taken out can still be judged, so that its mistakes are told now as well.
  const rest = issues.reduce<TreeNode | undefined>((left, issue) => left && without(left, issue), node);
  return rest === undefined ? undefined : schema.safeParse(toPlain(rest)).data;
}

// Most values that are judged as one: a list of addresses, the scopes of a key.
const MOST_BELOW = 20_000;
const MOST_ISSUES = 50;

function firstIssues(issues: readonly Issue[]): readonly Issue[] {
  return flatten(issues.slice(0, MOST_ISSUES)).slice(0, MOST_ISSUES);
}

function isVast(node: TreeNode): boolean {
  let count = 0;
  const visit = (one: TreeNode): boolean => {
    if (++count > MOST_BELOW) return true;
    if (one.kind === "list") return one.items.some(visit);
    return one.kind === "map" && one.entries.some(({ value }) => visit(value));
  };
  return visit(node);
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
