// Copies of a tree with one place changed. Trees themselves are never changed.

import { entryOf, type TreeNode } from "./tree.ts";

/** The tree with `leaf` at the end of `path`; unchanged when the path leaves the tree. */
export function replaceAt(node: TreeNode, path: readonly PropertyKey[], leaf: TreeNode): TreeNode {
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

/** The tree without the map entry at the end of `path`, or the nearest one above it; undefined when no map keeps anything. */
export function removeAt(node: TreeNode, path: readonly PropertyKey[]): TreeNode | undefined {
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
