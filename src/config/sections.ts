// The sections of a file: which exist, and the schema of the whole for editors.

import * as z from "zod";
import { failedCredentialsOption } from "../authn/failures/options.ts";
import { issuerShape } from "../authn/jwt/options.ts";
import { roleShape } from "../authz/options.ts";
import { notYet, variable } from "../core/wording.ts";
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
  limits: z
    .strictObject(limitsShape)
    .describe("Bounds of requests and connections")
    .meta({ examples: [{ body: "1MiB", requestTimeout: "30s" }] })
    .optional(),
  paths: z
    .strictObject(pathsShape)
    .describe("How doubtful request targets are treated")
    .meta({ examples: [{ duplicateSlash: "merge" }] })
    .optional(),
  drain: z
    .strictObject(drainShape)
    .describe("How the gateway stops")
    .meta({ examples: [{ delay: "5s", timeout: "30s" }] })
    .optional(),
  redis: redisOption.optional(),
  issuers: z
    .record(nameKey, z.strictObject(issuerShape))
    .describe("Issuers of tokens, by name")
    .meta({ examples: [{ corp: { issuer: "https://login.example.com/", audience: "my-api" } }] })
    .optional(),
  apiKeys: z
    .array(z.strictObject(apiKeyEntryShape))
    .describe("API keys")
    .meta({ examples: [[{ id: "ci-bot", value: variable("CI_BOT_KEY"), scopes: ["modules:read"] }]] })
    .optional(),
  apiKeyHeaders: apiKeyHeadersOption.optional(),
  failedCredentials: failedCredentialsOption.optional(),
  roles: z
    .record(nameKey, z.strictObject(roleShape))
    .describe("Roles, by name")
    .meta({ examples: [{ viewer: { scopes: ["modules:read"] }, editor: { inherits: ["viewer"] } }] })
    .optional(),
  tiers: z
    .record(nameKey, tierRate)
    .describe(
      "Rates by tier, for limits that say `tier`. A tier comes from the key, a role or a claim; callers without a credential are `guest`, those whose credential names none `user`",
    )
    .meta({ examples: [{ guest: "10/h", user: "100/h", partner: "1000/h", admin: false }] })
    .optional(),
  globalLimit: globalLimitOption.optional(),
  identity: z
    .strictObject(identityShape)
    .describe("Headers that tell the upstream who is calling")
    .meta({ examples: [{ headers: { "X-Plan": "claims.plan" } }] })
    .optional(),
  cors: corsOption.optional(),
  upstreams: z
    .record(
      nameKey,
      z.union([z.string(), z.strictObject(upstreamShape)], "expected a URL, or a map with `url`"),
    )
    .describe("Servers behind the gateway, by name")
    .meta({ examples: [{ api: "http://127.0.0.1:9000" }] }),
  defaults: z
    .strictObject(defaultsShape)
    .describe("What every route has that doesn't say otherwise")
    .meta({ examples: [{ auth: ["jwt", "apiKey"], limit: "100/min per user" }] })
    .optional(),
  routes: z
    .array(z.strictObject(routeShape))
    .min(1)
    .describe("Routes; the most specific one wins, order never matters")
    .meta({ examples: [[{ match: "GET /modules", to: "api", scopes: ["modules:read"] }]] }),
  logs: logsOption.optional(),
  legacyRateLimitHeaders: z
    .boolean()
    .describe("Send X-RateLimit-* too")
    .meta({ default: false, examples: [true] })
    .optional(),
  tests: z
    .array(z.strictObject(testShape))
    .max(MOST_TESTS)
    .describe("Requests and what has to become of them; `gatewarden test` runs them without a network")
    .meta({ examples: [[{ request: "GET /modules", expect: 401 }]] })
    .optional(),
  ...LATER,
};

/** The whole file, for the JSON Schema. */
export const fileSchema = z.strictObject(sections);
