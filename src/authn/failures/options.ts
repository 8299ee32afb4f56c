// The shape of `failedCredentials` in gateway.yaml.

import * as z from "zod";
import { DURATION, DURATION_HINT, RATE, RATE_HINT } from "../../core/units.ts";

const duration = z.string(DURATION_HINT).regex(DURATION, DURATION_HINT);

export const failedCredentialsShape = {
  limit: z
    .string(RATE_HINT)
    .regex(RATE, RATE_HINT)
    .describe("Failures in any trailing window that start a block; 300/min unless said")
    .meta({ default: "300/min", examples: ["100/min"] })
    .optional(),
  backoff: duration
    .describe("Length of the first block, doubled for each further one; 1s unless said")
    .meta({ default: "1s", examples: ["5s"] })
    .optional(),
  longest: duration
    .describe("Longest length of a block; 15m unless said")
    .meta({ default: "15m", examples: ["1h"] })
    .optional(),
};

/** What happens to those who send bad credentials in numbers. */
export const failedCredentialsOption = z
  .union(
    [z.literal(false), z.strictObject(failedCredentialsShape)],
    "expected {limit: 300/min, backoff: 1s, longest: 15m}, or false",
  )
  .describe(
    "Bad credentials per client address, and per key prefix or token subject, before the answer is 429; false: no bound",
  )
  .meta({ examples: [{ limit: "100/min" }, false] });
