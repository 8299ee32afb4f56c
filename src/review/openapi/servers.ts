// Reads `servers` (and `host`, `basePath` of Swagger 2): who serves the operations, below which path.

import type { Report } from "../../config/report.ts";
import { entryOf, type TreeNode } from "../../config/tree.ts";
import type { Server } from "./model.ts";
import { textOf } from "./values.ts";

const MOST_SERVERS = 100;

/** The servers that a document, path item or operation lists; empty when it lists none. */
export function readServers(report: Report, holder: TreeNode, path: string): readonly Server[] {
  const entry = entryOf(holder, "servers");
  if (entry === undefined) return [];
  const { value } = entry;
  if (value.kind !== "list") {
    const where = path === "" ? ["servers"] : ["paths", path, "servers"];
    report.add(value.at, where, "type_invalid", "expected a list of servers");
    return [];
  }
  return value.items.slice(0, MOST_SERVERS).map((node) => serverOf(withDefaults(node)));
}

/** The server of a Swagger 2 document: its first scheme, host and base path. */
export function oldServers(root: TreeNode): readonly Server[] {
  const host = textOf(entryOf(root, "host")?.value);
  const schemes = entryOf(root, "schemes")?.value;
  const listed = schemes?.kind === "list" ? schemes.items.flatMap((one) => textOf(one) ?? []) : [];
  const scheme = listed.includes("https") ? "https" : (listed[0] ?? "https");
  const basePath = textOf(entryOf(root, "basePath")?.value) ?? "";
  return [serverOf(host === undefined ? basePath : `${scheme}://${host}${basePath}`)];
}

/** The URL with each `{variable}` replaced by its default; one without a default stays as it is. */
function withDefaults(node: TreeNode): string {
  const variables = entryOf(node, "variables")?.value;
  const url = textOf(entryOf(node, "url")?.value) ?? "";
  return url.replace(/\{([^{}]*)\}/g, (written, name: string) => {
    const fallback = textOf(entryOf(entryOf(variables, name)?.value, "default")?.value);
    return fallback ?? written;
  });
}

function serverOf(text: string): Server {
  const whole = text.startsWith("//") ? `https:${text}` : text;
  const absolute = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/i.exec(whole);
  if (absolute === null) {
    const path = /^[^?#]*/.exec(whole)?.[0] ?? "";
    return {
      origin: undefined,
      basePath: trimmed(path === "" || path.startsWith("/") ? path : `/${path}`),
      text: path,
    };
  }
  const [, scheme = "", authority = "", path = ""] = absolute;
  // What stands before the @ may be a password.
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  const plain = `${scheme}://${host}`;
  const usable = /^https?$/i.test(scheme) && !/[{}\\\s]/.test(host) && URL.canParse(plain);
  return {
    origin: usable ? new URL(plain).origin : undefined,
    basePath: trimmed(path),
    text: `${plain}${path}`,
  };
}

/** Relative steps such as `./v1` mean nothing here without the document's own address. */
function trimmed(path: string): string {
  return path.replace(/^\/\.(?=\/|$)/, "").replace(/\/+$/, "");
}
