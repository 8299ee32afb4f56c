// Compiles `redis`: where limits are counted together.

import type { RedisPolicy } from "../gateway-config.ts";
import { redisOption, redisShape } from "../options.ts";
import { readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { checkRange, durationOf } from "./entries.ts";

/** `redis`. */
export function compileRedis(report: Report, place: Place | undefined): RedisPolicy | undefined {
  if (place === undefined) return undefined;
  if (place.node.kind === "scalar") {
    const url = readValue(report, place, redisOption);
    return typeof url === "string" ? redisPolicy(report, place, url) : undefined;
  }
  const fields = readFields(report, place, redisShape);
  if (fields?.url.value === undefined) return undefined;
  const policy = redisPolicy(report, fields.url, fields.url.value);
  const timeoutMs = durationOf(fields.timeout, 50);
  checkRange(report, fields.timeout, timeoutMs, [1, 10_000], "expected 1ms to 10s");
  return policy === undefined ? undefined : { ...policy, prefix: fields.prefix.value ?? "gw", timeoutMs };
}

function redisPolicy(report: Report, { node, path }: Place, url: string): RedisPolicy | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === "") {
    report.add(node.at, path, "value_invalid", "expected a URL such as redis://host:6379/0 or rediss://…");
    return undefined;
  }
  return { url, prefix: "gw", timeoutMs: 50 };
}
