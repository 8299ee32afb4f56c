// What came of a whole log, gathered in bounded memory: changes and open questions in groups, with their first examples.

import type { LoggedDecision } from "./log-lines.ts";
import type { Fate, Verdict } from "./replayer.ts";

export interface Example {
  readonly requestId: string;
  readonly time: string;
  readonly method: string;
  readonly path: string;
  readonly subject: string | undefined;
}

export interface ChangeGroup {
  readonly count: number;
  /** Method and route, or method and path where there was none. */
  readonly request: string;
  readonly what: "decision" | "code" | "route" | "limit";
  readonly before: Fate;
  readonly after: Fate;
  readonly note: string | undefined;
  readonly examples: readonly Example[];
}

export interface UnknownGroup {
  readonly count: number;
  readonly reason: string;
  readonly examples: readonly Example[];
}

export interface ReplaySummary {
  /** Lines of the log; decision lines among them; those that could not be read. */
  readonly lines: number;
  readonly decisions: number;
  readonly malformed: number;
  readonly same: number;
  readonly changed: number;
  /** Requests that were refused and would be let through, and the other way round. */
  readonly opened: number;
  readonly closed: number;
  readonly unknown: number;
  /** Times of the first and the last decision. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** The most frequent first. */
  readonly changes: readonly ChangeGroup[];
  readonly unknowns: readonly UnknownGroup[];
}

const MOST_GROUPS = 2_000;
const MOST_EXAMPLES = 3;
const REST = "(further requests)";

interface Counted<T> {
  readonly value: T;
  count: number;
  readonly examples: Example[];
}

/** Counts verdicts. */
export class ReplayTally {
  lines = 0;
  malformed = 0;
  #decisions = 0;
  #same = 0;
  #changed = 0;
  #opened = 0;
  #closed = 0;
  #unknown = 0;
  #from: string | undefined;
  #to: string | undefined;
  readonly #changes = new Map<string, Counted<Omit<ChangeGroup, "count" | "examples">>>();
  readonly #unknowns = new Map<string, Counted<string>>();

  get decisions(): number {
    return this.#decisions;
  }

  add(line: LoggedDecision, verdict: Verdict): void {
    this.#decisions++;
    this.#from ??= line.time;
    this.#to = line.time;
    if (verdict.kind === "same") this.#same++;
    else if (verdict.kind === "unknown") {
      this.#unknown++;
      const reason =
        this.#unknowns.size < MOST_GROUPS || this.#unknowns.has(verdict.reason) ? verdict.reason : REST;
      count(this.#unknowns, reason, () => reason, line);
    } else this.#change(line, verdict);
  }

  #change(
    line: LoggedDecision,
    { what, before, after, note }: Extract<Verdict, { readonly kind: "changed" }>,
  ): void {
    this.#changed++;
    // Without a code it is open whether it passes.
    if (before.decision === "refuse" && after.decision === "forward") this.#opened++;
    if (before.decision === "forward" && after.decision === "refuse") this.#closed++;
    const route = before.route ?? after.route;
    const named =
      route === undefined ? `${line.method} ${line.path}` : `${line.method} ${withoutMethods(route)}`;
    const key = JSON.stringify([named, what, before, after, note]);
    const known = this.#changes.has(key) || this.#changes.size < MOST_GROUPS;
    const request = known ? named : REST;
    count(this.#changes, known ? key : REST, () => ({ request, what, before, after, note }), line);
  }

  summary(): ReplaySummary {
    const byCount = (a: { readonly count: number }, b: { readonly count: number }): number =>
      b.count - a.count;
    return {
      lines: this.lines,
      decisions: this.#decisions,
      malformed: this.malformed,
      same: this.#same,
      changed: this.#changed,
      opened: this.#opened,
      closed: this.#closed,
      unknown: this.#unknown,
      from: this.#from,
      to: this.#to,
      changes: [...this.#changes.values()]
        .map(({ value, count, examples }) => ({ count, ...value, examples }))
        .sort(byCount),
      unknowns: [...this.#unknowns.values()]
        .map(({ value, count, examples }) => ({ count, reason: value, examples }))
        .sort(byCount),
    };
  }
}

function count<T>(groups: Map<string, Counted<T>>, key: string, make: () => T, line: LoggedDecision): void {
  let group = groups.get(key);
  if (group === undefined) {
    group = { value: make(), count: 0, examples: [] };
    groups.set(key, group);
  }
  group.count++;
  const { requestId, time, method, path, subject } = line;
  if (group.examples.length < MOST_EXAMPLES) group.examples.push({ requestId, time, method, path, subject });
}

/** The pattern of a route that is named by it: `GET,POST /a` is `/a`. */
function withoutMethods(route: string): string {
  return /^[A-Z,]+ (\/.*)$/.exec(route)?.[1] ?? route;
}
