// Warns of what is declared and never used, and of guards that nobody can pass.

import type { RoutePolicy } from "../gateway-config.ts";
import type { Report } from "../report.ts";
import { entryOf, type MapNode } from "../tree.ts";

/** Warnings only: none of this makes a file wrong. */
export function checkUnused(report: Report, root: MapNode, routes: readonly RoutePolicy[]): void {
  const names = new Set(routes.flatMap((route) => route.auth.flat()));
  const upstreams = new Set(routes.map((route) => route.upstream));
  warn(report, root, "upstreams", "no route leads to this upstream", (name) => upstreams.has(name));
  const anyIssuer = names.has("jwt");
  warn(
    report,
    root,
    "issuers",
    "no route takes tokens of this issuer",
    (name) => anyIssuer || names.has(`jwt:${name}`),
  );
  const keys = entryOf(root, "apiKeys");
  if (keys !== undefined && !names.has("apiKey")) {
    report.add(keys.keyAt, ["apiKeys"], "unused", "no route takes API keys", { severity: "warning" });
  }
  if (keys === undefined && names.has("apiKey")) {
    const routesAt = entryOf(root, "routes");
    report.add(routesAt?.keyAt ?? 0, ["apiKeys"], "unused", "routes take API keys, but none is declared", {
      severity: "warning",
    });
  }
}

function warn(
  report: Report,
  root: MapNode,
  section: string,
  message: string,
  isUsed: (name: string) => boolean,
): void {
  const node = entryOf(root, section)?.value;
  for (const { key, keyAt } of node?.kind === "map" ? node.entries : []) {
    if (!isUsed(key)) report.add(keyAt, [section, key], "unused", message, { severity: "warning" });
  }
}
