// `gatewarden schema`: the JSON Schema of gateway.yaml, with which editors complete, explain and check the file.

import { jsonSchema } from "../config/json-schema.ts";

/** Prints the schema. Resolves with the exit code 0. */
export function schema(): number {
  process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  return 0;
}
