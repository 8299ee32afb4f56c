// The shape of `logs` in gateway.yaml.

import * as z from "zod";

const value = z.union([z.string(), z.number(), z.boolean()], "expected text, a number, or true or false");

/** The `logs` section. */
export const logsOption = z
  .strictObject({
    level: z
      .enum(["debug", "info", "warn", "error"])
      .describe("Least level that is written; info unless said")
      .optional(),
    access: z
      .string()
      .regex(
        /^(?:all|denied|off|(?:100|[1-9]?\d)(?:\.\d{1,3})?%)$/,
        "expected all, denied, off, or a share such as 10%",
      )
      .describe("Which requests get an access line")
      .meta({ default: "all", examples: ["all", "10%", "denied"] })
      .optional(),
    decisions: z
      .enum(["all", "denied", "off"])
      .describe("Which requests get a decision line; denied unless said")
      .optional(),
    fields: z
      .record(z.string(), value)
      .describe("Constant members of every line")
      .meta({ examples: [{ service: "gateway", region: "eu-1" }] })
      .optional(),
  })
  .describe("What is logged")
  .meta({ examples: [{ access: "10%", fields: { service: "gateway" } }] });
