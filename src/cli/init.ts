// `gatewarden init`: a commented gateway.yaml to start from. It asks on a terminal, and takes flags everywhere.

import { inspectConfig } from "../config/load.ts";
import { STRICT_PATHS } from "../core/request-target.ts";
import { isScopeToken } from "../core/scope.ts";
import { importOpenApi } from "../review/openapi/import.ts";
import { ANY_VALUE, pathOf } from "../review/openapi/witness.ts";
import { type StarterOptions, starterFile } from "../review/starter.ts";
import { oneLine, variableOf } from "../review/yaml-text.ts";
import { parseMatchText } from "../routing/pattern.ts";
import { type Ask, questions } from "./ask.ts";
import { isUpstreamUrl, parseUpstreams, tellFault, tellFaulty } from "./import-openapi.ts";
import { writeNew } from "./new-file.ts";
import { paint } from "./paint.ts";

export interface InitOptions {
  readonly issuer?: string;
  readonly audience?: string;
  /** A URL; with `from` also NAME=URL. */
  readonly upstream?: readonly string[];
  readonly route?: readonly string[];
  readonly scope?: readonly string[];
  readonly open?: string;
  readonly apiKey?: boolean;
  readonly redis?: boolean;
  /** Path of an OpenAPI document. */
  readonly from?: string;
  readonly force?: boolean;
  /** Ask nothing. */
  readonly yes?: boolean;
}

const UPSTREAM = "http://127.0.0.1:9000";
const AUDIENCE = "my-api";
const ROUTE = "/api/*";

/**
 * Writes `file` and resolves with the exit code: 0 written, 1 it exists or the questions were broken off, 2 an option that
 * makes no sense. Questions are asked when standard input is a terminal, for what no option says.
 */
export async function init(file: string, options: InitOptions): Promise<number> {
  const wrong = faultOf(options);
  if (wrong !== undefined) return complain(wrong, 2);
  const text =
    options.from === undefined ? await starter(options) : await fromDocument(options.from, options);
  if (typeof text === "number") return text;
  const written = await writeNew(file, text, options.force === true);
  if (!written.ok) return complain(written.error, 1);
  if (await tellFaulty(file)) return 1;
  process.stdout.write(await nextSteps(file, options));
  return 0;
}

function complain(message: string, exitCode: number): number {
  process.stderr.write(`gatewarden: ${oneLine(message, 1_000)}\n`);
  return exitCode;
}

/** What is wrong with a value, as a sentence; undefined when nothing is. */
type Check = (value: string) => string | undefined;

const issuerFault: Check = (value) => {
  if (!URL.canParse(value) || /[\s"\\#]/.test(value))
    return "an issuer is the URL that stands in `iss`, such as https://login.example.com/";
  const { protocol, hostname, username, password } = new URL(value);
  const here = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
  if (username + password !== "") return "an issuer has no user name and no password";
  return protocol === "https:" || (protocol === "http:" && here)
    ? undefined
    : "keys are fetched over https:// only";
};
const audienceFault: Check = (value) =>
  value.trim() === "" ? "an audience is the name of your API in `aud`" : undefined;
const upstreamFault: Check = (value) =>
  isUpstreamUrl(value) ? undefined : `an upstream is an http:// or https:// URL, such as ${UPSTREAM}`;
const routeFault: Check = (value) => {
  const match = parseMatchText(value, STRICT_PATHS);
  return match.ok ? undefined : `a route is such as \`GET /modules\` or \`/api/*\`: ${match.error.message}`;
};
const scopeFault: Check = (value) =>
  isScopeToken(value)
    ? undefined
    : "a scope is printable ASCII without spaces, double quotes and backslashes";

function faultOf(options: InitOptions): string | undefined {
  const { issuer, audience, upstream = [], route = [], scope = [], open, from } = options;
  if (from !== undefined && (route.length > 0 || scope.length > 0 || open !== undefined))
    return "with --from the document says which routes there are: leave out --route, --scope and --open";
  if (from === undefined && upstream.length > 1) return "--upstream can be given once without --from";
  const patterns = [...route, ...(open === undefined ? [] : [open])];
  if (new Set(patterns).size < patterns.length) return "a route is given twice";
  const checks: readonly (readonly [Check, readonly (string | undefined)[]])[] = [
    [issuerFault, [issuer]],
    [audienceFault, [audience]],
    [upstreamFault, from === undefined ? upstream : []],
    [routeFault, patterns],
    [scopeFault, scope],
  ];
  return checks
    .flatMap(([check, values]) => values.map((value) => (value === undefined ? undefined : check(value))))
    .find((fault) => fault !== undefined);
}

async function starter(options: InitOptions): Promise<string | number> {
  const ask = options.yes === true ? undefined : questions(process.stdin, process.stderr);
  if (ask === undefined) return starterFile(completed(options));
  try {
    const answered = await answers(options, ask);
    const wrong = answered === undefined ? undefined : faultOf(answered);
    if (wrong !== undefined) return complain(wrong, 2);
    return answered === undefined ? complain("nothing was written", 1) : starterFile(completed(answered));
  } finally {
    ask.end();
  }
}

/** Without a word about credentials these are API keys: they need nobody else to work. */
function completed(options: InitOptions): StarterOptions {
  const { issuer, audience = AUDIENCE, upstream, route, scope, open, apiKey, redis } = options;
  return {
    issuer,
    audience,
    apiKeys: apiKey === true || issuer === undefined,
    upstream: upstream?.[0] ?? UPSTREAM,
    routes: route ?? [ROUTE],
    scopes: scope ?? [],
    open,
    redis: redis === true,
  };
}

/** The options together with what the user says; undefined when he breaks off. */
async function answers(options: InitOptions, ask: Ask): Promise<InitOptions | undefined> {
  const issuer =
    options.issuer ?? (await ask.text("Issuer of tokens (empty: API keys only)", "", optional(issuerFault)));
  if (issuer === undefined) return undefined;
  const audience =
    options.audience ??
    (issuer === "" ? AUDIENCE : await ask.text("Audience of the tokens", AUDIENCE, audienceFault));
  const apiKey = options.apiKey ?? (issuer === "" ? true : await ask.yes("API keys as well?", false));
  if (audience === undefined || apiKey === undefined) return undefined;
  const upstream =
    options.upstream?.[0] ?? (await ask.text("URL of the API behind the gateway", UPSTREAM, upstreamFault));
  if (upstream === undefined) return undefined;
  const route = options.route ?? (await ask.list("First route", ROUTE, routeFault));
  const scope =
    options.scope ??
    (route && (await ask.list("Scope that it asks for (empty: none)", "", optional(scopeFault))));
  if (route === undefined || scope === undefined) return undefined;
  const open =
    options.open ??
    (await ask.text("A route for everyone, such as GET /health (empty: none)", "", optional(routeFault)));
  const redis =
    open === undefined ? undefined : (options.redis ?? (await ask.yes("Count limits in Redis?", false)));
  if (open === undefined || redis === undefined) return undefined;
  const { issuer: _, open: __, ...rest } = options;
  return {
    ...rest,
    ...(issuer === "" ? {} : { issuer }),
    ...(open === "" ? {} : { open }),
    audience,
    apiKey,
    upstream: [upstream],
    route,
    scope: scope.filter((one) => one !== ""),
    redis,
  };
}

function optional(check: Check): Check {
  return (value) => (value === "" ? undefined : check(value));
}

async function fromDocument(from: string, options: InitOptions): Promise<string | number> {
  const texts = (options.upstream ?? []).map((text) => (isUpstreamUrl(text) ? `api=${text}` : text));
  const upstreams = parseUpstreams(texts);
  if (!upstreams.ok) return complain(upstreams.error, 2);
  const { issuer, audience } = options;
  const imported = await importOpenApi(from, {
    upstreams: upstreams.value,
    issuer,
    audience,
    openUndeclared: false,
  });
  if (!imported.ok) return tellFault(from, imported.error);
  const { yaml, routes, leftOut, remarks } = imported.value;
  const told = `${from}: ${routes} routes, ${leftOut.length} operations left out, ${remarks.length} remarks`;
  process.stderr.write(`${oneLine(told, 300)} (gatewarden import openapi lists them)\n`);
  if (options.redis !== true) return yaml;
  const redis = `redis: ${variableOf("REDIS_URL", "redis://127.0.0.1:6379")}`;
  return `${yaml}\n# All instances count limits together.\n${redis}\n`;
}

async function nextSteps(file: string, { from }: InitOptions): Promise<string> {
  const { config } = await inspectConfig(file, process.env);
  const { bold, dim } = paint(process.stdout);
  const where = file === "gateway.yaml" ? "" : ` -c ${oneLine(file)}`;
  const withKeys = config?.routes.filter(({ auth }) => auth.flat().includes("apiKey")) ?? [];
  const scopes = withKeys.flatMap(({ authz }) => authz.scopes?.scopes ?? []);
  const create = `key create --id my-service --scopes ${oneLine([...new Set(scopes)].slice(0, 3).join(",")) || "read"}`;
  const [first] = config?.routes[0]?.matches ?? [];
  const path = first === undefined ? "/" : pathOf(first).replaceAll(ANY_VALUE, "1");
  const request = oneLine(`${first?.methods[0] ?? "GET"} ${path}`, 200);
  const against: readonly (readonly [string, string])[] =
    from === undefined
      ? []
      : [[`check${where} --against ${oneLine(from)}`, "where it differs from the document"]];
  const steps: readonly (readonly [string, string])[] = [
    ...(withKeys.length > 0 ? [[create, "make an API key; its line goes below apiKeys"] as const] : []),
    [`check${where}`, "every mistake at once"],
    ...against,
    [`explain ${request}${where}`, "what a request would meet, and why"],
    [`test${where}`, "the tests in the file"],
    [`start${where}`, "serve it"],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  const lines = steps.map(([command, why]) => `  gatewarden ${command.padEnd(width)}  ${dim(why)}`);
  return `${bold(`Written to ${oneLine(file)}.`)} Next:\n\n${lines.join("\n")}\n`;
}
