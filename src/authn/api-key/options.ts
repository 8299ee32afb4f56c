// The shape of one entry of `apiKeys` in gateway.yaml.

import * as z from "zod";
import { NAME, NAME_HINT, SECRET_FILE, VARIABLE, variable } from "../../core/wording.ts";
import { EXPIRY, EXPIRY_HINT } from "./expiry.ts";

/** Form of a stored key: the SHA-256 of the whole key. */
export const KEY_HASH = /^sha256:[0-9a-f]{64}$/i;

const token = z.string().regex(/^[\x21-\x7e]{1,256}$/, "expected printable ASCII without spaces");

export const apiKeyShape = {
  id: z
    .string()
    .regex(NAME, NAME_HINT)
    .describe("Name of the key in logs and headers; unique")
    .meta({ examples: ["ci-bot"] }),
  hash: z
    .string()
    .regex(KEY_HASH, "expected `sha256:` and the 64 hexadecimal digits of the whole key's SHA-256")
    .describe("`sha256:` and the SHA-256 of the whole key in hexadecimal")
    .meta({ examples: [`sha256:${"9695a918e1ac586f".repeat(4)}`] })
    .optional(),
  value: z
    .string()
    .describe(`The key itself, only as ${VARIABLE} or ${SECRET_FILE}; its hash is taken at load`)
    .meta({ examples: [variable("CI_BOT_KEY"), variable("file:secrets/ci-bot")] })
    .optional(),
  subject: z
    .string()
    .min(1, "expected at least one character")
    .max(256)
    .describe("Subject of the principal; the id unless said")
    .meta({ examples: ["ci"] })
    .optional(),
  scopes: z
    .array(token)
    .describe("Scopes that the key holds")
    .meta({ examples: [["modules:read", "orders:*"]] })
    .optional(),
  roles: z
    .array(token)
    .describe("Roles that the key holds")
    .meta({ examples: [["viewer"]] })
    .optional(),
  tier: z
    .string()
    .regex(NAME, NAME_HINT)
    .describe("Tier of the key")
    .meta({ examples: ["partner"] })
    .optional(),
  org: z
    .string()
    .min(1, "expected at least one character")
    .max(256)
    .describe("Organisation of the key")
    .meta({ examples: ["acme"] })
    .optional(),
  expires: z
    .string()
    .regex(EXPIRY, EXPIRY_HINT)
    .describe("From this moment the key is refused; a date means 00:00 UTC of that day")
    .meta({ examples: ["2027-01-31", "2027-01-31T12:00:00Z"] })
    .optional(),
  enabled: z
    .boolean()
    .describe("false: the key is known but refused")
    .meta({ default: true, examples: [false] })
    .optional(),
  allowIps: z
    .array(z.string())
    .min(1)
    .describe("Addresses and CIDR ranges from which the key may be used")
    .meta({ examples: [["192.0.2.0/24"]] })
    .optional(),
  metadata: z
    .record(z.string(), z.unknown())
    .describe("Free values, read by `require` and by limits per claim")
    .meta({ examples: [{ plan: "pro" }] })
    .optional(),
};
