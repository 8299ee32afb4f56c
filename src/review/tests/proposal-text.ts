// Proposed tests as YAML to paste into a file.

import type { ProposedTest } from "./suggest-tests.ts";

/** The section `tests`, with a comment for each route. */
export function proposalText(file: string, proposed: readonly ProposedTest[]): string {
  if (proposed.length === 0)
    return "# every route is tested by a request that passes and one that is refused\n";
  const lines = [
    `# Tests that ${oneLine(file)} passes as it stands. Read each: is it what you want?`,
    "tests:",
  ];
  let route: string | undefined;
  for (const one of proposed) {
    if (one.route !== route) lines.push(`  # ${oneLine(one.route)} (line ${one.line})`);
    route = one.route;
    lines.push(`  - ${entryText(one)}`);
  }
  return `${lines.join("\n")}\n`;
}

function entryText({ request, caller, status, code }: ProposedTest): string {
  const { method, target, host, headers } = request;
  const plain = host === undefined && headers.length === 0;
  const full = {
    method,
    path: target,
    ...(host === undefined ? {} : { host }),
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
  };
  const parts = [`request: ${flow(plain ? `${method} ${target}` : full)}`];
  if (caller.kind === "assumed") parts.push(`as: ${flow(caller.facts)}`);
  parts.push(`expect: ${code === undefined ? status : flow({ status, code })}`);
  return `{ ${parts.join(", ")} }`;
}

const PLAIN_TEXT = /^[A-Za-z/][A-Za-z0-9/_.-]*(?::[A-Za-z0-9/_.-]+)*(?: [A-Za-z0-9/_.-]+)*$/;
const WORDS_OF_YAML = /^(?:true|false|null|yes|no|on|off|y|n|~)$/i;

/** A value as YAML in one line. */
function flow(value: unknown): string {
  if (typeof value === "string") {
    if (PLAIN_TEXT.test(value) && !WORDS_OF_YAML.test(value)) return value;
    // A variable would be put in for it.
    return JSON.stringify(value.replaceAll(`\${`, `$\${`));
  }
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const entries = Object.entries(value).map(([key, one]) => `${flow(key)}: ${flow(one)}`);
  return entries.length === 0 ? "{}" : `{ ${entries.join(", ")} }`;
}

function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}
