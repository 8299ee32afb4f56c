// What the lint has to go on: a configuration without errors, and the tree that it came from, for the places.

import type { RoutePolicy } from "../gateway-config.ts";
import type { Report, Severity } from "../report.ts";
import { entryOf, type MapNode, type Path, type TreeNode } from "../tree.ts";

/** The tree of a file without errors, and the report that findings go to. */
export class LintContext {
  readonly root: MapNode;
  readonly #report: Report;

  constructor(report: Report, root: MapNode) {
    this.#report = report;
    this.root = root;
  }

  /** The node at the end of `path`; undefined when the file doesn't say that. */
  find(path: Path): TreeNode | undefined {
    let at: TreeNode | undefined = this.root;
    for (const step of path)
      at = at?.kind === "list" ? at.items[Number(step)] : entryOf(at, String(step))?.value;
    return at;
  }

  /** Where what the route `index` says under `key` stands: in the route itself or in `defaults`. */
  ofRoute(index: number, key: string): Path {
    const own: Path = ["routes", index, key];
    if (this.find(own) !== undefined) return own;
    return this.find(["defaults", key]) === undefined ? ["routes", index] : ["defaults", key];
  }

  /** Tells something of the value at the end of `path`, or of what is nearest above it. */
  tell(
    severity: Exclude<Severity, "error">,
    path: Path,
    code: Parameters<Report["add"]>[2],
    message: string,
    extra: {
      readonly hint?: string;
      readonly suggestion?: string | undefined;
      readonly relatedAt?: number;
    } = {},
  ): void {
    this.#report.add(this.offset(path), path, code, message, { ...extra, severity });
  }

  /** Offset of the value at the end of `path`, or of what is nearest above it. */
  offset(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const node = this.find(path.slice(0, length));
      if (node !== undefined) return node.at;
    }
    return this.root.at;
  }
}

/** Whether some alternative of the route's guard is met by API keys alone. */
export function takesKeysAlone({ access, auth }: RoutePolicy): boolean {
  return access !== "public" && auth.some((names) => names.every((name) => name === "apiKey"));
}

/** Whether some alternative of the route's guard takes something that the file doesn't hold, such as a token. */
export function takesOthers({ auth }: RoutePolicy): boolean {
  return auth.some((names) => names.some((name) => name !== "apiKey"));
}
