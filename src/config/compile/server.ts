// Compiles what concerns the gateway's own server: addresses, limits of requests, paths, drain, health, Redis, logs.

import * as z from "zod";
import type { AddressRange } from "../../core/address.ts";
import { canonicalPath, type PathRules } from "../../core/request-target.ts";
import { logsOption } from "../../telemetry/options.ts";
import type { GatewayConfig, ListenAddress, LogPolicy, ServerLimits } from "../gateway-config.ts";
import {
  drainShape,
  healthOption,
  limitsShape,
  listenerOption,
  pathsShape,
  trustedProxiesOption,
} from "../options.ts";
import { readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { compileAdmin } from "./admin.ts";
import { checkRange, durationOf, keyAtOf, listEntries, partOf, rangeAt, sizeOf } from "./entries.ts";
import { ADDRESS_HINT, parseListen } from "./listen-address.ts";
import { compileRedis } from "./redis.ts";

const MOST_TIMEOUT_MS = 24 * 3_600_000;

type ServerConfig = Pick<
  GatewayConfig,
  "listen" | "admin" | "trustedProxies" | "limits" | "drain" | "redis" | "logs"
>;

/** The sections that no other section refers to. */
export async function compileServer(
  report: Report,
  place: (name: keyof ServerConfig) => Place | undefined,
): Promise<ServerConfig> {
  const listen = compileListen(report, place("listen"));
  return {
    listen,
    admin: compileAdmin(report, place("admin"), { addresses: listen, place: place("listen") }),
    trustedProxies: compileTrustedProxies(report, place("trustedProxies")),
    limits: compileServerLimits(report, place("limits")),
    drain: compileDrain(report, place("drain")),
    redis: await compileRedis(report, place("redis")),
    logs: compileLogs(report, place("logs")),
  };
}

/** `listen`. */
function compileListen(report: Report, place: Place | undefined): readonly ListenAddress[] {
  if (place === undefined) return [{ host: "0.0.0.0", port: 8080 }];
  const isList = place.node.kind === "list";
  if (isList && readValue(report, place, notEmpty) === undefined) return [];
  const seen = new Map<string, number>();
  return (isList ? listEntries(report, place) : [place]).flatMap((one) => {
    if (readValue(report, one, listenerOption) === undefined) return [];
    const { node, path } = one.node.kind === "map" ? addressBelow(one) : one;
    const parsed = parseListen(node.kind === "scalar" ? String(node.value) : "");
    if (parsed === undefined) {
      report.add(node.at, path, "value_invalid", ADDRESS_HINT);
      return [];
    }
    const key = `${parsed.host} ${parsed.port}`;
    const first = seen.get(key);
    if (first !== undefined && parsed.port !== 0) {
      report.add(node.at, path, "duplicate_value", "this address is listed twice", { relatedAt: first });
    }
    seen.set(key, node.at);
    return [parsed];
  });
}

const notEmpty = z.array(z.unknown()).min(1);

function addressBelow(place: Place): Place {
  const entry =
    place.node.kind === "map" ? place.node.entries.find((one) => one.key === "address") : undefined;
  return entry === undefined ? place : { node: entry.value, path: [...place.path, "address"] };
}

/** `health`. */
export function compileHealth(
  report: Report,
  place: Place | undefined,
  rules: PathRules,
): GatewayConfig["health"] {
  const value = place === undefined ? {} : readValue(report, place, healthOption);
  if (value === undefined || value === false) return undefined;
  const live = value.live ?? "/healthz";
  const ready = value.ready ?? "/readyz";
  for (const key of ["live", "ready"] as const) {
    const path = value[key];
    if (place === undefined || path === undefined) continue;
    const canonical = canonicalPath(path, rules);
    if (path.startsWith("/") && canonical.ok && canonical.value === path) continue;
    const part = partOf({ ...place, value, present: true }, key);
    report.add(part.node.at, part.path, "value_invalid", "expected a canonical path such as /healthz");
  }
  if (place !== undefined && live === ready) {
    report.add(place.node.at, place.path, "duplicate_value", "`live` and `ready` need paths of their own");
  }
  return { live, ready };
}

/** `trustedProxies`. */
function compileTrustedProxies(report: Report, place: Place | undefined): readonly AddressRange[] {
  const values = place === undefined ? undefined : readValue(report, place, trustedProxiesOption);
  if (place === undefined || values === undefined) return [];
  const field = { ...place, value: values, present: true };
  return values.flatMap((text, index) => {
    const { node, path } = partOf(field, index);
    const range = rangeAt(report, { node, path }, text);
    if (range?.prefix === 0) {
      report.add(
        node.at,
        path,
        "range_too_wide",
        "this range trusts every address, so any client could choose its own",
        {
          hint: "list the addresses of the proxies in front of the gateway",
        },
      );
    }
    return range === undefined ? [] : [range];
  });
}

/** `limits`. */
function compileServerLimits(report: Report, place: Place | undefined): ServerLimits {
  const fields = readFields(report, place ?? NOTHING, limitsShape);
  if (fields === undefined) return compileServerLimits(report, undefined);
  const limits: ServerLimits = {
    headersBytes: sizeOf(fields.headers, 16 * 1024),
    headerCount: fields.headerCount.value ?? 100,
    bodyBytes: sizeOf(fields.body, 10 * 1024 ** 2),
    urlBytes: sizeOf(fields.url, 8 * 1024),
    headerTimeoutMs: durationOf(fields.headerTimeout, 10_000),
    requestTimeoutMs: durationOf(fields.requestTimeout, 60_000),
    idleTimeoutMs: durationOf(fields.idleTimeout, 75_000),
    connections: fields.connections.value ?? 10_000,
    inFlight: fields.inFlight.value ?? 5_000,
  };
  checkRange(report, fields.headers, limits.headersBytes, [1024, 1024 ** 2], "expected 1KiB to 1MiB");
  checkRange(report, fields.url, limits.urlBytes, [128, 1024 ** 2], "expected 128B to 1MiB");
  for (const key of ["headerTimeout", "requestTimeout", "idleTimeout"] as const) {
    checkRange(report, fields[key], limits[`${key}Ms`], [1, MOST_TIMEOUT_MS], "expected 1ms to 24h");
  }
  if (limits.headerTimeoutMs > limits.requestTimeoutMs) {
    const wrong = fields.headerTimeout.present ? fields.headerTimeout : fields.requestTimeout;
    report.add(
      wrong.node.at,
      wrong.path,
      "conflict",
      "`headerTimeout` can't be longer than `requestTimeout`",
    );
  }
  if (limits.urlBytes > limits.headersBytes) {
    const wrong = fields.url.present ? fields.url : fields.headers;
    report.add(
      wrong.node.at,
      wrong.path,
      "conflict",
      "`url` can't be larger than `headers`, which the target counts towards",
    );
  }
  return limits;
}

/** `paths`. */
export function compilePaths(report: Report, place: Place | undefined): GatewayConfig["paths"] {
  const fields = readFields(report, place ?? NOTHING, pathsShape);
  return {
    encodedSlash: fields?.encodedSlash.value ?? "refuse",
    semicolon: fields?.semicolon.value ?? "refuse",
    duplicateSlash: fields?.duplicateSlash.value ?? "refuse",
    caseSensitive: fields?.caseSensitive.value ?? true,
  };
}

/** `drain`. */
function compileDrain(report: Report, place: Place | undefined): GatewayConfig["drain"] {
  const fields = readFields(report, place ?? NOTHING, drainShape);
  if (fields === undefined) return { delayMs: 0, timeoutMs: 30_000 };
  const drain = { delayMs: durationOf(fields.delay, 0), timeoutMs: durationOf(fields.timeout, 30_000) };
  checkRange(report, fields.delay, drain.delayMs, [0, MOST_TIMEOUT_MS], "expected at most 24h");
  checkRange(report, fields.timeout, drain.timeoutMs, [0, MOST_TIMEOUT_MS], "expected at most 24h");
  return drain;
}

// Members that every log line has by itself.
const LOG_MEMBERS = new Set(["type", "time", "level", "msg", "requestId", "pid", "hostname"]);

/** `logs`. */
function compileLogs(report: Report, place: Place | undefined): LogPolicy {
  const value = place === undefined ? {} : (readValue(report, place, logsOption) ?? {});
  const fields: Record<string, string> = {};
  for (const [name, text] of Object.entries(value.fields ?? {})) {
    if (LOG_MEMBERS.has(name) && place !== undefined) {
      const at = keyAtOf({ ...place, value, present: true }, "fields", name);
      const path = [...place.path, "fields", name];
      report.add(at, path, "conflict", "every line has a member of this name already");
    }
    fields[name] = String(text);
  }
  return {
    level: value.level ?? "info",
    access: accessShare(value.access ?? "all"),
    decisions: value.decisions ?? "denied",
    fields,
  };
}

function accessShare(text: string): number | "denied" {
  if (text === "denied") return "denied";
  if (text === "all") return 1;
  return text === "off" ? 0 : Math.min(1, Number(text.slice(0, -1)) / 100);
}

const NOTHING: Place = { node: { kind: "map", at: 0, entries: [] }, path: [] };
