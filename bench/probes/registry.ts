// All probes, in the order of the report.

import { idle, webSockets } from "./idle.ts";
import { latency } from "./latency.ts";
import type { Probe } from "./probe.ts";
import { transfer } from "./transfer.ts";

export const PROBES: readonly Probe[] = [latency, transfer, idle, webSockets];

/** The probes of the names; throws on a name that isn't one. */
export function selectProbes(names: readonly string[]): readonly Probe[] {
  return names.map((name) => {
    const probe = PROBES.find((candidate) => candidate.id === name);
    if (probe !== undefined) return probe;
    throw new Error(`no probe is called ${name}; probes: ${PROBES.map((each) => each.id).join(", ")}`);
  });
}
