// Asks Redis once whether it can be entered and runs scripts, for those who check a configuration before it goes live.

import { err, ok, type Result } from "../core/result.ts";
import { RedisStore } from "./redis.ts";
import type { RedisAccess, RedisServers } from "./redis-address.ts";

/**
 * Connects, authenticates and runs a script that writes, in whatever form Redis is run. The keys that it writes are not
 * those of running gateways, and last for 15 s at most. The error is a reason such as `econnrefused`, `wrongpass` or `noperm`. Never
 * rejects.
 */
export async function probeRedis(
  options: RedisServers & RedisAccess & { readonly prefix: string },
  timeoutMs: number,
): Promise<Result<undefined, string>> {
  const store = new RedisStore({
    ...options,
    prefix: `${options.prefix}:check`,
    timeoutMs,
    emit: () => undefined,
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(resolve, timeoutMs, "late");
  });
  try {
    const end = await Promise.race([store.open(), late]);
    if (end === "late") return err(store.lastLoss ?? "timeout");
    return store.reachable ? ok(undefined) : err(store.lastLoss ?? "unreachable");
  } catch {
    return err("failed");
  } finally {
    clearTimeout(timer);
    // A server that doesn't answer isn't waited for.
    void store.close().catch(() => undefined);
  }
}
