// Compiles a whole file, section by section, in the order in which sections refer to each other.

import * as z from "zod";
import { notYet } from "../../core/wording.ts";
import { globalLimitOption } from "../../rate-limit/options.ts";
import type { CorsPolicy, GatewayConfig } from "../gateway-config.ts";
import { kindOf, reportUnknownKey } from "../issues.ts";
import { lint } from "../lint/lint.ts";
import { corsOption } from "../options.ts";
import { readValue } from "../read.ts";
import type { Report } from "../report.ts";
import { FORMAT_VERSION, LATER, sections } from "../sections.ts";
import { nearest } from "../suggest.ts";
import { entryOf, type MapEntry, type MapNode, type Place, type TreeNode } from "../tree.ts";
import { compileApiKeyHeaders, compileApiKeys } from "./api-keys.ts";
import { compileCors } from "./cors.ts";
import { compileFailedCredentials } from "./failed-credentials.ts";
import { compileIdentity } from "./identity.ts";
import { compileIssuers } from "./issuers.ts";
import { type NamedLimit, nameLimits, SharedLimits } from "./limit-names.ts";
import { compileLimits, type LimitRules } from "./limits.ts";
import { compileRoles } from "./roles.ts";
import { compileRoutes } from "./routes.ts";
import { compileHealth, compilePaths, compileServer } from "./server.ts";
import { compileTests } from "./tests.ts";
import { compileTiers } from "./tiers.ts";
import { checkUnused } from "./unused.ts";
import { compileUpstreams } from "./upstreams.ts";

type SectionName = keyof typeof sections;

const SECTION_NAMES = Object.keys(sections);

/** The configuration that the tree describes. With errors in the report it is incomplete and must not be used. */
export async function compileFile(report: Report, root: TreeNode): Promise<GatewayConfig | undefined> {
  if (root.kind !== "map") {
    report.add(root.at, [], "type_invalid", `expected a map of sections, found ${kindOf(root)}`);
    return undefined;
  }
  const found = sectionsIn(root);
  checkSections(report, root, found);
  const place = (name: SectionName): Place | undefined => {
    const entry = found.get(name);
    return entry && { node: entry.value, path: [name] };
  };
  const paths = compilePaths(report, place("paths"));
  const health = compileHealth(report, place("health"), paths);
  const issuers = await compileIssuers(report, place("issuers"));
  const tiers = compileTiers(report, place("tiers"));
  const sharedLimits = new SharedLimits(report);
  const shared = place("redis") !== undefined;
  const globalLimits = compileGlobalLimits(report, place("globalLimit"), { tiers, shared });
  sharedLimits.addNamed(globalLimits);
  const roles = compileRoles(report, place("roles"), tiers);
  const apiKeys = compileApiKeys(report, place("apiKeys"), { roles, tiers, shared, sharedLimits });
  const keyHeaders = compileApiKeyHeaders(report, place("apiKeyHeaders"));
  const identity = compileIdentity(report, place("identity"));
  const upstreams = compileUpstreams(report, place("upstreams"));
  const routes = compileRoutes(
    report,
    { defaults: place("defaults"), routes: place("routes") },
    {
      verifiers: { issuers: namesIn(place("issuers")) },
      roles,
      upstreams: upstreams.names,
      paths,
      keyHeaders,
      identityNames: identity.names,
      cors: globalCors(report, place("cors"), keyHeaders),
      ownPaths: health === undefined ? [] : [health.live, health.ready],
      tiers,
      shared,
      globalLimits,
      sharedLimits,
    },
  );
  const tests = compileTests(report, place("tests"), {
    roles,
    tiers,
    keyHeaders,
    keys: idsIn(place("apiKeys")),
    issuers: namesIn(place("issuers")),
    upstreams: upstreams.names,
    routes,
    keyLimits: apiKeys.limits,
  });
  if (!report.failed) checkUnused(report, root, routes, tiers);
  const config: GatewayConfig = {
    file: report.file,
    ...(await compileServer(report, place)),
    health,
    paths,
    issuers,
    apiKeys: apiKeys.records,
    keyLimits: apiKeys.limits,
    apiKeyHeaders: keyHeaders,
    failedCredentials: compileFailedCredentials(report, place("failedCredentials")),
    roles,
    identity: identity.mapping,
    identityNames: identity.names,
    upstreams: upstreams.policies,
    routes,
    globalLimits: globalLimits.map(({ limit }) => limit),
    legacyRateLimitHeaders: legacyHeaders(report, place("legacyRateLimitHeaders")),
    tests,
  };
  if (!report.failed) lint(report, root, config, Date.now());
  return config;
}

/** The sections by name; also those whose misspelt names were probably meant to be theirs. */
function sectionsIn(root: MapNode): ReadonlyMap<string, MapEntry> {
  const found = new Map<string, MapEntry>();
  for (const entry of root.entries)
    if (Object.hasOwn(sections, entry.key) && !found.has(entry.key)) found.set(entry.key, entry);
  const unknown = root.entries.filter(({ key }) => !Object.hasOwn(sections, key));
  for (const entry of unknown.slice(0, MOST_MISSPELT)) {
    const meant = nearest(entry.key, SECTION_NAMES);
    if (meant !== undefined && !found.has(meant)) found.set(meant, entry);
  }
  return found;
}

const MOST_MISSPELT = 50;

function checkSections(report: Report, root: MapNode, found: ReadonlyMap<string, MapEntry>): void {
  for (const { key, keyAt, value } of root.entries) {
    if (!Object.hasOwn(sections, key)) reportUnknownKey(report, keyAt, [key], key, SECTION_NAMES);
    else if (Object.hasOwn(LATER, key)) report.add(keyAt, [key], "not_supported_yet", notYet(key));
    else if (key === "version" && !(value.kind === "scalar" && value.value === FORMAT_VERSION)) {
      report.add(
        value.at,
        [key],
        "value_invalid",
        `this program reads version ${FORMAT_VERSION} of the file format`,
        {
          hint: "a file of a later version needs a later program",
        },
      );
    }
  }
  for (const name of ["upstreams", "routes"] as const) {
    if (!found.has(name)) report.add(root.at, [name], "required_key", `\`${name}\` is required`);
  }
}

function namesIn(place: Place | undefined): ReadonlySet<string> {
  return new Set(place?.node.kind === "map" ? place.node.entries.map((entry) => entry.key) : []);
}

/** Ids of the keys, also of entries with mistakes. */
function idsIn(place: Place | undefined): ReadonlySet<string> {
  const entries = place?.node.kind === "list" ? place.node.items : [];
  return new Set(
    entries.flatMap((entry) => {
      const id = entryOf(entry, "id")?.value;
      return id?.kind === "scalar" && typeof id.value === "string" ? [id.value] : [];
    }),
  );
}

function globalCors(
  report: Report,
  place: Place | undefined,
  keyHeaders: readonly string[],
): CorsPolicy | undefined {
  if (place === undefined) return undefined;
  const field = { ...place, value: readValue(report, place, corsOption), present: true };
  const cors = compileCors(report, field, keyHeaders);
  return cors === "off" ? undefined : cors;
}

function compileGlobalLimits(
  report: Report,
  place: Place | undefined,
  around: Omit<LimitRules, "ofKey">,
): readonly NamedLimit[] {
  if (place === undefined) return [];
  const field = { ...place, value: readValue(report, place, globalLimitOption), present: true };
  return nameLimits(compileLimits(report, field, { ...around, ofKey: false }), "global");
}

function legacyHeaders(report: Report, place: Place | undefined): boolean {
  return place === undefined ? false : (readValue(report, place, z.boolean()) ?? false);
}
