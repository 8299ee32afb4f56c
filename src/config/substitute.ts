// Puts environment variables and files in the place of `${…}`, inside string values only and after parsing: what a
// variable holds can never become structure. What was put in is never looked at for further `${…}`.

import { dirname, resolve } from "node:path";
import { SECRET_FILE, VARIABLE } from "../core/wording.ts";
import type { Report } from "./report.ts";
import { readText } from "./source.ts";
import type { Path, ScalarNode, TreeNode } from "./tree.ts";

// `$${` is a literal `${`; then name, name with default, or file.
const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAMED = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;
const MOST_SECRET_FILE_BYTES = 1024 * 1024;

interface Found {
  readonly text: string;
  readonly isDefault: boolean;
}

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The tree with every `${…}` replaced. Missing variables and files are reported and leave an empty string. */
export async function substitute(
  report: Report,
  root: TreeNode,
  environment: Environment,
): Promise<TreeNode> {
  return new Substitution(report, environment).walk(root, []);
}

/** Whether a `${` stands anywhere in the tree: most of a file has none, and is passed over at once. */
function mentions(node: TreeNode): boolean {
  if (node.kind === "scalar") return typeof node.value === "string" && node.value.includes("${");
  if (node.kind === "list") return node.items.some(mentions);
  return node.entries.some(({ value }) => mentions(value));
}

class Substitution {
  readonly #report: Report;
  readonly #environment: Environment;

  constructor(report: Report, environment: Environment) {
    this.#report = report;
    this.#environment = environment;
  }

  async walk(node: TreeNode, path: Path): Promise<TreeNode> {
    if (this.#report.full || !mentions(node)) return node;
    if (node.kind === "scalar") return this.#scalar(node, path);
    if (node.kind === "list") {
      const items: TreeNode[] = [];
      for (const [index, item] of node.items.entries()) items.push(await this.walk(item, [...path, index]));
      return { ...node, items };
    }
    const entries = [];
    for (const entry of node.entries) {
      entries.push({ ...entry, value: await this.walk(entry.value, [...path, entry.key]) });
    }
    return { ...node, entries };
  }

  async #scalar(node: ScalarNode, path: Path): Promise<ScalarNode> {
    if (typeof node.value !== "string") return node;
    let out = "";
    let last = 0;
    let substituted: ScalarNode["substituted"] = "part";
    for (const match of node.value.matchAll(REFERENCE)) {
      out += node.value.slice(last, match.index);
      last = match.index + match[0].length;
      if (match[0] === "$${") {
        out += "${";
        continue;
      }
      const found =
        match[2] === "" ? this.#invalid(node, path) : await this.#resolve(node, path, match[1] ?? "");
      if (found === undefined) {
        this.#report.settle(node.at);
        return { ...node, value: "", substituted: "whole" };
      }
      out += found.text;
      if (match[0] === node.value && !found.isDefault) substituted = "whole";
    }
    return { ...node, value: out + node.value.slice(last), substituted };
  }

  async #resolve(node: ScalarNode, path: Path, reference: string): Promise<Found | undefined> {
    if (reference.startsWith("file:")) return this.#file(node, path, reference.slice("file:".length));
    const named = NAMED.exec(reference);
    if (named === null) return this.#invalid(node, path);
    const [, name = "", fallback] = named;
    const value = Object.hasOwn(this.#environment, name) ? this.#environment[name] : undefined;
    if (value !== undefined && value !== "") {
      this.#report.hide(value);
      return { text: value, isDefault: false };
    }
    if (fallback !== undefined) return { text: fallback, isDefault: true };
    const state = value === undefined ? "is not set" : "is empty";
    this.#report.add(node.at, path, "variable_missing", `the environment variable ${name} ${state}`, {
      hint: `set it, or give a default: \${${name}:-value}`,
      suggestion:
        value === undefined ? this.#report.nearest(name, Object.keys(this.#environment)) : undefined,
    });
    return undefined;
  }

  async #file(node: ScalarNode, path: Path, name: string): Promise<Found | undefined> {
    const file = resolve(dirname(this.#report.file), name);
    this.#report.uses(file);
    const read = await readText(file, MOST_SECRET_FILE_BYTES);
    if (!read.ok) {
      this.#report.add(
        node.at,
        path,
        "secret_file_unreadable",
        `the file ${name} can't be read: ${read.error.message}`,
      );
      return undefined;
    }
    if ((read.value.mode & 0o004) !== 0) {
      this.#report.add(
        node.at,
        path,
        "file_permissions",
        `every user of this machine can read the file ${name}`,
        {
          severity: "warning",
          hint: "chmod 600, or 640 with a group of its own",
        },
      );
    }
    // Editors and `echo` end files with a line break that belongs to no secret.
    const text = read.value.text.replace(/\r?\n$/, "");
    this.#report.hide(text);
    if (text !== "") return { text, isDefault: false };
    this.#report.add(node.at, path, "secret_file_unreadable", `the file ${name} is empty`);
    return undefined;
  }

  #invalid(node: ScalarNode, path: Path): undefined {
    this.#report.add(
      node.at,
      path,
      "variable_invalid",
      `expected ${VARIABLE}, \${VAR:-default} or ${SECRET_FILE}`,
      {
        hint: "write $${ for a literal ${",
      },
    );
  }
}
