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

test("every option has a description, unless it is one of several plain words", () => {
  const bare: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== "object" || node === null) return;
    if ("properties" in node && typeof node.properties === "object" && node.properties !== null) {
      for (const [key, value] of Object.entries(node.properties)) {
        if (!("description" in value)) bare.push(`${path}.${key}`);
      }
    }
    for (const [key, value] of Object.entries(node)) visit(value, `${path}.${key}`);
  };
  visit(jsonSchema(), "");
  expect(bare).toEqual([]);
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
