// What the health paths of every port answer.

/** What readiness depends on right now. */
export interface Readiness {
  readonly ready: boolean;
  /** Stable words for what is missing or degraded; nothing that a stranger shouldn't read. */
  readonly notes: readonly string[];
}

/** Status and JSON body of one health answer. */
export interface HealthAnswer {
  readonly status: 200 | 503;
  readonly body: { readonly status: string; readonly notes?: readonly string[] };
}

/** The answer of a process that serves. */
export const LIVE: HealthAnswer = { status: 200, body: { status: "ok" } };

/** The answer about readiness: no detail beyond what a load balancer needs. */
export function readyAnswer({ ready, notes }: Readiness): HealthAnswer {
  const body = { status: ready ? "ready" : "not_ready", ...(notes.length === 0 ? {} : { notes }) };
  return { status: ready ? 200 : 503, body };
}
