import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { jsonSchema } from "../../../src/config/json-schema.ts";
import { toPlain } from "../../../src/config/tree.ts";
import { parseYaml } from "../../../src/config/yaml-parse.ts";

const CONFIG = fileURLToPath(new URL("../../../config/", import.meta.url));
const EXAMPLES = readdirSync(join(CONFIG, "examples"));

/** Plain objects with a prototype, as an editor's validator sees them. */
async function parse(text: string): Promise<unknown> {
  const { root } = await parseYaml(text);
  return root && JSON.parse(JSON.stringify(toPlain(root)));
}

let schema: z.ZodType;
beforeAll(() => {
  schema = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
});

test("config/gateway.schema.json is current (`vitest run -u` on this file writes it)", async () => {
  const text = `${JSON.stringify(jsonSchema(), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(join(CONFIG, "gateway.schema.json"));
});

/** Every key of every map, with its path. */
function propertiesOf(
  node: unknown,
  path = "",
): (readonly [path: string, schema: Record<string, unknown>])[] {
  if (typeof node !== "object" || node === null) return [];
  const found: (readonly [string, Record<string, unknown>])[] = [];
  for (const [key, value] of Object.entries(node)) {
    if (key === "properties")
      for (const [name, one] of Object.entries(value)) found.push([`${path}.${name}`, one as never]);
    if (key === "examples" || key === "default") continue;
    found.push(...propertiesOf(value, key === "properties" ? path : `${path}.${key}`));
  }
  return found;
}

/** Whether the schema itself says every value that there is. */
function isComplete(schema: Record<string, unknown>): boolean {
  const { anyOf, type, pattern } = schema;
  if (
    schema.enum !== undefined ||
    schema.const !== undefined ||
    type === "boolean" ||
    schema.not !== undefined
  )
    return true;
  if (pattern === "\\$\\{.+\\}") return true;
  return Array.isArray(anyOf) && anyOf.every(isComplete);
}

const PROPERTIES = propertiesOf(jsonSchema());

test("is of the draft that editors know best", () => {
  expect(jsonSchema()).toMatchObject({
    $schema: "http://json-schema.org/draft-07/schema#",
    $id: expect.stringMatching(/^urn:gatewarden:/),
  });
});

test("every key at every depth has a description", () => {
  expect(PROPERTIES.length).toBeGreaterThan(300);
  expect(PROPERTIES.filter(([, one]) => typeof one.description !== "string").map(([path]) => path)).toEqual(
    [],
  );
});

test("every key at every depth has an example, unless the schema names all of its values", () => {
  const without = PROPERTIES.filter(
    ([, one]) => !(Array.isArray(one.examples) && one.examples.length > 0) && !isComplete(one),
  );
  expect(without.map(([path]) => path)).toEqual([]);
});

test("every example and every default is valid", () => {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const [path, one] of PROPERTIES) {
    const values = [...((one.examples as unknown[]) ?? []), ...("default" in one ? [one.default] : [])];
    const text = JSON.stringify(one);
    if (values.length === 0 || seen.has(text)) continue;
    seen.add(text);
    const { default: _, ...rest } = one;
    const property = z.fromJSONSchema(rest as never);
    for (const value of values)
      if (!property.safeParse(value).success) wrong.push(`${path}: ${JSON.stringify(value)}`);
  }
  expect(seen.size).toBeGreaterThan(120);
  expect(wrong).toEqual([]);
});

describe("the schema in an editor", () => {
  test.for(EXAMPLES)("accepts %s", async (name) => {
    const result = schema.safeParse(await parse(readFileSync(join(CONFIG, "examples", name), "utf8")));
    expect(result.error?.issues ?? []).toEqual([]);
  });

  test.for([
    ["an unknown key", "upstreams: { a: http://x }\nroutes: [{ match: /a, to: a, pubic: true }]"],
    [
      "a wrong duration",
      "upstreams: { a: http://x }\nroutes: [{ match: /a, to: a, public: true }]\ndrain: { delay: 5 }",
    ],
    ["a missing section", "upstreams: { a: http://x }"],
    [
      "an option that comes later",
      "upstreams: { a: http://x }\nroutes: [{ match: /a, to: a, public: true, mcp: true }]",
    ],
  ] as const)("refuses %s", async ([, text]) => {
    expect(schema.safeParse(await parse(text)).success).toBe(false);
  });
});
