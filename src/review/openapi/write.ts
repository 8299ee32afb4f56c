// Writes a planned gateway.yaml, with comments that say where things come from and what to look at.

import { SCHEMA_LINE } from "../starter.ts";
import { comment, listOf, oneLine, scalarOf, variableOf } from "../yaml-text.ts";
import type { Guard, Needs } from "./guard.ts";
import type { ApiDocument } from "./model.ts";
import { unusedVariable } from "./names.ts";
import type { Plan, PlannedRoute } from "./plan.ts";
import { SOMEWHERE } from "./upstreams.ts";

const OWN_PATHS = ["/healthz", "/readyz"];
const MOST_REMARKS = 200;

/** The text of the file. */
export function writeImport(api: ApiDocument, plan: Plan): string {
  const variables = new Set<string>(["AUDIENCE"]);
  const usualAuth = mostCommonAuth(plan);
  const sections = [
    head(api, plan),
    health(plan),
    issuers(plan, variables),
    apiKeys(plan),
    upstreams(plan, variables),
    defaults(usualAuth),
    routes(plan, usualAuth),
    leftOut(plan),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function head(api: ApiDocument, plan: Plan): string[] {
  const name = oneLine(api.file.split("/").at(-1) ?? "", 80);
  return [
    SCHEMA_LINE,
    ...comment(
      `${oneLine(api.title, 80)}: made from ${name} (${oneLine(api.dialect, 40)}) by \`gatewarden import openapi\`.`,
    ),
    ...comment(
      `Look at every line marked LOOK. Then: gatewarden check, and gatewarden check --against ${name} whenever one of the two files changes.`,
    ),
    ...(plan.leftOut.length > 0
      ? comment(
          "What could not be carried over is listed at the end; until it is written by hand, it is not served.",
        )
      : []),
  ];
}

/** The gateway's own health paths step aside for those of the API. */
function health({ routes }: Plan): string[] {
  if (!routes.some(({ pattern }) => OWN_PATHS.includes(pattern))) return [];
  return [
    ...comment(
      "The API has paths where the gateway would answer for itself, so the gateway's own are elsewhere.",
    ),
    "health: { live: /-/live, ready: /-/ready }",
  ];
}

function issuers(plan: Plan, variables: Set<string>): string[] {
  if (plan.issuers.length === 0) return [];
  const lines = ["# Who issues the tokens.", "issuers:"];
  for (const { name, issuer, doubtful, discovery, source } of plan.issuers) {
    lines.push(`  ${scalarOf(name)}:`);
    if (source !== "as told") lines.push(...comment(`${doubtful ? "LOOK: " : ""}${source}`, "    "));
    const variable = doubtful ? unusedVariable(variables, name, "_ISSUER") : undefined;
    lines.push(`    issuer: ${variable === undefined ? scalarOf(issuer) : variableOf(variable, issuer)}`);
    if (discovery !== undefined) lines.push(`    discovery: ${scalarOf(discovery)}`);
    if (plan.audience !== undefined) lines.push(`    audience: ${scalarOf(plan.audience)}`);
    else {
      lines.push(...comment("LOOK: the name of this API in `aud`; OpenAPI has no place for it.", "    "));
      lines.push(`    audience: ${variableOf("AUDIENCE", "my-api")}`);
    }
  }
  return lines;
}

function apiKeys({ keyHeaders }: Plan): string[] {
  if (keyHeaders === undefined) return [];
  return [
    ...comment(
      "API keys. `gatewarden key create --id my-service --scopes a,b` makes one and prints its line.",
    ),
    "apiKeys: []",
    `apiKeyHeaders: ${listOf(keyHeaders)}`,
  ];
}

function upstreams(plan: Plan, variables: Set<string>): string[] {
  const lines = [
    ...comment(
      "Where the API is. Behind a gateway that is mostly an inner address, not the one that the document tells clients.",
    ),
    "upstreams:",
  ];
  for (const { name, url, told, others } of plan.upstreams) {
    for (const other of others) lines.push(`  # also in the document: ${oneLine(other, 90)}`);
    if (url === undefined) lines.push("  # LOOK: the document doesn't say where.");
    const text =
      told && url !== undefined
        ? scalarOf(url)
        : variableOf(unusedVariable(variables, name, "_URL"), url ?? SOMEWHERE);
    lines.push(`  ${scalarOf(name)}: ${text}`);
  }
  return lines;
}

function defaults(auth: string): string[] {
  if (auth === "") return [];
  return [
    "# What every route has that doesn't say otherwise.",
    "defaults:",
    `  auth: ${auth}`,
    "  #limit: 100/min per user",
  ];
}

function routes(plan: Plan, usualAuth: string): string[] {
  const lines = ["routes:"];
  const taken = new Set(plan.routes.map(matchText));
  for (const route of plan.routes) {
    lines.push(...routeLines(route, plan.issuers.length, usualAuth, taken), "");
  }
  lines.pop();
  return lines;
}

function matchText({ methods, pattern }: PlannedRoute): string {
  return `${methods.join(",")} ${pattern}`;
}

function routeLines(
  route: PlannedRoute,
  issuerCount: number,
  usualAuth: string,
  taken: Set<string>,
): string[] {
  const { guard, operations, wider } = route;
  const lines: string[] = [];
  for (const { method, summary, id, deprecated } of operations) {
    const words = [summary, id === undefined || operations.length === 1 ? undefined : `(${id})`]
      .filter((word) => word !== undefined)
      .join(" ");
    const note = [words, deprecated ? "deprecated" : ""].filter((word) => word !== "").join("; ");
    if (note !== "") lines.push(...comment(operations.length > 1 ? `${method}: ${note}` : note, "    "));
  }
  const templates = [...new Set(operations.map(({ path }) => path))].join(" and ");
  if (wider)
    lines.push(...comment(`LOOK: the document has ${templates}; this takes all of the segment.`, "    "));
  for (const one of guard.notes) lines.push(...comment(`LOOK: ${one}`, "    "));
  const [first = "", ...rest] = [
    `match: ${scalarOf(matchText(route))}`,
    ...body(route, issuerCount, usualAuth, taken),
  ];
  return [`  - ${first}`, ...lines, ...rest.map((line) => `    ${line}`)];
}

function body(route: PlannedRoute, issuerCount: number, usualAuth: string, taken: Set<string>): string[] {
  const { guard, operations, upstream } = route;
  const lines = [`to: ${scalarOf(upstream)}`];
  const [first] = operations;
  const id = operations.length === 1 ? first?.id : undefined;
  if (id !== undefined && isName(id) && !taken.has(id)) {
    taken.add(id);
    lines.push(`name: ${scalarOf(id)}`);
  }
  if (guard.access === "public") lines.push("public: true");
  if (guard.access === "optional") lines.push("optional: true");
  const auth = authText(guard, issuerCount);
  if (guard.access !== "public" && auth !== usualAuth) lines.push(`auth: ${auth}`);
  if (guard.scopes !== undefined) lines.push(`scopes: ${needsText(guard.scopes)}`);
  if (guard.roles !== undefined) lines.push(`roles: ${needsText(guard.roles)}`);
  return lines;
}

/** What gateway.yaml takes as the name of a route. */
function isName(id: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/.test(id);
}

function needsText({ mode, names }: Needs): string {
  return mode === "all" || names.length === 1 ? listOf(names) : `{ any: ${listOf(names)} }`;
}

/** `auth` of a guard; empty when public. With one issuer its name says nothing. */
function authText({ auth }: Guard, issuerCount: number): string {
  const name = (one: string): string => (issuerCount === 1 && one.startsWith("jwt:") ? "jwt" : one);
  const text = auth.map((names) => {
    const [first = "", ...others] = names.map(name);
    return others.length === 0 ? scalarOf(first) : `{ all: ${listOf([first, ...others])} }`;
  });
  return text.length === 0 ? "" : `[${text.join(", ")}]`;
}

/** The `auth` that most guarded routes have, which `defaults` then says once. */
function mostCommonAuth({ routes, issuers: all }: Plan): string {
  const texts = routes.map(({ guard }) => authText(guard, all.length)).filter((text) => text !== "");
  const counted = [...Map.groupBy(texts, (text) => text)].map(([text, same]) => [text, same.length] as const);
  return counted.toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? "";
}

function leftOut({ leftOut: list }: Plan): string[] {
  if (list.length === 0) return [];
  const lines = comment("Not carried over, so not served:");
  for (const { what, why } of list.slice(0, MOST_REMARKS))
    lines.push(...comment(`${oneLine(what, 120)}: ${oneLine(why, 300)}`));
  if (list.length > MOST_REMARKS) lines.push(`# … and ${list.length - MOST_REMARKS} more`);
  return lines;
}
