// Compiles `cors`, global or of a route.

import type * as z from "zod";
import { isFieldName } from "../../core/fields.ts";
import { parseDuration } from "../../core/units.ts";
import type { CorsPolicy } from "../gateway-config.ts";
import type { corsOption } from "../options.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import { partOf } from "./entries.ts";

const DEFAULT_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const DEFAULT_HEADERS = [
  "authorization",
  "content-type",
  "x-grpc-web",
  "x-user-agent",
  "grpc-timeout",
  "x-request-id",
];
const DEFAULT_EXPOSED = [
  "X-Request-Id",
  "RateLimit-Limit",
  "RateLimit-Remaining",
  "RateLimit-Reset",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "WWW-Authenticate",
  "Grpc-Status",
  "Grpc-Message",
];

/** A policy, `off` where the file says false, undefined where it says nothing (or something wrong). */
export function compileCors(
  report: Report,
  field: Field<z.output<typeof corsOption>>,
  keyHeaders: readonly string[],
): CorsPolicy | "off" | undefined {
  const { value } = field;
  if (value === undefined) return undefined;
  if (value === false) return "off";
  const origins = typeof value.origins === "string" ? [value.origins] : value.origins;
  checkOrigins(report, field, origins, value.credentials === true);
  checkNames(report, field, "headers", value.headers);
  checkNames(report, field, "expose", value.expose);
  const maxAgeMs = parseDuration(value.maxAge ?? "10m") ?? 0;
  if (maxAgeMs > 86_400_000) {
    const { node, path } = partOf(field, "maxAge");
    report.add(node.at, path, "value_out_of_range", "expected at most 1d");
  }
  return {
    origins,
    methods: typeof value.methods === "string" ? [value.methods] : (value.methods ?? DEFAULT_METHODS),
    headers: value.headers?.map((name) => name.toLowerCase()) ?? [
      ...new Set([...DEFAULT_HEADERS, ...keyHeaders]),
    ],
    credentials: value.credentials ?? false,
    maxAgeSeconds: Math.floor(maxAgeMs / 1000),
    expose: value.expose ?? DEFAULT_EXPOSED,
  };
}

function checkOrigins(
  report: Report,
  field: Field<unknown>,
  origins: readonly string[],
  credentials: boolean,
): void {
  for (const [index, origin] of origins.entries()) {
    const list = partOf(field, "origins");
    const { node, path } = list.node.kind === "list" ? partOf(field, "origins", index) : list;
    if (origin === "*") {
      if (credentials) {
        report.add(
          node.at,
          path,
          "conflict",
          "`*` with `credentials: true` would let every web page act as its visitor",
          {
            hint: "list the origins",
          },
        );
      } else if (origins.length > 1) report.add(node.at, path, "conflict", "`*` stands alone");
    } else if (!isOrigin(origin)) {
      report.add(
        node.at,
        path,
        "value_invalid",
        "expected an origin as browsers send it: https://host or https://host:port, without a path",
      );
    }
  }
}

/** An origin in its serialised form (RFC 6454 section 6.2), for the schemes of web pages. */
function isOrigin(text: string): boolean {
  if (!/^https?:\/\/[^*]+$/.test(text) || !URL.canParse(text)) return false;
  return new URL(text).origin === text;
}

function checkNames(
  report: Report,
  field: Field<unknown>,
  key: string,
  names: readonly string[] | undefined,
): void {
  for (const [index, name] of (names ?? []).entries()) {
    if (name !== "*" && isFieldName(name)) continue;
    const { node, path } = partOf(field, key, index);
    report.add(
      node.at,
      path,
      "value_invalid",
      name === "*" ? "`*` is not accepted here: list the names" : "expected a header field name",
    );
  }
}
