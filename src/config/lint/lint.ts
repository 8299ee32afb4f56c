// Judges a configuration without errors: what can't be meant, and what is worth knowing.

import type { GatewayConfig } from "../gateway-config.ts";
import type { Report } from "../report.ts";
import type { MapNode } from "../tree.ts";
import { lintApiKeys } from "./api-keys.ts";
import { lintChoices } from "./choices.ts";
import { lintHolders } from "./holders.ts";
import { lintNames } from "./names.ts";
import { LintContext } from "./place.ts";
import { lintReach } from "./reach.ts";
import { lintSecrets } from "./secrets.ts";

/** Warnings and notes only: none of this makes a file wrong. @param nowMs wall-clock time */
export function lint(report: Report, root: MapNode, config: GatewayConfig, nowMs: number): void {
  const context = new LintContext(report, root);
  const keys = lintApiKeys(context, config, nowMs);
  lintHolders(context, config, keys);
  lintReach(context, config);
  lintNames(context, config);
  lintSecrets(context, report);
  lintChoices(context, config);
}
