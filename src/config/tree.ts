// What is left of a YAML document after parsing: maps, lists and scalars with their places in the text, nothing else.

export type ScalarValue = string | number | boolean | null;

export interface ScalarNode {
  readonly kind: "scalar";
  /** Offset of the first character in the text. */
  readonly at: number;
  readonly value: ScalarValue;
  /** The value came out of `${…}`: `whole`, it is one variable or file; `part`, it holds text of its own or a default. */
  readonly substituted?: "whole" | "part";
}

export interface ListNode {
  readonly kind: "list";
  readonly at: number;
  readonly items: readonly TreeNode[];
}

export interface MapEntry {
  readonly key: string;
  readonly keyAt: number;
  readonly value: TreeNode;
}

export interface MapNode {
  readonly kind: "map";
  readonly at: number;
  readonly entries: readonly MapEntry[];
}

export type TreeNode = ScalarNode | ListNode | MapNode;

/** Steps from the document's root to a node: keys and list indices. */
export type Path = readonly (string | number)[];

// Names that mean something on every JavaScript object; no section needs them.
const RESERVED = new Set(["__proto__", "constructor", "prototype"]);

/** Whether a key is refused wherever it stands. */
export function isReserved(key: string): boolean {
  return RESERVED.has(key);
}

/** A node with the path that leads to it. */
export interface Place {
  readonly node: TreeNode;
  readonly path: Path;
}

/** A path as users write it: `routes[0].scopes`, `require["claims.org"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_$][\w-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** The entry of `node` called `key`; the first one when the key is (wrongly) repeated. */
export function entryOf(node: TreeNode | undefined, key: string): MapEntry | undefined {
  return node?.kind === "map" ? node.entries.find((entry) => entry.key === key) : undefined;
}

/** The node at the end of `path`; undefined when the path leaves the tree. */
export function nodeAt(node: TreeNode, path: readonly PropertyKey[]): TreeNode | undefined {
  let at: TreeNode | undefined = node;
  for (const step of path) {
    if (at === undefined) return undefined;
    at = at.kind === "list" ? at.items[Number(step)] : entryOf(at, String(step))?.value;
  }
  return at;
}

/** The node as plain values. Maps have no prototype, so no key can reach one. */
export function toPlain(node: TreeNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(toPlain);
  const map: Record<string, unknown> = Object.create(null);
  for (const entry of node.entries) if (!(entry.key in map)) map[entry.key] = toPlain(entry.value);
  return map;
}
