// A gateway's limiter in a process of its own: told the URL and key prefix, it fires on command and tells what passed.

import { Fields } from "../../src/core/fields.ts";
import { LIMITER_SCRIPT, Limiter } from "../../src/rate-limit/limiter.ts";
import type { LimitPolicy } from "../../src/rate-limit/policy.ts";
import { RedisStore } from "../../src/store/redis.ts";

/** Command: this many requests at once under `policies`. */
export interface Volley {
  readonly requests: number;
  readonly policies: readonly LimitPolicy[];
}

/** Answer to a volley. */
export interface Score {
  readonly admitted: number;
  readonly refused: number;
  readonly degraded: number;
}

const [url = "", prefix = ""] = process.argv.slice(2);
const store = new RedisStore({ url, prefix, timeoutMs: 5_000, emit: () => undefined });
const limiter = new Limiter({
  prefix,
  clock: { steadyMs: () => performance.now() },
  script: store.script(LIMITER_SCRIPT),
  instances: () => store.instances(),
});
const input = { principal: undefined, clientAddress: "192.0.2.1", fields: new Fields([]) };

async function fire({ requests, policies }: Volley): Promise<Score> {
  let admitted = 0;
  let refused = 0;
  let degraded = 0;
  const client = async (index: number): Promise<void> => {
    // Clients don't all come in one turn of the event loop.
    for (let turn = 0; turn < index % 4; turn++) await new Promise((resolve) => setImmediate(resolve));
    const result = await limiter.take(policies, input);
    if (result.kind === "unavailable" || result.tightest.degraded) degraded++;
    else if (result.kind === "admitted") admitted++;
    else refused++;
  };
  await Promise.all(Array.from({ length: requests }, (_, index) => client(index)));
  return { admitted, refused, degraded };
}

await store.open();
process.on("message", (volley: Volley) => void fire(volley).then((score) => process.send?.(score)));
process.on("disconnect", () => void store.close().then(() => process.exit(0)));
process.send?.("ready");
