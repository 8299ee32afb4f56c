// Decision lines out of a log, whatever else stands in it: one line at a time, so that a log of any length fits in memory.

/** What a decision line tells, as far as it is well-formed. */
export interface LoggedDecision {
  readonly timeMs: number;
  readonly time: string;
  readonly requestId: string;
  readonly client: string;
  readonly method: string;
  readonly host: string | undefined;
  readonly path: string;
  readonly decision: "forward" | "refuse" | "preflight";
  readonly route: string | undefined;
  readonly code: string | undefined;
  readonly reason: string | undefined;
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  readonly authMethod: "jwt" | "apiKey" | "anonymous" | undefined;
  readonly keyId: string | undefined;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly tier: string | undefined;
  readonly org: string | undefined;
  readonly limit: string | undefined;
  readonly quota: string | undefined;
  readonly observed: readonly string[];
  readonly wouldRefuse: readonly string[];
}

/** `other`: a line of another kind, or of another program; `malformed`: a decision line that can't be read. */
export type LogLine = LoggedDecision | "other" | "malformed";

// Longer lines are none of ours: the gateway cuts what it writes.
const LONGEST_LINE = 256 * 1024;
const DECISIONS: ReadonlySet<unknown> = new Set(["forward", "refuse", "preflight"]);
const METHODS: ReadonlySet<unknown> = new Set(["jwt", "apiKey", "anonymous"]);

/** Reads one line. Anything may stand before the JSON, as containers write a time or a name there. */
export function readLogLine(line: string): LogLine {
  // Cheaper than to parse every access line of a mixed log.
  const marked = line.includes('"type":"decision"') || /"type"\s*:\s*"decision"/.test(line);
  if (!marked) return "other";
  const start = line.indexOf("{");
  if (start === -1 || line.length > LONGEST_LINE) return "malformed";
  let value: unknown;
  try {
    value = JSON.parse(start === 0 ? line : line.slice(start));
  } catch {
    return "malformed";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "malformed";
  const members = value as Readonly<Record<string, unknown>>;
  return members.type === "decision" ? readDecision(members) : "other";
}

function readDecision(members: Readonly<Record<string, unknown>>): LogLine {
  const { time, method, path, decision, client } = members;
  const timeMs = typeof time === "string" ? Date.parse(time) : typeof time === "number" ? time : Number.NaN;
  if (
    Number.isNaN(timeMs) ||
    typeof method !== "string" ||
    typeof path !== "string" ||
    !DECISIONS.has(decision)
  ) {
    return "malformed";
  }
  const authMethod = METHODS.has(members.authMethod)
    ? (members.authMethod as LoggedDecision["authMethod"])
    : undefined;
  return {
    timeMs,
    time: typeof time === "string" ? time : new Date(timeMs).toISOString(),
    requestId: text(members.requestId) ?? "",
    client: text(client) ?? "",
    method,
    host: text(members.host),
    path,
    decision: decision as LoggedDecision["decision"],
    route: text(members.route),
    code: text(members.code),
    reason: text(members.reason),
    subject: text(members.subject),
    issuer: text(members.issuer),
    authMethod,
    keyId: text(members.keyId),
    scopes: texts(members.scopes),
    roles: texts(members.roles),
    tier: text(members.tier),
    org: text(members.org),
    limit: text(members.limit),
    quota: text(members.quota),
    observed: texts(members.observed),
    wouldRefuse: texts(members.wouldRefuse),
  };
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

const NONE: readonly string[] = [];

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : NONE;
}
