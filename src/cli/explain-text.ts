// An explanation for people: the verdict first, then every step with a mark, so that the one which refused is seen at once.

import { STATUS_CODES } from "node:http";
import type {
  ExplainedLimit,
  ExplainedRouting,
  ExplainedVerdict,
  Explanation,
  Met,
} from "../pipeline/explanation.ts";
import { rateText } from "../rate-limit/rate-text.ts";
import { authenticationLines, type Line, missText } from "./explain-steps.ts";
import type { Paint } from "./paint.ts";

/** Signs for the outcome of a step, for terminals that show them and for those that don't. */
export interface Marks {
  readonly yes: string;
  readonly no: string;
  readonly none: string;
  readonly arrow: string;
  readonly hidden: string;
}

const UNICODE: Marks = { yes: "✓", no: "✗", none: "·", arrow: "→", hidden: "…" };
const ASCII: Marks = { yes: "+", no: "x", none: "-", arrow: "->", hidden: "..." };

/** Signs by the locale (POSIX: LC_ALL over LC_CTYPE over LANG). */
export function marksFor(environment: Readonly<Record<string, string | undefined>>): Marks {
  const { LC_ALL, LC_CTYPE, LANG } = environment;
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== "") ?? "";
  return /utf-?8/i.test(locale) ? UNICODE : ASCII;
}

/** How it is shown. */
export interface TextStyle {
  readonly paint: Paint;
  readonly marks: Marks;
  readonly columns: number;
  /** A line of the file, without secrets; undefined where the file isn't at hand. */
  readonly sourceLine: ((line: number) => string) | undefined;
}

const TITLE_WIDTH = 17;
const ORIGIN_WIDTH = 9;

/** The whole text, each line ended. */
export function explanationText(explanation: Explanation, style: TextStyle): string {
  const writer = new Writer(style);
  const { verdict, routing, authentication, notes } = explanation;
  writer.head(explanation);
  writer.step(requestMark(explanation), "request", requestLines(explanation));
  if (routing !== undefined)
    writer.step(
      routing.outcome === "match" || routing.outcome === "own" ? "yes" : "no",
      "route",
      routeLines(explanation, routing, style),
    );
  if (authentication !== undefined)
    writer.step(
      authentication.outcome === "refused" ? "no" : authentication.outcome === "not_reached" ? "none" : "yes",
      "credentials",
      authenticationLines(authentication),
    );
  const guard = guardLines(explanation);
  if (guard.lines.length > 0) writer.step(guard.mark, "permission", guard.lines);
  const { limits } = explanation;
  if (limits !== undefined && limits.limits.length > 0)
    writer.step(
      limits.result === "admitted" ? "yes" : "no",
      limits.kind === "request" ? "limits" : "limits (refused)",
      limits.limits.flatMap(limitLines),
    );
  const { upstream, response } = explanation;
  if (upstream !== undefined) {
    const dropped = upstream.dropped.map(({ name, why }) => `${name} (${why.replaceAll("_", " ")})`);
    writer.step(upstream.sent ? "yes" : "none", "upstream", [
      { text: `${upstream.sent ? "" : "would be "}${upstream.method} ${upstream.url} (${upstream.name})` },
      ...(upstream.sent
        ? upstream.headers.map(({ name, value, from }) => ({
            text: `${from.padEnd(ORIGIN_WIDTH)}${name}: ${value}`,
          }))
        : []),
      ...(upstream.sent && dropped.length > 0 ? [{ text: `not passed on: ${dropped.join(", ")}` }] : []),
    ]);
  }
  if (response.length > 0)
    writer.step(
      "none",
      "answer",
      response.map(({ name, value }) => ({ text: `${name}: ${value}` })),
    );
  if (verdict.observed.length > 0)
    writer.step(
      "none",
      "only observed",
      verdict.observed.map(({ code, sentence }) => ({ text: `${code}: ${sentence}`, mark: "no" as const })),
    );
  for (const note of notes) writer.note(note);
  return writer.text;
}

class Writer {
  readonly #style: TextStyle;
  #out = "";

  constructor(style: TextStyle) {
    this.#style = style;
  }

  get text(): string {
    return this.#out;
  }

  head({ verdict, request, authorization }: Explanation): void {
    const { paint, marks } = this.#style;
    const asked = `${request.method} ${request.target}`;
    const answer = verdictText(verdict);
    const refused = verdict.decision === "refuse" || (verdict.status ?? 200) >= 400;
    const painted = refused ? paint.red(paint.bold(answer)) : paint.green(paint.bold(answer));
    this.#out += `${paint.bold(this.#clean(asked))} ${marks.arrow} ${painted}\n`;
    if (verdict.sentence !== undefined)
      this.#out += `${this.#clean(`${verdict.sentence}${needsText(verdict, authorization?.scopes?.missing ?? [])}`)}\n`;
    this.#out += "\n";
  }

  step(mark: keyof Pick<Marks, "yes" | "no" | "none">, title: string, lines: readonly Line[]): void {
    const { paint } = this.#style;
    const indent = " ".repeat(TITLE_WIDTH + 2);
    for (const [index, line] of lines.entries()) {
      const start = index === 0 ? `${this.#mark(mark)} ${paint.bold(title.padEnd(TITLE_WIDTH))}` : indent;
      const own = line.mark === undefined ? "" : `${this.#mark(line.mark)} `;
      const room = this.#style.columns - indent.length - (line.mark === undefined ? 0 : 2);
      const [first = "", ...rest] = wrap(this.#clean(line.text), room);
      const note = line.note === undefined ? "" : `  ${paint.dim(line.note)}`;
      this.#out += `${`${start}${own}${first}`.trimEnd()}${rest.length === 0 ? note : ""}\n`;
      for (const [at, more] of rest.entries())
        this.#out += `${indent}${line.mark === undefined ? "  " : "    "}${more}${at === rest.length - 1 ? note : ""}\n`;
    }
  }

  note(text: string): void {
    this.#out += `\n${this.#style.paint.dim(this.#clean(text))}`;
    this.#out += "\n";
  }

  #mark(mark: "yes" | "no" | "none"): string {
    const { paint, marks } = this.#style;
    const sign = marks[mark];
    return mark === "yes" ? paint.green(sign) : mark === "no" ? paint.red(sign) : paint.dim(sign);
  }

  /** Control characters must not drive the terminal. */
  #clean(text: string): string {
    const { hidden } = this.#style.marks;
    return text.replace(/\p{Cc}/gu, "?").replaceAll("…", hidden);
  }
}

/** Breaks text at spaces; what is longer than a line stands on one of its own. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function verdictText({ decision, status, grpcStatus, code }: ExplainedVerdict): string {
  switch (decision) {
    case "forward":
      return "forwarded";
    case "preflight":
      return "204 preflight, answered here";
    case "own":
      return `${status ?? "200 or 503"} answered by the gateway itself`;
    case "refuse":
      return grpcStatus === undefined
        ? `${status ?? ""} ${STATUS_CODES[status ?? 0] ?? ""}: ${code ?? ""}`
        : `gRPC status ${grpcStatus}: ${code ?? ""}`;
  }
}

function needsText(
  { code, requiredScopes, retryAfterSeconds }: ExplainedVerdict,
  missing: readonly string[],
): string {
  const scopes = code === "scope_insufficient" && missing.length > 0 ? missing : requiredScopes;
  const lacking = scopes === undefined ? "" : `: ${scopes.join(", ")}`;
  return `${lacking}${retryAfterSeconds === undefined ? "" : `; try again in ${retryAfterSeconds} s`}`;
}

function requestMark({ request, routing }: Explanation): "yes" | "no" {
  return request.fault === undefined && routing !== undefined ? "yes" : "no";
}

function requestLines({ request, verdict, routing }: Explanation): readonly Line[] {
  const { client, canonical, fault, host, sizes } = request;
  const lines: Line[] = [
    { text: `${request.method} ${request.target}${host === undefined ? "" : ` on ${host}`}` },
  ];
  if (fault !== undefined)
    lines.push({ text: `${fault.sentence}, at character ${fault.at + 1}`, mark: "no" });
  else if (routing === undefined && verdict.sentence !== undefined) {
    lines.push({ text: verdict.sentence, mark: "no" });
    for (const [name, { used, most }] of Object.entries(sizes))
      if (used > most) lines.push({ text: `${name}: ${used}, at most ${most}`, mark: "no" });
  }
  const sent = canonical === undefined ? request.target : `${canonical.path}${canonical.search}`;
  if (sent !== request.target) lines.push({ text: `read as ${sent}` });
  const by =
    client.from === "peer"
      ? client.peerTrusted
        ? " (a trusted proxy itself)"
        : ""
      : ` (X-Forwarded-For, told by the trusted proxy ${client.peer})`;
  lines.push({ text: `from ${client.address}${by}` });
  if (request.protocol !== "http") lines.push({ text: `the caller speaks ${request.protocol}` });
  return lines;
}

function routeLines(
  { file, verdict, request }: Explanation,
  { outcome, route, allow, nearMisses }: ExplainedRouting,
  { sourceLine }: TextStyle,
): readonly Line[] {
  const lines: Line[] = [];
  if (outcome === "own") lines.push({ text: "a path for load balancers; it never reaches a route" });
  else if (route === undefined)
    lines.push({
      text:
        outcome === "method_not_allowed"
          ? `the path is known, ${request.method} is not; allowed: ${(allow ?? []).join(", ")}`
          : outcome === "host_unknown"
            ? "every route is for another host"
            : "no route matches",
    });
  else {
    const named = route.name === route.pattern ? "" : ` (${route.name})`;
    const open = route.access === "guarded" ? "" : `, ${route.access}`;
    lines.push({ text: `${route.pattern}${named}${open}`, note: `${file}:${route.line}` });
    const source = sourceLine?.(route.line).trim();
    if (source !== undefined && source !== "") lines.push({ text: `${route.line} | ${source}` });
    for (const [name, value] of Object.entries(route.parameters)) lines.push({ text: `:${name} = ${value}` });
    if (route.observe.length > 0) lines.push({ text: `only observed: ${route.observe.join(", ")}` });
    if (verdict.reason === "method_never_forwarded")
      lines.push({ text: `${request.method} is never forwarded`, mark: "no" });
  }
  // Where a route was found for this very path, other paths say nothing.
  const shown =
    route === undefined || route.pattern.endsWith("*")
      ? nearMisses
      : nearMisses.filter(({ why }) => why.kind !== "path");
  for (const { pattern, line, why } of shown)
    lines.push({ text: `near: ${pattern}, ${missText(why)}`, note: `${file}:${line}` });
  return lines;
}

const MET: Readonly<Record<Met, Line["mark"]>> = { yes: "yes", no: "no", unknown: "none" };

function guardLines({ authorization }: Explanation): {
  readonly mark: "yes" | "no" | "none";
  readonly lines: readonly Line[];
} {
  if (authorization === undefined) return { mark: "none", lines: [] };
  const { ips, scopes, roles, require } = authorization;
  const lines: Line[] = [];
  if (ips !== undefined)
    lines.push({
      text: `ips: ${ips.met === "yes" ? "the client's address is allowed" : "the client's address is denied"}`,
      mark: MET[ips.met],
    });
  if (scopes !== undefined) {
    const held = scopes.needed.flatMap(({ scope, heldBy }) =>
      heldBy === undefined ? [] : [heldBy === scope ? scope : `${scope} by ${heldBy}`],
    );
    const words = [
      `needs ${scopes.needed.map(({ scope }) => scope).join(scopes.mode === "all" ? " and " : " or ")}`,
    ];
    if (held.length > 0) words.push(`holds ${held.join(", ")}`);
    if (scopes.missing.length > 0 && scopes.met === "no") words.push(`lacks ${scopes.missing.join(", ")}`);
    lines.push({ text: `scopes: ${words.join("; ")}`, mark: MET[scopes.met] });
  }
  if (roles !== undefined) {
    const held = roles.needed.filter((one) => one.held).map(({ role }) => role);
    const needs = roles.needed.map(({ role }) => role).join(roles.mode === "all" ? " and " : " or ");
    lines.push({
      text: `roles: needs ${needs}${held.length > 0 ? `; holds ${held.join(", ")}` : ""}`,
      mark: MET[roles.met],
    });
  }
  for (const { text, met, parameter } of require) {
    const value = parameter === undefined ? "" : ` (:${parameter.name} = ${parameter.value})`;
    lines.push({ text: `require: ${text}${value}`, mark: MET[met] });
  }
  const marks = lines.map(({ mark }) => mark);
  return { mark: marks.includes("no") ? "no" : marks.includes("none") ? "none" : "yes", lines };
}

function limitLines(limit: ExplainedLimit): readonly Line[] {
  const { name, units, windowSeconds, per, cost, enforced, state, key, source, algorithm } = limit;
  const rate = `${rateText(units, Math.round(windowSeconds * 1_000))} per ${per}`;
  const traits = [
    ...(cost === 1 ? [] : [cost === 0 ? "only told, not charged" : `cost ${cost}`]),
    ...(algorithm === "slidingWindow" ? [] : [algorithm]),
    ...(enforced ? [] : ["only observed"]),
  ];
  const text = `${name}: ${rate}${traits.length === 0 ? "" : ` (${traits.join(", ")})`}`;
  if (state === undefined) return [{ text, mark: "none" }];
  const wait = state.room ? "" : `, room again in ${state.retryAfterSeconds} s`;
  return [
    { text, mark: state.room ? "yes" : "no" },
    { text: `${state.used} of ${state.most} used, ${state.remaining} left after this${wait}`, note: source },
    { text: `counter ${key}` },
  ];
}
