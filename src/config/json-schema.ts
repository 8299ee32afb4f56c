// The JSON Schema of gateway.yaml, for editors: made from the same schemas that check the file.

import * as z from "zod";
import { fileSchema } from "./sections.ts";

const VARIABLE = {
  type: "string",
  pattern: "\\$\\{.+\\}",
  description: "Taken from a variable or a file",
} as const;

/** JSON Schema (draft 2020-12) of a whole file. It knows the shape; what only `check` can judge is left to it. */
export function jsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...body } = z.toJSONSchema(fileSchema, { io: "input", override: adapt });
  return { $schema, title: "gateway.yaml of Gatewarden", ...body };
}

type Override = NonNullable<NonNullable<Parameters<typeof z.toJSONSchema>[1]>["override"]>;

const adapt: Override = ({ zodSchema, jsonSchema: schema, path }) => {
  const { type } = zodSchema._zod.def;
  if (type === "never") schema.description = "Not supported yet";
  const narrow = type === "number" || type === "boolean" || type === "enum" || type === "literal";
  if (path.includes("propertyNames") || !(narrow || (type === "string" && schema.pattern !== undefined)))
    return;
  // A variable may stand wherever a value is expected.
  const { description, ...own } = schema;
  for (const key of Object.keys(schema)) delete schema[key];
  Object.assign(schema, description === undefined ? {} : { description }, { anyOf: [own, VARIABLE] });
};
