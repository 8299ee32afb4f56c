// The JSON Schema of gateway.yaml, for editors: made from the same schemas that check the file.

import * as z from "zod";
import { fileSchema } from "./sections.ts";

const VARIABLE = {
  type: "string",
  pattern: "\\$\\{.+\\}",
  description: "Taken from a variable or a file",
} as const;

const ID = "urn:gatewarden:schema:gateway.yaml";

/**
 * JSON Schema of a whole file, of the draft that the language servers of editors know best (draft-07). It knows the shape;
 * what only `check` can judge is left to it.
 */
export function jsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...body } = z.toJSONSchema(fileSchema, {
    io: "input",
    target: "draft-7",
    override: adapt,
  });
  return { $schema, $id: ID, title: "gateway.yaml of Gatewarden", ...body };
}

type Override = NonNullable<NonNullable<Parameters<typeof z.toJSONSchema>[1]>["override"]>;

const adapt: Override = ({ zodSchema, jsonSchema: schema, path }) => {
  const { type } = zodSchema._zod.def;
  // Left out by zod where the value is changed when it is read.
  const examples = z.globalRegistry.get(zodSchema)?.examples;
  if (Array.isArray(examples)) schema.examples = examples;
  if (type === "never") schema.description = "Not supported yet";
  const narrow = type === "number" || type === "boolean" || type === "enum" || type === "literal";
  if (path.includes("propertyNames") || !(narrow || (type === "string" && schema.pattern !== undefined)))
    return;
  // A variable may stand wherever a value is expected.
  const { description, default: usual, examples: shown, ...own } = schema;
  for (const key of Object.keys(schema)) delete schema[key];
  const told = Object.entries({ description, default: usual, examples: shown }).filter(
    ([, one]) => one !== undefined,
  );
  Object.assign(schema, Object.fromEntries(told), { anyOf: [own, VARIABLE] });
};
