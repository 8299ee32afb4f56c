// `npm run docs`: writes the pages that are generated, docs/ERRORS.md and docs/CONFIGURATION.md.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { configurationPage, type Schema } from "./configuration-page.ts";
import { errorsPage } from "./errors-page.ts";

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const schema = JSON.parse(readFileSync(at("config/gateway.schema.json"), "utf8")) as Schema;

writeFileSync(at("docs/ERRORS.md"), errorsPage());
writeFileSync(at("docs/CONFIGURATION.md"), configurationPage(schema));
