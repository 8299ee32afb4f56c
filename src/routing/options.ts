// The shape of `match` in gateway.yaml. What a pattern means is in pattern.ts.

import * as z from "zod";

/** Methods that a route may list (RFC 9110, RFC 4918, RFC 5789, RFC 10008); CONNECT and TRACE can't be routed. */
export const ROUTABLE_METHODS: readonly string[] = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
  "QUERY",
  "SEARCH",
  "REPORT",
  "PROPFIND",
  "PROPPATCH",
  "MKCOL",
  "COPY",
  "MOVE",
  "LOCK",
  "UNLOCK",
  "PURGE",
];

const pattern = z
  .string()
  .describe(
    "Pattern such as `GET /modules`, `GET,POST /modules/:id`, `/files/*` or `grpc pkg.Service/Method`",
  )
  .meta({ examples: ["GET,POST /modules/:id"] });

/** Methods of a route. */
export const methodsOption = z
  .union(
    [z.enum(ROUTABLE_METHODS), z.array(z.enum(ROUTABLE_METHODS)).min(1)],
    "expected a method such as GET, or a list of methods",
  )
  .describe("Methods that the route takes, in capital letters")
  .meta({ examples: ["GET", ["GET", "POST"]] });

const condition = z.record(
  z.string(),
  z.union([z.string(), z.literal(true)], "expected the exact value, or true for mere presence"),
);

/** `match` as a map. */
export const matchObject = z.strictObject({
  path: z
    .union([z.string(), z.array(z.string()).min(1)], "expected a path pattern or a list of them")
    .describe("Path pattern without a method: `/modules/:id`")
    .meta({ examples: ["/modules/:id", ["/files/*", "/docs/*"]] }),
  methods: methodsOption.optional(),
  host: z
    .union([z.string(), z.array(z.string()).min(1)], "expected a host name or a list of them")
    .describe("Exact host names or `*.example.com`")
    .meta({ examples: ["api.example.com", ["*.example.com"]] })
    .optional(),
  headers: condition
    .describe("Header fields that have to be there; true for any value")
    .meta({ examples: [{ "X-Beta": true, "X-Api-Version": "2" }] })
    .optional(),
  query: condition
    .describe("Query parameters that have to be there; true for any value")
    .meta({ examples: [{ version: "2" }] })
    .optional(),
});

export type MatchObject = z.output<typeof matchObject>;

/** `match`: a pattern, a map, or a list of both. */
export const matchOption = z
  .union(
    [pattern, matchObject, z.array(z.union([pattern, matchObject], "expected a pattern or a map")).min(1)],
    "expected a pattern such as `GET /modules`, a map with `path`, or a list of them",
  )
  .describe("Which requests the route is for")
  .meta({
    examples: [
      "GET /modules",
      ["GET /modules", "POST /modules/:id"],
      { path: "/files/*", host: "files.example.com" },
    ],
  });
