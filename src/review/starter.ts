// The first gateway.yaml of a new user: short, commented, valid as it stands, and open to nobody by accident.

import { comment, listOf, scalarOf, variableOf } from "./yaml-text.ts";

/** What goes into the file. Every value is one that gateway.yaml takes. */
export interface StarterOptions {
  /** Issuer of tokens; undefined: none are taken. */
  readonly issuer: string | undefined;
  /** Audience of the tokens. */
  readonly audience: string;
  readonly apiKeys: boolean;
  /** URL of the upstream. */
  readonly upstream: string;
  /** Patterns of guarded routes, such as `GET /modules`; at least one. */
  readonly routes: readonly string[];
  /** Scopes that those routes ask for. */
  readonly scopes: readonly string[];
  /** Pattern of a route for everyone. */
  readonly open: string | undefined;
  /** Count limits together, in Redis. */
  readonly redis: boolean;
}

export const SCHEMA_LINE =
  "# yaml-language-server: $schema=./node_modules/gatewarden/config/gateway.schema.json";

/** The text of the file. It holds no secret, and needs no variable. */
export function starterFile(options: StarterOptions): string {
  const sections = [
    head(),
    issuers(options),
    apiKeys(options),
    redis(options),
    upstreams(options),
    defaults(options),
    routes(options),
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

function head(): string[] {
  return [
    SCHEMA_LINE,
    ...comment(
      "Which requests may pass to the upstream, and whose. `gatewarden check` tells every mistake at once.",
    ),
    ...comment("A line that begins with # and no space is an option that is switched off: take the # away."),
    "",
    "# Where clients connect. TLS ends at the load balancer in front.",
    variableLine("listen", "PORT", "8080", "0.0.0.0:"),
    "#admin: 127.0.0.1:9090",
  ];
}

function variableLine(key: string, variable: string, fallback: string, before = ""): string {
  return `${key}: ${before}\${${variable}:-${fallback}}`;
}

function issuers({ issuer, audience }: StarterOptions): string[] {
  const about = comment(
    "Who issues tokens, and the name of this API in their `aud`. Keys are found by the issuer's metadata.",
  );
  if (issuer === undefined)
    return [...about, "#issuers:", "  #corp: { issuer: https://login.example.com/, audience: my-api }"];
  return [
    ...about,
    "issuers:",
    "  corp:",
    `    issuer: ${scalarOf(issuer)}`,
    `    audience: ${scalarOf(audience)}`,
  ];
}

function apiKeys({ apiKeys: wanted, scopes }: StarterOptions): string[] {
  const names = scopes.length === 0 ? "read" : scopes.join(",");
  return [
    ...comment(
      `API keys. \`gatewarden key create --id my-service --scopes ${names}\` makes one and prints its line for here.`,
    ),
    wanted ? "apiKeys: []" : "#apiKeys: []",
  ];
}

function redis({ redis: wanted }: StarterOptions): string[] {
  return [
    ...comment("With Redis all instances count limits together. Without it each counts for itself."),
    `${wanted ? "" : "#"}redis: ${variableOf("REDIS_URL", "redis://127.0.0.1:6379")}`,
  ];
}

function upstreams({ upstream }: StarterOptions): string[] {
  return ["# Where requests go.", "upstreams:", `  api: ${scalarOf(upstream)}`];
}

function defaults({ issuer, apiKeys: keys }: StarterOptions): string[] {
  const auth = [...(issuer === undefined ? [] : ["jwt"]), ...(keys ? ["apiKey"] : [])];
  return [
    "# What every route has that doesn't say otherwise.",
    "defaults:",
    `  auth: ${listOf(auth)}`,
    `  limit: 100/min per ${issuer === undefined ? "key" : "user"}`,
  ];
}

function routes({ routes: guarded, scopes, open }: StarterOptions): string[] {
  const lines = [
    ...comment(
      "The most specific route wins, the order never matters. What no route matches is answered with 404.",
    ),
    "routes:",
  ];
  for (const match of guarded) {
    lines.push(`  - match: ${scalarOf(match)}`, "    to: api");
    lines.push(scopes.length === 0 ? "    #scopes: [modules:read]" : `    scopes: ${listOf(scopes)}`);
  }
  if (open !== undefined)
    lines.push(
      "",
      "  # For everyone, without a credential.",
      `  - match: ${scalarOf(open)}`,
      "    to: api",
      "    public: true",
      "    limit: 100/min per ip",
    );
  return lines;
}
