// The shapes of the sections that belong to no other room, and of a route as a whole.

import * as z from "zod";
import { apiKeyShape } from "../authn/api-key/options.ts";
import { authOption, credentialsOption } from "../authn/options.ts";
import { ipsOption, requireOption, rolesOption, scopesOption } from "../authz/options.ts";
import { OBSERVE_PARTS } from "../core/observe.ts";
import { DURATION, DURATION_HINT, SIZE, SIZE_HINT } from "../core/units.ts";
import { NAME, NAME_HINT, notYet, SECRET_FILE, VARIABLE, variable } from "../core/wording.ts";
import { keyLimitsOption, limitOption } from "../rate-limit/options.ts";
import { matchOption, methodsOption } from "../routing/options.ts";
import { headersOption, timeoutsOption } from "../upstream/options.ts";

const duration = z.string(DURATION_HINT).regex(DURATION, DURATION_HINT);
const size = z.string(SIZE_HINT).regex(SIZE, SIZE_HINT);
const count = z.int().min(1).max(1_000_000);
const later = (key: string) => z.never(notYet(key)).optional();

const address = z
  .string()
  .describe("host:port, or :port for every IPv4 address")
  .meta({ examples: ["0.0.0.0:8080", ":8080"] });
const listener = z.strictObject({
  address,
  tls: later("tls"),
  http2: later("http2"),
  redirectToHttps: later("redirectToHttps"),
});
const LISTEN_HINT = "expected an address such as 0.0.0.0:8080, a map with `address`, or a list of them";

/** One address that the gateway listens on. */
export const listenerOption = z.union([address, listener], LISTEN_HINT);

/** Where the gateway listens. */
export const listenOption = z
  .union([address, listener, z.array(listenerOption).min(1)], LISTEN_HINT)
  .describe("Addresses that the gateway listens on; 0.0.0.0:8080 unless said")
  .meta({ default: "0.0.0.0:8080", examples: ["127.0.0.1:8080", [":8080", "[::1]:8081"]] });

export const adminShape = {
  listen: address
    .describe("host:port; 127.0.0.1:9090 unless said. Beyond loopback only with `token`")
    .meta({ default: "127.0.0.1:9090", examples: ["0.0.0.0:9090"] })
    .optional(),
  token: z
    .string()
    .describe(
      `Bearer token of at least 32 characters that every request has to carry, as ${VARIABLE} or ${SECRET_FILE}`,
    )
    .meta({ examples: [variable("ADMIN_TOKEN"), variable("file:secrets/admin-token")] })
    .optional(),
};

/** `admin`: a loopback address, or a map. */
export const adminOption = z
  .union(
    [address, z.strictObject(adminShape)],
    "expected an address such as 127.0.0.1:9090, or a map with `listen`",
  )
  .describe("Port for operators: health, metrics and the admin API. Off without this section")
  .meta({ examples: ["127.0.0.1:9090", { listen: "0.0.0.0:9090", token: variable("ADMIN_TOKEN") }] });

export const healthOption = z
  .union(
    [
      z.literal(false),
      z.strictObject({
        live: z
          .string()
          .describe("Path that answers while the process lives")
          .meta({ default: "/healthz", examples: ["/livez"] })
          .optional(),
        ready: z
          .string()
          .describe("Path that answers 503 while the gateway can't or shouldn't take requests")
          .meta({ default: "/readyz", examples: ["/ready"] })
          .optional(),
      }),
    ],
    "expected {live: /healthz, ready: /readyz}, or false",
  )
  .describe("Paths that answer load balancers on the traffic port")
  .meta({
    default: { live: "/healthz", ready: "/readyz" },
    examples: [{ live: "/livez", ready: "/readyz" }, false],
  });

export const trustedProxiesOption = z
  .array(z.string())
  .describe("Addresses and CIDR ranges whose X-Forwarded-* are believed; none unless said")
  .meta({ default: [], examples: [["10.0.0.0/8", "2001:db8::/32"]] });

export const limitsShape = {
  headers: size
    .describe("Header section of a request; 16KiB unless said")
    .meta({ default: "16KiB", examples: ["32KiB"] })
    .optional(),
  headerCount: z
    .int()
    .min(1)
    .max(2_000)
    .describe("Header lines of a request; 100 unless said")
    .meta({ default: 100, examples: [200] })
    .optional(),
  body: size
    .describe("Body of a request; 10MiB unless said")
    .meta({ default: "10MiB", examples: ["1MiB"] })
    .optional(),
  url: size
    .describe("Request target; 8KiB unless said")
    .meta({ default: "8KiB", examples: ["4KiB"] })
    .optional(),
  headerTimeout: duration
    .describe("Time to receive the header section; 10s unless said")
    .meta({ default: "10s", examples: ["5s"] })
    .optional(),
  requestTimeout: duration
    .describe("Time to receive a whole request; 60s unless said")
    .meta({ default: "60s", examples: ["5m"] })
    .optional(),
  idleTimeout: duration
    .describe("Time that an idle connection is kept; 75s unless said")
    .meta({ default: "75s", examples: ["2m"] })
    .optional(),
  connections: count
    .describe("Open client connections; 10000 unless said")
    .meta({ default: 10_000, examples: [20_000] })
    .optional(),
  inFlight: count
    .describe("Requests in work at one time; 5000 unless said")
    .meta({ default: 5_000, examples: [1_000] })
    .optional(),
};

export const pathsShape = {
  encodedSlash: z
    .enum(["refuse", "keep"])
    .describe("%2F in a path: refuse (default) or keep as it is")
    .optional(),
  semicolon: z.enum(["refuse", "keep"]).describe("`;` in a path: refuse (default) or keep").optional(),
  duplicateSlash: z
    .enum(["refuse", "merge", "keep"])
    .describe("`//` in a path: refuse (default), merge into one, or keep")
    .optional(),
  caseSensitive: z
    .boolean()
    .describe("false: patterns match paths in any case; true unless said")
    .meta({ default: true, examples: [false] })
    .optional(),
};

export const drainShape = {
  delay: duration
    .describe("Time between failing readiness and closing the listeners; 0s unless said")
    .meta({ default: "0s", examples: ["5s"] })
    .optional(),
  timeout: duration
    .describe("Time that requests in flight are given; 30s unless said")
    .meta({ default: "30s", examples: ["1m"] })
    .optional(),
};

const redisUrl = z.string();
const redisNodes = z.array(z.string()).min(1);
const redisSecret = (meaning: string) =>
  z
    .string()
    .min(1, "expected a password")
    .describe(meaning)
    .meta({ examples: [variable("REDIS_PASSWORD"), variable("file:secrets/redis-password")] })
    .optional();

const pemFile = (meaning: string) =>
  z
    .string()
    .min(1, "expected the path of a file")
    .describe(`PEM file with ${meaning}`)
    .meta({ examples: ["redis-ca.pem"] })
    .optional();

/** PEM files of the connections to Redis. */
export const redisTlsShape = {
  ca: pemFile("the authorities that are trusted; those of Node.js unless said"),
  cert: pemFile("the gateway's own certificate, with `key`"),
  key: pemFile("the private key of `cert`"),
  serverName: z
    .string()
    .min(1, "expected a host name")
    .describe("Name that the server's certificate must hold; the one connected to unless said")
    .meta({ examples: ["redis.internal"] })
    .optional(),
};

export const redisShape = {
  url: redisUrl
    .describe("redis:// or rediss:// URL of one server")
    .meta({ examples: ["redis://redis:6379/0", "rediss://redis.internal:6380"] })
    .optional(),
  sentinels: redisNodes
    .describe("host:port of Sentinels, with `name`; port 26379 unless said")
    .meta({ examples: [["sentinel-1:26379", "sentinel-2:26379", "sentinel-3:26379"]] })
    .optional(),
  name: z
    .string()
    .min(1, "expected the name of a master")
    .describe("Master that the Sentinels watch")
    .meta({ examples: ["mymaster"] })
    .optional(),
  cluster: redisNodes
    .describe("host:port of some nodes of a Redis Cluster, which tell the others; port 6379 unless said")
    .meta({ examples: [["redis-1:6379", "redis-2:6379"]] })
    .optional(),
  username: z
    .string()
    .min(1, "expected a user name")
    .describe("User of Redis's access control list")
    .meta({ examples: ["gatewarden"] })
    .optional(),
  password: redisSecret(`Password, only as ${VARIABLE} or ${SECRET_FILE}`),
  passwordFile: z
    .string()
    .min(1, "expected the path of a file")
    .describe(
      "File with the password, read again for every connection, so that a new password needs no restart",
    )
    .meta({ examples: ["secrets/redis-password"] })
    .optional(),
  sentinelUsername: z
    .string()
    .min(1, "expected a user name")
    .describe("User of the Sentinels")
    .meta({ examples: ["sentinel"] })
    .optional(),
  sentinelPassword: redisSecret(`Password of the Sentinels, only as ${VARIABLE} or ${SECRET_FILE}`),
  database: z
    .int()
    .min(0)
    .max(99_999)
    .describe("Number of the database; 0 unless said")
    .meta({ default: 0, examples: [1] })
    .optional(),
  tls: z
    .union(
      [z.literal(true), z.strictObject(redisTlsShape)],
      "expected a map such as {ca: redis-ca.pem}, or true",
    )
    .describe(
      "Encrypted connections; certificates are always checked, and the files read again for every connection",
    )
    .meta({ examples: [true, { ca: "redis-ca.pem" }] })
    .optional(),
  prefix: z
    .string()
    .regex(
      /^[A-Za-z0-9:._-]{1,64}$/,
      "expected 1 to 64 letters, digits, colons, dots, dashes and underscores",
    )
    .describe("First part of every key; gw unless said")
    .meta({ default: "gw", examples: ["shop"] })
    .optional(),
  timeout: duration
    .describe("Deadline of one call; 50ms unless said")
    .meta({ default: "50ms", examples: ["100ms"] })
    .optional(),
};

/** Where limits are counted together. */
export const redisOption = z
  .union(
    [redisUrl, z.strictObject(redisShape)],
    "expected a redis:// URL, or a map with `url`, `sentinels` or `cluster`",
  )
  .describe("Shared store of the limits; without it each instance counts alone")
  .meta({ examples: [variable("REDIS_URL"), { url: "redis://redis:6379", prefix: "gw" }] });

export const apiKeyHeadersOption = z
  .array(z.string())
  .min(1)
  .describe("Header fields that may carry an API key; [X-API-Key] unless said")
  .meta({ default: ["X-API-Key"], examples: [["X-API-Key", "X-Partner-Key"]] });

/** One entry of `apiKeys`. */
export const apiKeyEntryShape = { ...apiKeyShape, limits: keyLimitsOption.optional() };

export const identityShape = {
  headers: z
    .record(z.string(), z.union([z.string(), z.literal(false)], "expected a fact such as subject, or false"))
    .describe(
      "Header → subject, scopes, roles, email, org, method, client, tier or claims.NAME; false leaves one out",
    )
    .meta({ examples: [{ "X-Plan": "claims.plan", "X-User-Email": false }] })
    .optional(),
  preset: z.enum(["kong", "oauth2-proxy"]).describe("Header names of another gateway").optional(),
  sign: later("sign"),
};

export const corsShape = {
  origins: z
    .union([z.string(), z.array(z.string()).min(1)], "expected an origin, or a list of origins")
    .describe("Origins such as https://app.example.com, or `*`")
    .meta({ examples: ["https://app.example.com", "*"] }),
  methods: methodsOption.optional(),
  headers: z
    .array(z.string())
    .min(1)
    .describe("Request fields that scripts may send")
    .meta({ examples: [["Authorization", "Content-Type"]] })
    .optional(),
  credentials: z
    .boolean()
    .describe("Whether browsers may send cookies and the like")
    .meta({ default: false, examples: [true] })
    .optional(),
  maxAge: duration
    .describe("Time that browsers may remember the answer; 10m unless said")
    .meta({ default: "10m", examples: ["1h"] })
    .optional(),
  expose: z
    .array(z.string())
    .min(1)
    .describe("Response fields that scripts may read")
    .meta({ examples: [["X-Request-Id"]] })
    .optional(),
};

/** `cors`: a map, or false for none. */
export const corsOption = z
  .union([z.strictObject(corsShape), z.literal(false)], "expected a map with `origins`, or false")
  .describe("Which web pages may call")
  .meta({ examples: [{ origins: ["https://app.example.com"], credentials: true }] });

/** `observe`: what is decided and told, but not enforced. */
export const observeOption = z
  .union(
    [z.boolean(), z.array(z.enum(OBSERVE_PARTS)).min(1)],
    `expected true, false, or a list of ${OBSERVE_PARTS.join(", ")}`,
  )
  .describe("Checks that are made, logged and counted, but not enforced: true for all, or a list of some")
  .meta({ examples: [true, ["scopes", "limit"]] });

const guards = {
  auth: authOption.optional(),
  scopes: scopesOption.optional(),
  roles: rolesOption.optional(),
  credentials: credentialsOption.optional(),
  limit: limitOption.optional(),
  cors: corsOption.optional(),
  headers: headersOption.optional(),
  timeouts: timeoutsOption.optional(),
  ips: ipsOption.optional(),
  forwardCredentials: z
    .boolean()
    .describe("Whether the client's credentials reach the upstream")
    .meta({ default: false, examples: [true] })
    .optional(),
  observe: observeOption.optional(),
};

/** `defaults`: what every route has that doesn't say otherwise. */
export const defaultsShape = guards;

/** One entry of `routes`. */
export const routeShape = {
  match: matchOption,
  to: z
    .string()
    .describe("Name of the upstream")
    .meta({ examples: ["api"] }),
  name: z
    .string()
    .regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/, NAME_HINT)
    .describe("Name in logs and metrics; the first pattern unless said")
    .meta({ examples: ["edit-module"] })
    .optional(),
  public: z
    .boolean()
    .describe("true: no credential is needed")
    .meta({ default: false, examples: [true] })
    .optional(),
  optional: z
    .boolean()
    .describe("true: callers without a credential pass as anonymous")
    .meta({ default: false, examples: [true] })
    .optional(),
  methods: methodsOption.optional(),
  require: requireOption.optional(),
  stripPrefix: z
    .string()
    .describe("Beginning of the path that the upstream doesn't get")
    .meta({ examples: ["/api"] })
    .optional(),
  ...guards,
  rewrite: later("rewrite"),
  body: later("body"),
  schema: later("schema"),
  mcp: later("mcp"),
};

/** Names in maps such as `issuers`. */
export const nameKey = z.string().regex(NAME, NAME_HINT);

/** Sections that are documented and come later. */
export const LATER_SECTIONS = ["workers", "store", "tokens", "oidc", "events"] as const;
