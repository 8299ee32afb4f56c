// Warns of secrets that stand in the file in plain text, as a default included, and of those that look like placeholders.

import type { Report } from "../report.ts";
import type { Path, ScalarNode, TreeNode } from "../tree.ts";
import type { LintContext } from "./place.ts";

const SENSITIVE_FIELD = /authorization|api[-_]?key|token|secret|passw|credential|cookie/i;
const PLACEHOLDER =
  /change[-_ ]?me|replace[-_ ]?me|^(?:x+|secret|password|passw0rd|admin|test|example|default|todo)[-_\d]*$|your[-_ ]?(?:secret|password|token|key)/i;
// A text of so few different characters was typed, not drawn.
const FEWEST_CHARACTERS = 6;
const SHORTEST_KEY = 16;

/** Warnings only. */
export function lintSecrets(context: LintContext, report: Report): void {
  const { root } = context;
  for (const path of secretPaths(root)) {
    const node = context.find(path);
    if (node?.kind !== "scalar" || typeof node.value !== "string") continue;
    warnOfDefault(context, report, path, node);
    warnOfWeak(context, path, node.value);
  }
  warnOfFields(context);
}

/** Everything in the file that holds a secret, but for URLs. */
function secretPaths(root: TreeNode): readonly Path[] {
  const paths: Path[] = [
    ["admin", "token"],
    ["redis", "password"],
    ["redis", "sentinelPassword"],
  ];
  const section = (name: string): TreeNode | undefined =>
    root.kind === "map" ? root.entries.find(({ key }) => key === name)?.value : undefined;
  const issuers = section("issuers");
  for (const { key } of issuers?.kind === "map" ? issuers.entries : [])
    paths.push(["issuers", key, "secret"]);
  const keys = section("apiKeys");
  for (const index of keys?.kind === "list" ? keys.items.keys() : []) paths.push(["apiKeys", index, "value"]);
  return paths;
}

/** `${SECRET:-0123}`: whoever reads the file knows what holds where the variable isn't set. */
function warnOfDefault(context: LintContext, report: Report, path: Path, node: ScalarNode): void {
  if (node.substituted !== "part" || !report.source.includes(String(node.value))) return;
  context.tell(
    "warning",
    path,
    "secret_literal",
    "the secret stands in the file in plain text, as a default",
    {
      hint: "leave the default out: a missing variable is then an error",
    },
  );
}

function warnOfWeak(context: LintContext, path: Path, value: string): void {
  const few = new Set(value).size < FEWEST_CHARACTERS;
  const short = path[0] === "apiKeys" && value.length < SHORTEST_KEY;
  if (!few && !short && !PLACEHOLDER.test(value)) return;
  const message = short
    ? `the key is short: fewer than ${SHORTEST_KEY} characters can be guessed`
    : "this looks like a placeholder, which others try first";
  context.tell("warning", path, "secret_weak", message, { hint: "make one with `openssl rand -base64 32`" });
}

/** Fields that are set on the way to an upstream often are its password. */
function warnOfFields(context: LintContext): void {
  const routes = context.find(["routes"]);
  const holders: Path[] = [["defaults"]];
  for (const index of routes?.kind === "list" ? routes.items.keys() : []) holders.push(["routes", index]);
  for (const holder of holders) {
    const path = [...holder, "headers", "request", "set"];
    const set = context.find(path);
    for (const { key, value } of set?.kind === "map" ? set.entries : []) {
      if (!SENSITIVE_FIELD.test(key) || value.kind !== "scalar" || value.substituted !== undefined) continue;
      context.tell(
        "warning",
        [...path, key],
        "secret_literal",
        "what looks like a secret stands in the file in plain text",
        {
          hint: "take it from the environment or a file",
        },
      );
    }
  }
}
