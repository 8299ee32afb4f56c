// The shape of one entry of `tests`.

import * as z from "zod";
import { heldScopes } from "../authz/options.ts";
import { DENIALS, type DenialCode } from "../core/denial.ts";
import { NAME, NAME_HINT, SECRET_FILE, VARIABLE, variable } from "../core/wording.ts";
import { ROUTABLE_METHODS } from "../routing/options.ts";

/** Most entries of `tests`. */
export const MOST_TESTS = 10_000;
/** Most requests that all tests of a file send together. */
export const MOST_REQUESTS = 1_000_000;
/** Most requests of one test. */
export const MOST_TIMES = 100_000;

/** Methods that a test may send: those of routes, and one that is never forwarded. */
export const TESTED_METHODS: readonly string[] = [...ROUTABLE_METHODS, "TRACE"];

const text = (hint: string) => z.string(hint).min(1, hint).max(8_192, hint);
const word = text("expected text");
const codes = Object.keys(DENIALS) as [DenialCode, ...DenialCode[]];
const code = z.enum(codes, "expected a code of docs/ERRORS.md such as scope_insufficient");

const HEADER_HINT = "expected a value, or a list of values for a header that stands there more than once";
const headerValue = z.union(
  [z.string(), z.number().transform(String), z.array(z.string()).min(1)],
  HEADER_HINT,
);

/** `request` as a map. */
export const testRequestShape = {
  method: z
    .string()
    .describe("GET unless said")
    .meta({ default: "GET", examples: ["POST"] })
    .optional(),
  path: text("expected a path such as /modules?page=2")
    .describe("Path and query, as on the request line")
    .meta({ examples: ["/modules?page=2"] }),
  host: word
    .describe("Host and port that the client addresses; localhost unless said")
    .meta({ default: "localhost", examples: ["api.example.com"] })
    .optional(),
  headers: z
    .record(z.string(), headerValue)
    .describe("Header fields of the request")
    .meta({ examples: [{ "X-Tenant": "acme" }] })
    .optional(),
  ip: word
    .describe("Address of whoever connects; 127.0.0.1 unless said")
    .meta({ default: "127.0.0.1", examples: ["203.0.113.7"] })
    .optional(),
  scheme: z.enum(["http", "https"]).describe("http unless said").optional(),
  upgrade: z
    .boolean()
    .describe("true: a whole WebSocket handshake")
    .meta({ default: false, examples: [true] })
    .optional(),
};

/** `as`: who sends the request. */
export const testCallerShape = {
  key: z
    .string()
    .describe("Id of an entry of `apiKeys`")
    .meta({ examples: ["ci-bot"] })
    .optional(),
  token: word
    .describe(
      `A real token, only as ${VARIABLE} or ${SECRET_FILE}; verified by the keys that stand in the file or beside it`,
    )
    .meta({ examples: [variable("TEST_TOKEN")] })
    .optional(),
  subject: word
    .describe("`test` unless said")
    .meta({ default: "test", examples: ["alice"] })
    .optional(),
  issuer: z
    .string()
    .describe("Name of an issuer of the file; the first that the route takes unless said")
    .meta({ examples: ["corp"] })
    .optional(),
  scopes: heldScopes
    .describe("Scopes that the caller holds")
    .meta({ examples: [["modules:read"]] })
    .optional(),
  roles: z
    .array(word)
    .describe("Roles that the caller has")
    .meta({ examples: [["editor"]] })
    .optional(),
  claims: z
    .record(z.string(), z.unknown())
    .describe("Claims of the token, read by the issuer's own rules")
    .meta({ examples: [{ org_id: "acme" }] })
    .optional(),
  org: word
    .describe("Organisation of the caller")
    .meta({ examples: ["acme"] })
    .optional(),
  email: word
    .describe("Address of the caller")
    .meta({ examples: ["alice@example.com"] })
    .optional(),
  tier: z
    .string()
    .regex(NAME, NAME_HINT)
    .describe("Tier of the caller")
    .meta({ examples: ["partner"] })
    .optional(),
  clientId: word
    .describe("OAuth client of the caller")
    .meta({ examples: ["web-app"] })
    .optional(),
};

const EXPECTED_HINT = "expected a value, or false for a header that must not be there";
const expectedFields = z.record(
  z.string(),
  z.union([z.string(), z.number().transform(String), z.literal(false)], EXPECTED_HINT),
);

/** `expect` as a map. */
export const testExpectShape = {
  status: z
    .int()
    .min(100)
    .max(599)
    .describe("200 when the request is let through (the upstream isn't asked), else that of the refusal")
    .meta({ examples: [200, 403] })
    .optional(),
  code: code.describe("Code of the refusal").optional(),
  grpcStatus: z
    .int()
    .min(0)
    .max(16)
    .describe("Status that a gRPC caller gets with a refusal")
    .meta({ examples: [16] })
    .optional(),
  route: word
    .describe("Name of the route that decides")
    .meta({ examples: ["edit-module"] })
    .optional(),
  upstream: z
    .string()
    .describe("Name of the upstream that gets the request")
    .meta({ examples: ["api"] })
    .optional(),
  path: word
    .describe("Path and query that the upstream is asked for, after `stripPrefix`")
    .meta({ examples: ["/modules?page=2"] })
    .optional(),
  headers: expectedFields
    .describe("Header fields that the upstream gets; false: must not get")
    .meta({ examples: [{ "X-User-Id": "alice", Authorization: false }] })
    .optional(),
  response: expectedFields
    .describe(
      "Header fields that the gateway puts on its answer, such as RateLimit-Limit or WWW-Authenticate; false: must not be there",
    )
    .meta({ examples: [{ "RateLimit-Limit": "100" }] })
    .optional(),
  limit: word
    .describe("Name of a limit that is looked at; of a 429 the one that refuses")
    .meta({ examples: ["exports"] })
    .optional(),
  limitKey: text("expected a caller such as user:alice, key:ci-bot or ip:203.0.113.7")
    .describe("Whom the limit counts, such as user:alice or ip:203.0.113.7")
    .meta({ examples: ["user:alice", "ip:203.0.113.7"] })
    .optional(),
  remaining: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .describe("Units that the limit has left afterwards")
    .meta({ examples: [99] })
    .optional(),
  observed: z
    .array(code)
    .describe("Codes of the refusals that are only observed")
    .meta({ examples: [["scope_insufficient"]] })
    .optional(),
};

const REQUEST_HINT = "expected text such as GET /modules, or a map with `path`";
const EXPECT_HINT = "expected a status such as 401, forward, refuse, or a map";

/** One entry of `tests`. */
export const testShape = {
  name: z
    .string()
    .min(1, "expected a name")
    .max(200)
    .describe("What the test is about")
    .meta({ examples: ["readers can list modules"] })
    .optional(),
  request: z
    .union([z.string(), z.strictObject(testRequestShape)], REQUEST_HINT)
    .describe("The request, such as `GET /modules`, or a map")
    .meta({
      examples: ["GET /modules", { method: "POST", path: "/modules?dry=1", headers: { "X-Tenant": "acme" } }],
    }),
  as: z
    .strictObject(testCallerShape)
    .describe("Who sends it; without it no credential is sent")
    .meta({ examples: [{ scopes: ["modules:read"] }, { key: "ci-bot" }] })
    .optional(),
  times: z
    .int()
    .min(1)
    .max(MOST_TIMES)
    .describe("How often it is sent, at one moment; the expectation is for the last time. 1 unless said")
    .meta({ default: 1, examples: [101] })
    .optional(),
  expect: z
    .union(
      [z.int().min(100).max(599), z.enum(["forward", "refuse"]), z.strictObject(testExpectShape)],
      EXPECT_HINT,
    )
    .describe("What has to become of it: a status, `forward`, `refuse`, or a map")
    .meta({ examples: [401, "forward", { status: 403, code: "scope_insufficient" }] }),
};
