// Warns of what is declared and never used, and of guards that nobody can pass.

import { isTiered } from "../../rate-limit/policy.ts";
import type { RoutePolicy } from "../gateway-config.ts";
import type { Report } from "../report.ts";
import { entryOf, type MapNode } from "../tree.ts";
import type { TierTable } from "./tiers.ts";

/** Warnings only: none of this makes a file wrong. */
export function checkUnused(
  report: Report,
  root: MapNode,
  routes: readonly RoutePolicy[],
  tiers: TierTable | undefined,
): void {
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
  checkUnusedLimits(report, root, routes, tiers);
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

function checkUnusedLimits(
  report: Report,
  root: MapNode,
  routes: readonly RoutePolicy[],
  tiers: TierTable | undefined,
): void {
  const table = entryOf(root, "tiers");
  const byTier = routes.some(({ limits }) =>
    limits.some((one) => isTiered(one) && one.tiers === tiers?.rates),
  );
  if (table !== undefined && !byTier) {
    report.add(table.keyAt, ["tiers"], "unused", "no limit counts by these tiers: write `limit: tier`", {
      severity: "warning",
    });
  }
  const global = entryOf(root, "globalLimit");
  const none = global?.value.kind === "scalar" && global.value.value === false;
  if (global !== undefined && !none && routes.every(({ limits }) => limits.length === 0)) {
    report.add(global.keyAt, ["globalLimit"], "unused", "every route says `limit: false`", {
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
