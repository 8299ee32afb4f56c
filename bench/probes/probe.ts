// A figure that isn't CPU per request.

import type { Row } from "../rows.ts";
import type { Session } from "../session.ts";

export interface ProbeResult {
  readonly title: string;
  readonly value: number;
  readonly unit: string;
  /** Undefined: for comparison only. */
  readonly goal: { readonly atMost: number } | { readonly atLeast: number } | undefined;
}

export interface Probe {
  /** As given to `--probes`. */
  readonly id: string;
  /** The rows whose programs it starts; it is left out when one of them is missing. */
  readonly rows: readonly Row[];
  /** Measures; `quick` asks for shorter measurements. */
  run(session: Session, quick: boolean): Promise<readonly ProbeResult[]>;
}

/** Whether a result meets its goal; true where there is none. */
export function meetsGoal({ value, goal }: ProbeResult): boolean {
  if (goal === undefined) return true;
  return "atMost" in goal ? value <= goal.atMost : value >= goal.atLeast;
}
