// Writes README.md of this folder from the catalogue and the titles of the tests:
//   node test/security/readme.ts > test/security/README.md

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LATER, STARRED } from "./catalogue.ts";

const TESTS = fileURLToPath(new URL("../", import.meta.url));

/** Ids that stand in the titles (never the comments) of each test file, by its path below `test/`. */
export function idsByFile(): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const name of readdirSync(TESTS, { recursive: true, encoding: "utf8" }).sort()) {
    if (!name.endsWith(".test.ts")) continue;
    const lines = readFileSync(`${TESTS}/${name}`, "utf8").split("\n");
    const code = lines.filter((line) => !line.trim().startsWith("//")).join("\n");
    const ids = [...code.matchAll(/(?:★|["'`])([A-Z][0-9]{2})\b/g)].map(([, id]) => id ?? "");
    if (ids.length > 0) found.set(name, new Set(ids));
  }
  return found;
}

/** Files that test `id`: those of this folder, or else those elsewhere. */
export function filesOf(id: string, files: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const all = [...files].filter(([, ids]) => ids.has(id)).map(([name]) => name);
  const here = all.filter((name) => name.startsWith("security/"));
  return here.length > 0 ? here : all;
}

/** Text of README.md. */
export function renderReadme(): string {
  const files = idsByFile();
  const later = new Map(
    Object.entries(LATER).flatMap(([topic, ids]) => ids.map((id) => [id, topic] as const)),
  );
  const tested = Object.entries(STARRED).filter(([id]) => !later.has(id));
  const rows = tested.map(
    ([id, what]) =>
      `| ★${id} | ${what} | ${filesOf(id, files)
        .map((name) => `\`${name}\``)
        .join(", ")} |`,
  );
  const waiting = [...later].map(([id, topic]) => `| ★${id} | ${STARRED[id] ?? ""} | ${topic} |`);
  return `# Security suite

Attack cases, each run against a real gateway process between a raw TCP client and an upstream that records every byte.
A case is a line of data: what is sent, which answer is right, and what may reach the upstream. After each case the same
process must answer a clean request within a second, and no canary secret may stand in a log or in an error body.

The rig is in \`test/support\`: \`raw-client.ts\`, \`recorder.ts\`, \`upstream-models.ts\`, \`fault-proxy.ts\`, \`canary.ts\`,
\`gateway.ts\`, \`rig.ts\` and the runner \`cases.ts\`. The id of a case stands first in the title of its test; a star marks
what must never regress. \`npx vitest run test/security -t P03\` runs one case.

This file is written by \`node test/security/readme.ts\`; \`catalogue.test.ts\` proves that it is current and complete.

## Starred cases and where they are tested

| id | about | tests (below \`test/\`) |
|---|---|---|
${rows.join("\n")}

## Starred cases of what isn't built yet

| id | about | comes with |
|---|---|---|
${waiting.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(renderReadme());
