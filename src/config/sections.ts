// The sections of a file: which exist, and the schema of the whole for editors.

import * as z from "zod";
import { failedCredentialsOption } from "../authn/failures/options.ts";
import { issuerShape } from "../authn/jwt/options.ts";
import { roleShape } from "../authz/options.ts";
import { notYet } from "../core/wording.ts";
import { globalLimitOption, tierRate } from "../rate-limit/options.ts";
import { logsOption } from "../telemetry/options.ts";
import { upstreamShape } from "../upstream/options.ts";
import {
  adminOption,
  apiKeyEntryShape,
  apiKeyHeadersOption,
  corsOption,
  defaultsShape,
  drainShape,
  healthOption,
  identityShape,
  LATER_SECTIONS,
  limitsShape,
  listenOption,
  nameKey,
  pathsShape,
  redisOption,
  routeShape,
  trustedProxiesOption,
} from "./options.ts";
import { MOST_TESTS, testShape } from "./test-options.ts";

/** Sections that are documented and come later, each refused with a message of its own. */
export const LATER = Object.fromEntries(
  LATER_SECTIONS.map((name) => [name, z.never(notYet(name)).optional()]),
);

/** The version of the file format that this program reads. */
export const FORMAT_VERSION = 1;

/** Every section of gateway.yaml. */
export const sections = {
  version: z.literal(FORMAT_VERSION).describe("Version of the file format").optional(),
  listen: listenOption.optional(),
  admin: adminOption.optional(),
  health: healthOption.optional(),
  trustedProxies: trustedProxiesOption.optional(),
  limits: z.strictObject(limitsShape).describe("Bounds of requests and connections").optional(),
  paths: z.strictObject(pathsShape).describe("How doubtful request targets are treated").optional(),
  drain: z.strictObject(drainShape).describe("How the gateway stops").optional(),
  redis: redisOption.optional(),
  issuers: z.record(nameKey, z.strictObject(issuerShape)).describe("Issuers of tokens, by name").optional(),
  apiKeys: z.array(z.strictObject(apiKeyEntryShape)).describe("API keys").optional(),
  apiKeyHeaders: apiKeyHeadersOption.optional(),
  failedCredentials: failedCredentialsOption.optional(),
  roles: z.record(nameKey, z.strictObject(roleShape)).describe("Roles, by name").optional(),
  tiers: z
    .record(nameKey, tierRate)
    .describe(
      "Rates by tier, for limits that say `tier`. A tier comes from the key, a role or a claim; callers without a credential are `guest`, those whose credential names none `user`",
    )
    .optional(),
  globalLimit: globalLimitOption.optional(),
  identity: z
    .strictObject(identityShape)
    .describe("Headers that tell the upstream who is calling")
    .optional(),
  cors: corsOption.optional(),
  upstreams: z
    .record(
      nameKey,
      z.union([z.string(), z.strictObject(upstreamShape)], "expected a URL, or a map with `url`"),
    )
    .describe("Servers behind the gateway, by name"),
  defaults: z
    .strictObject(defaultsShape)
    .describe("What every route has that doesn't say otherwise")
    .optional(),
  routes: z
    .array(z.strictObject(routeShape))
    .min(1)
    .describe("Routes; the most specific one wins, order never matters"),
  logs: logsOption.optional(),
  legacyRateLimitHeaders: z.boolean().describe("Send X-RateLimit-* too").optional(),
  tests: z
    .array(z.strictObject(testShape))
    .max(MOST_TESTS)
    .describe("Requests and what has to become of them; `gatewarden test` runs them without a network")
    .optional(),
  ...LATER,
};

/** The whole file, for the JSON Schema. */
export const fileSchema = z.strictObject(sections);
