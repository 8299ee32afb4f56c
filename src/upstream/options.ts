// The shapes of `upstreams`, of timeouts and of field edits in gateway.yaml.

import * as z from "zod";
import { DURATION, DURATION_HINT } from "../core/units.ts";
import { notYet } from "../core/wording.ts";

const duration = z.string(DURATION_HINT).regex(DURATION, DURATION_HINT);
const url = z.string().min(1, "expected a URL");

/** `timeouts` of an upstream or of a route. */
export const timeoutsOption = z
  .strictObject({
    connect: duration
      .describe("Until a connection stands; 3s unless said")
      .meta({ default: "3s", examples: ["1s"] })
      .optional(),
    headers: duration
      .describe("From the end of the request to the header section of the answer; 30s unless said")
      .meta({ default: "30s", examples: ["10s"] })
      .optional(),
    idle: duration
      .describe("Without a byte of the answer's body; 60s unless said")
      .meta({ default: "60s", examples: ["5m"] })
      .optional(),
    total: duration
      .describe("For the whole exchange; 0s (default): no bound")
      .meta({ default: "0s", examples: ["2m"] })
      .optional(),
  })
  .describe("How long the upstream may take")
  .meta({ examples: [{ connect: "1s", headers: "10s" }] });

const target = z.strictObject({
  url: url.describe("http:// or https:// URL").meta({ examples: ["http://127.0.0.1:9000"] }),
  weight: z.never(notYet("weight")).optional(),
});

/** One entry of `upstreams` as a map. */
export const upstreamShape = {
  url: url
    .describe("http:// or https:// URL; a path is put before every forwarded path")
    .meta({ examples: ["http://127.0.0.1:9000", "https://billing.internal/v1"] })
    .optional(),
  targets: z
    .array(target)
    .min(1)
    .max(1, notYet("more than one target"))
    .describe("Where the upstream is; one target for now")
    .meta({ examples: [[{ url: "http://127.0.0.1:9000" }]] })
    .optional(),
  timeouts: timeoutsOption.optional(),
  hostHeader: z
    .string()
    .regex(/^[A-Za-z0-9.\-_:[\]]{1,255}$/, "expected keep, target, or a host name")
    .describe("Host sent upstream: `target` (default) the upstream's own, `keep` the client's, or this value")
    .meta({ default: "target", examples: ["keep", "api.internal"] })
    .optional(),
  protocol: z
    .enum(["http"], {
      error: ({ input }) => (input === "h2c" || input === "grpc" ? notYet(`protocol: ${input}`) : undefined),
    })
    .describe("Protocol spoken with the upstream")
    .optional(),
  balance: z.never(notYet("balance")).optional(),
  health: z.never(notYet("health")).optional(),
  retries: z.never(notYet("retries")).optional(),
  breaker: z.never(notYet("breaker")).optional(),
  tls: z.never(notYet("tls")).optional(),
  credentials: z.never(notYet("credentials")).optional(),
};

const edits = z.strictObject({
  set: z
    .record(z.string(), z.string())
    .describe("Fields that are set, replacing any of that name")
    .meta({ examples: [{ "X-Via": "gateway" }] })
    .optional(),
  remove: z
    .array(z.string())
    .min(1)
    .describe("Fields that are removed")
    .meta({ examples: [["X-Debug"]] })
    .optional(),
});

/** `headers` of a route. */
export const headersOption = z
  .strictObject({
    request: edits
      .describe("On the way to the upstream")
      .meta({ examples: [{ set: { "X-Via": "gateway" }, remove: ["X-Debug"] }] })
      .optional(),
    response: edits
      .describe("On the way back to the client")
      .meta({ examples: [{ set: { "Cache-Control": "no-store" }, remove: ["Server"] }] })
      .optional(),
  })
  .describe("Header fields that are set or removed on the way to the upstream and back")
  .meta({ examples: [{ request: { set: { "X-Via": "gateway" } }, response: { remove: ["Server"] } }] });
