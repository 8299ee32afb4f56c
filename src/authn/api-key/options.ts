// The shape of one entry of `apiKeys` in gateway.yaml.

import * as z from "zod";
import { NAME, NAME_HINT, SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import { EXPIRY, EXPIRY_HINT } from "./expiry.ts";

/** Form of a stored key: the SHA-256 of the whole key. */
export const KEY_HASH = /^sha256:[0-9a-f]{64}$/i;

const token = z.string().regex(/^[\x21-\x7e]{1,256}$/, "expected printable ASCII without spaces");

export const apiKeyShape = {
  id: z.string().regex(NAME, NAME_HINT).describe("Name of the key in logs and headers; unique"),
  hash: z
    .string()
    .regex(KEY_HASH, "expected `sha256:` and the 64 hexadecimal digits of the whole key's SHA-256")
    .describe("`sha256:` and the SHA-256 of the whole key in hexadecimal")
    .optional(),
  value: z
    .string()
    .describe(`The key itself, only as ${VARIABLE} or ${SECRET_FILE}; its hash is taken at load`)
    .optional(),
  subject: z
    .string()
    .min(1, "expected at least one character")
    .max(256)
    .describe("Subject of the principal; the id unless said")
    .optional(),
  scopes: z.array(token).describe("Scopes that the key holds").optional(),
  roles: z.array(token).describe("Roles that the key holds").optional(),
  tier: z.string().regex(NAME, NAME_HINT).describe("Tier of the key").optional(),
  org: z
    .string()
    .min(1, "expected at least one character")
    .max(256)
    .describe("Organisation of the key")
    .optional(),
  expires: z
    .string()
    .regex(EXPIRY, EXPIRY_HINT)
    .describe("From this moment the key is refused; a date means 00:00 UTC of that day")
    .optional(),
  enabled: z.boolean().describe("false: the key is known but refused").optional(),
  allowIps: z
    .array(z.string())
    .min(1)
    .describe("Addresses and CIDR ranges from which the key may be used")
    .optional(),
  metadata: z
    .record(z.string(), z.unknown())
    .describe("Free values, read by `require` and by limits per claim")
    .optional(),
};
