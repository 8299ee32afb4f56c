// Notes the choices that are allowed and that whoever runs the gateway should know of. Each is told once, where it is made.

import { formatAddress, isLoopback } from "../../core/address.ts";
import type { GatewayConfig, RoutePolicy } from "../gateway-config.ts";
import type { DiagnosticCode } from "../report.ts";
import type { Path } from "../tree.ts";
import type { LintContext } from "./place.ts";

// Half a minute is the usual tolerance; more is hardly needed where clocks are kept.
const LONG_LEEWAY_SECONDS = 60;
// Ranges of more than this many addresses are hardly the proxies in front of a gateway.
const WIDE_IPV4_PREFIX = 8;
const WIDE_IPV6_PREFIX = 16;

/** Notes only. */
export function lintChoices(context: LintContext, config: GatewayConfig): void {
  const note = (path: Path, code: DiagnosticCode, message: string): void =>
    context.tell("note", path, code, message);
  noteEdge(config, note);
  noteIssuers(context, config, note);
  for (const [index, route] of config.routes.entries()) noteRoute(context, route, index, note);
  if (config.routes.some(({ cors }) => cors?.origins[0] === "*") && context.find(["cors"]) !== undefined) {
    const global = context.find(["cors", "origins"]);
    if (global?.kind === "scalar" && global.value === "*")
      note(["cors", "origins"], "cors_any_origin", "every web page may call");
  }
}

type Note = (path: Path, code: DiagnosticCode, message: string) => void;

function noteEdge({ paths, trustedProxies, failedCredentials, admin }: GatewayConfig, note: Note): void {
  for (const key of ["encodedSlash", "semicolon", "duplicateSlash"] as const) {
    if (paths[key] === "keep")
      note(
        ["paths", key],
        "path_check_loosened",
        "upstreams that read such paths in another way may be asked for more than the route allows",
      );
  }
  for (const [index, { bytes, prefix }] of trustedProxies.entries()) {
    const wide = bytes.length === 4 ? prefix < WIDE_IPV4_PREFIX : prefix < WIDE_IPV6_PREFIX;
    if (wide)
      note(
        ["trustedProxies", index],
        "proxies_wide",
        `every address of ${formatAddress(bytes)}/${prefix} may say who the client is`,
      );
  }
  if (failedCredentials === undefined)
    note(["failedCredentials"], "failures_unbounded", "credentials may be guessed without end");
  if (admin !== undefined && !isLoopback(admin.listen.host))
    note(["admin", "listen"], "admin_exposed", "the admin port is reached from beyond this machine");
}

function noteIssuers(context: LintContext, { issuers }: GatewayConfig, note: Note): void {
  const secrets = new Map<string, string>();
  for (const { name, audience, leewaySeconds, source } of issuers) {
    const at: Path = ["issuers", name];
    if (audience === undefined)
      note([...at, "audience"], "audience_unchecked", "tokens that were made for other services pass");
    if (leewaySeconds > LONG_LEEWAY_SECONDS)
      note([...at, "leeway"], "leeway_long", `tokens live ${leewaySeconds} s longer than they say`);
    const allow = context.find([...at, "allowHttp"]);
    if (allow?.kind === "scalar" && allow.value === true)
      note([...at, "allowHttp"], "issuer_plain_http", "who is between may replace the keys that are fetched");
    if (source.kind !== "secret") continue;
    const secret = Buffer.from(source.secret).toString("base64");
    const other = secrets.get(secret);
    if (other !== undefined)
      note(
        [...at, "secret"],
        "secret_shared",
        `the issuer ${other} has the same secret, so each can make the other's tokens`,
      );
    else secrets.set(secret, name);
  }
}

function noteRoute(context: LintContext, route: RoutePolicy, index: number, note: Note): void {
  const { access, limits, ips, cors, forwardCredentials } = route;
  if (access === "public") {
    if (ips.allow.length > 0)
      note(
        context.ofRoute(index, "ips"),
        "guard_by_address",
        "nothing but the client's address is asked for",
      );
    else if (limits.length === 0)
      note(["routes", index, "public"], "public_unlimited", "anybody may call as often as they like");
  }
  if (cors?.origins[0] === "*" && context.find(["routes", index, "cors"]) !== undefined)
    note(["routes", index, "cors", "origins"], "cors_any_origin", "every web page may call");
  else if (cors?.origins[0] === "*" && context.find(["defaults", "cors", "origins"]) !== undefined)
    note(["defaults", "cors", "origins"], "cors_any_origin", "every web page may call");
  if (forwardCredentials)
    note(
      context.ofRoute(index, "forwardCredentials"),
      "credentials_forwarded",
      "the upstream gets the client's own credentials and can use them elsewhere",
    );
  for (const [at, { onStoreFailure }] of limits.entries()) {
    if (onStoreFailure !== "allow") continue;
    const path = limitPath(context, index, at);
    note(path, "limit_off_without_store", "while Redis is away this limit holds nobody back");
  }
}

/** Where the limit `at` of a route stands: in its own `limit`, in `defaults`, or in `globalLimit`. */
function limitPath(context: LintContext, route: number, at: number): Path {
  const own = context.ofRoute(route, "limit");
  const node = own.at(-1) === "limit" ? context.find(own) : undefined;
  const count = node === undefined ? 0 : node.kind === "list" ? node.items.length : 1;
  if (at < count) return node?.kind === "list" ? [...own, at] : own;
  return context.find(["globalLimit"])?.kind === "list" ? ["globalLimit", at - count] : ["globalLimit"];
}
