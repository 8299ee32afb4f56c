// Compiles `upstreams` and timeouts.

import * as z from "zod";
import { canonicalPath, STRICT_PATHS } from "../../core/request-target.ts";
import { parseDuration } from "../../core/units.ts";
import { type timeoutsOption, upstreamShape } from "../../upstream/options.ts";
import type { UpstreamPolicy, UpstreamTimeouts } from "../../upstream/policy.ts";
import { type Field, readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { namedEntries, partOf } from "./entries.ts";

const DEFAULT_TIMEOUTS: UpstreamTimeouts = {
  connectMs: 3_000,
  headersMs: 30_000,
  idleMs: 60_000,
  totalMs: 0,
};
const MOST_TIMEOUT_MS = 24 * 3_600_000;

/** `upstreams`. An entry with a mistake is left out of the map, but stays in `names`. */
export function compileUpstreams(
  report: Report,
  place: Place | undefined,
): { readonly policies: readonly UpstreamPolicy[]; readonly names: ReadonlyMap<string, number> } {
  const names = new Map<string, number>();
  const policies: UpstreamPolicy[] = [];
  for (const entry of place === undefined ? [] : namedEntries(report, place)) {
    names.set(entry.name, entry.keyAt);
    const policy = compileUpstream(report, entry, entry.name);
    if (policy !== undefined) policies.push(policy);
  }
  return { policies, names };
}

function compileUpstream(report: Report, place: Place, name: string): UpstreamPolicy | undefined {
  if (place.node.kind === "scalar") {
    const text = readValue(report, place, urlText);
    const address = text === undefined ? undefined : parseTarget(report, place, text);
    return address && { name, ...address, timeouts: DEFAULT_TIMEOUTS, hostHeader: "target" };
  }
  const fields = readFields(report, place, upstreamShape);
  if (fields === undefined) return undefined;
  const timeouts = { ...DEFAULT_TIMEOUTS, ...compileTimeouts(report, fields.timeouts) };
  const { url, targets } = fields;
  if (url.present === targets.present) {
    const message = url.present ? "`url` and `targets` can't stand together" : "`url` is required";
    report.add(place.node.at, [...place.path, "url"], url.present ? "conflict" : "required_key", message);
    return undefined;
  }
  const text = url.present ? url.value : targets.value?.[0]?.url;
  const address =
    text === undefined ? undefined : parseTarget(report, url.present ? url : partOf(targets, 0, "url"), text);
  const host = fields.hostHeader.value ?? "target";
  const hostHeader = host === "keep" || host === "target" ? host : { value: host };
  return address && { name, ...address, timeouts, hostHeader };
}

const urlText = z.string("expected a URL, or a map with `url`");

function parseTarget(
  report: Report,
  { node, path }: Place,
  text: string,
): Pick<UpstreamPolicy, "origin" | "basePath"> | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = /^https?:\/\/[^/?#@\\\s]+(?:\/[^?#\\\s]*)?$/i.test(text);
  if (url === undefined || !plain || !/^https?:$/.test(url.protocol)) {
    report.add(
      node.at,
      path,
      "value_invalid",
      "expected an absolute http:// or https:// URL without user name, password, query and fragment",
    );
    return undefined;
  }
  const written = /^https?:\/\/[^/]+(.*)$/i.exec(text)?.[1] ?? "";
  const base = written.replace(/\/$/, "");
  const canonical = canonicalPath(base === "" ? "/" : base, STRICT_PATHS);
  if (!canonical.ok || (base !== "" && canonical.value !== base)) {
    report.add(node.at, path, "value_invalid", "the path of the URL is not in canonical form");
    return undefined;
  }
  return { origin: url.origin, basePath: base };
}

/** `timeouts` of an upstream, a route or the defaults: those that are given. */
export function compileTimeouts(
  report: Report,
  field: Field<z.output<typeof timeoutsOption>>,
): Partial<UpstreamTimeouts> {
  const timeouts: Partial<Record<keyof UpstreamTimeouts, number>> = {};
  for (const key of ["connect", "headers", "idle", "total"] as const) {
    const ms = parseDuration(field.value?.[key] ?? "");
    if (ms === undefined) continue;
    if ((ms === 0 && key !== "total") || ms > MOST_TIMEOUT_MS) {
      const { node, path } = partOf(field, key);
      report.add(node.at, path, "value_out_of_range", "expected 1ms to 24h");
    }
    timeouts[`${key}Ms`] = ms;
  }
  return timeouts;
}
