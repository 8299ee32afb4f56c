// A mistyped key is the commonest mistake in a configuration. Whatever key is mistyped, and however, it is reported in its
// line, and nearly always with the key that was meant.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { compileFile } from "../../src/config/compile/file.ts";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { Report } from "../../src/config/report.ts";
import { substitute } from "../../src/config/substitute.ts";
import type { MapNode, TreeNode } from "../../src/config/tree.ts";
import { parseYaml } from "../../src/config/yaml-parse.ts";

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const EXAMPLE = at("gateway.yaml.example");
const EVERYTHING = at("config/examples/everything.yaml");
const ENV = {
  LEGACY_SECRET: "0123456789abcdef0123456789abcdef",
  PARTNER_KEY: "partner-key-0123456789",
  ADMIN_TOKEN: "admin-token-0123456789abcdef0123456789",
};

// Below these keys the user chooses the names.
const FREE = new Set([
  "issuers",
  "roles",
  "tiers",
  "tier",
  "upstreams",
  "headers",
  "query",
  "set",
  "metadata",
  "fields",
  "require",
  "claims",
  "response",
]);

interface Key {
  readonly path: readonly (string | number)[];
  readonly name: string;
  readonly line: number;
}

/** A file that is valid as it stands, and its keys. */
interface Subject {
  readonly file: string;
  readonly source: string;
  readonly root: TreeNode;
  readonly keys: readonly Key[];
}

async function subjectOf(file: string, source: string): Promise<Subject> {
  const reply = await parseYaml(source);
  if (reply.root === null) throw new Error(`${file} can't be parsed`);
  const root = await substitute(new Report(file, source), reply.root, ENV);
  return { file, source, root, keys: keysOf(source, root, []) };
}

/** Whether the user chooses the keys of the map at the end of `path`. */
function isFree(path: readonly (string | number)[]): boolean {
  const holder = path.at(-1);
  if (typeof holder !== "string" || !FREE.has(holder)) return false;
  const section = path[0];
  // `headers` of a route holds fixed names, and so do `claims` of an issuer, `response` of those, and the root's `limits`.
  if (holder === "headers" || holder === "response")
    return section === "tests" || !(path.length === 3 || path.at(-2) === "headers");
  return holder !== "claims" || section === "tests";
}

function keysOf(source: string, node: TreeNode, path: readonly (string | number)[]): Key[] {
  if (node.kind === "list")
    return node.items.flatMap((item, index) => keysOf(source, item, [...path, index]));
  if (node.kind === "scalar") return [];
  const free = isFree(path);
  return node.entries.flatMap(({ key, keyAt, value }) => [
    ...(free ? [] : [{ path: [...path, key], name: key, line: source.slice(0, keyAt).split("\n").length }]),
    ...(free && path.at(-1) === "metadata" ? [] : keysOf(source, value, [...path, key])),
  ]);
}

/** The tree with the key at `path` spelt otherwise; places stay, as those of a typo of one letter do within a line. */
function misspell(node: TreeNode, path: readonly (string | number)[], typo: string): TreeNode {
  const [step, ...rest] = path;
  if (node.kind === "list") {
    return {
      ...node,
      items: node.items.map((item, index) => (index === step ? misspell(item, rest, typo) : item)),
    };
  }
  const map = node as MapNode;
  const entries = map.entries.map((entry) => {
    if (entry.key !== step) return entry;
    return rest.length === 0
      ? { ...entry, key: typo }
      : { ...entry, value: misspell(entry.value, rest, typo) };
  });
  return { ...map, entries };
}

// What lies beside each letter on a keyboard.
const ROWS = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
function neighbours(letter: string): readonly string[] {
  const row = ROWS.find((one) => one.includes(letter.toLowerCase())) ?? "";
  const place = row.indexOf(letter.toLowerCase());
  return [row[place - 1], row[place + 1]].filter((one) => one !== undefined);
}

/** Everything that happens to words under fingers, and in heads that know another product. */
function typosOf(word: string): readonly string[] {
  const typos = new Set<string>();
  for (let at = 0; at < word.length; at++) {
    const [before, letter, after] = [word.slice(0, at), word[at] ?? "", word.slice(at + 1)];
    typos.add(before + after);
    typos.add(before + letter + letter + after);
    if (after !== "") typos.add(before + after[0] + letter + after.slice(1));
    for (const other of neighbours(letter)) typos.add(before + other + after);
    const swapped = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
    typos.add(before + swapped + after);
  }
  typos.add(word.endsWith("s") ? word.slice(0, -1) : `${word}s`);
  typos.add(word.toLowerCase());
  typos.add(word.toUpperCase());
  for (const joint of ["_", "-"]) typos.add(word.replace(/[A-Z]/g, (letter) => joint + letter.toLowerCase()));
  typos.delete(word);
  typos.delete("");
  return [...typos];
}

/** What is said about one typo: whether the key is reported in its line, and what is suggested in its place. */
async function saidOf(
  subject: Subject,
  key: Key,
  typo: string,
): Promise<{ readonly reported: boolean; readonly suggestion?: string }> {
  const report = new Report(subject.file, subject.source);
  await compileFile(report, misspell(subject.root, key.path, typo));
  const found = report.diagnostics.find((one) => one.line === key.line && one.code === "unknown_key");
  return found?.suggestion === undefined
    ? { reported: found !== undefined }
    : { reported: true, suggestion: found.suggestion };
}

// The keys that everything.yaml can't hold beside the others: another way to Redis, another source of keys, and tests.
const THE_REST = `
redis:
  sentinels: [sentinel-1:26379]
  name: main
  username: gateway
  password: \${PARTNER_KEY}
  passwordFile: password
  sentinelUsername: sentinel
  sentinelPassword: \${PARTNER_KEY}
  database: 1
  cluster: [redis-1:6379]
  tls: { ca: ca.pem, cert: cert.pem, key: key.pem, serverName: redis }
issuers: { local: { issuer: local, audience: api, jwks: keys.json } }
apiKeys: [{ id: one, value: "\${PARTNER_KEY}" }]
failedCredentials: { limit: 100/min, backoff: 1s, longest: 1h }
upstreams: { app: http://127.0.0.1:9000 }
routes: [{ match: GET /a, to: app, auth: [apiKey], observe: true }]
tests:
  - name: one
    request: { method: GET, path: /a, host: a.example, headers: { X: y }, ip: 127.0.0.1, scheme: http, upgrade: false }
    as: { key: one, token: "\${PARTNER_KEY}", subject: a, issuer: local, scopes: [a], roles: [b], claims: { c: d }, org: e, email: f, tier: g, clientId: h }
    times: 2
    expect: { status: 200, code: rate_limited, grpcStatus: 8, route: a, upstream: app, path: /a, headers: { X: y }, response: { X: y }, limit: b, limitKey: user:c, remaining: 1, observed: [rate_limited] }
`;

let example: Subject;
let everything: Subject;
let rest: Subject;
beforeAll(async () => {
  // With every option of the example switched on.
  const text = readFileSync(EXAMPLE, "utf8").replace(/^(\s*)#(?=\S)/gm, "$1");
  example = await subjectOf(EXAMPLE, text);
  everything = await subjectOf(EVERYTHING, readFileSync(EVERYTHING, "utf8"));
  rest = await subjectOf("rest.yaml", THE_REST);
});

describe("the files that are mistyped", () => {
  test("are valid as they stand", async () => {
    for (const { file, source, root } of [example, everything]) {
      const report = new Report(file, source);
      await compileFile(report, root);
      expect(report.diagnostics.filter((one) => one.severity === "error")).toEqual([]);
    }
  });

  test("hold enough keys to be worth it", () => {
    expect(example.keys.length).toBeGreaterThan(50);
    expect(everything.keys.length).toBeGreaterThan(120);
  });

  test("hold every key that there is", () => {
    const used = new Set([...everything.keys, ...rest.keys].map(({ name }) => name));
    const known = new Set<string>();
    const visit = (node: unknown): void => {
      if (typeof node !== "object" || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key === "properties") {
          for (const [name, one] of Object.entries(value as Record<string, object>))
            if (!("not" in one)) known.add(name);
        }
        if (key !== "examples" && key !== "default") visit(value);
      }
    };
    visit(jsonSchema());
    expect([...known].filter((name) => !used.has(name))).toEqual([]);
  });
});

test.for([
  ["the example", 1, () => example],
  ["a file with every option", 5, () => everything],
  ["the options that stand in no file together", 3, () => rest],
] as const)("typos in %s are reported in their lines, 95 in 100 with the key that was meant", {
  timeout: 60_000,
}, async ([, step, subjectNamed]) => {
  const subject = subjectNamed();
  const missed: string[] = [];
  const all = subject.keys.flatMap((key) => typosOf(key.name).map((typo) => ({ key, typo })));
  const tried = all.filter((_, index) => index % step === 0);
  for (const { key, typo } of tried) {
    const { reported, suggestion } = await saidOf(subject, key, typo);
    expect(reported, `${typo} for ${key.path.join(".")} in line ${key.line}`).toBe(true);
    if (suggestion !== key.name) missed.push(`${typo} for ${key.path.join(".")}: ${suggestion}`);
  }
  const rate = 1 - missed.length / tried.length;
  const file = basename(subject.file);
  process.stdout.write(`${file}: ${tried.length} typos, ${(rate * 100).toFixed(2)} % rightly suggested\n`);
  expect(tried.length).toBeGreaterThan(500);
  expect(rate, missed.join("\n")).toBeGreaterThanOrEqual(0.95);
});
