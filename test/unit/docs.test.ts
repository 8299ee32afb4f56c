// The documents against the code: generated pages are current, names that they use exist, examples are valid.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configurationPage, type Schema } from "../../scripts/configuration-page.ts";
import { errorsPage } from "../../scripts/errors-page.ts";
import { inspectConfig } from "../../src/config/load.ts";
import { DENIALS, type DenialCode } from "../../src/core/denial.ts";
import { encodeFieldValue } from "../../src/core/fields.ts";
import { canonicalise } from "../../src/core/request-target.ts";
import { makeAuthority } from "../support/certificates.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const filesIn = (folder: string, ending: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);

const PAGES = [
  ...readdirSync(ROOT).filter((name) => name.endsWith(".md")),
  ...filesIn("docs", ".md"),
  "bench/README.md",
  "test/security/README.md",
].filter((page) => existsSync(join(ROOT, page)));
const SOURCES = filesIn("src", ".ts");

/** What the example files may take from the environment. */
const ENVIRONMENT = {
  REDIS_URL: "redis://127.0.0.1:6379",
  LEGACY_API_KEY: "a key of an older system".replaceAll(" ", "-"),
  BILLING_SECRET: "0123456789abcdef".repeat(4),
  LEGACY_SECRET: "fedcba9876543210".repeat(4),
  PARTNER_KEY: "a-key-of-another-system",
  ADMIN_TOKEN: "0123456789abcdef".repeat(4),
};

/** Files that the pages name. */
let secrets: string;

beforeAll(async () => {
  secrets = await mkdtemp(join(tmpdir(), "gatewarden-docs-secrets-"));
  await writeFile(join(secrets, "redis-password"), "a password\n", { mode: 0o600 });
  makeAuthority(secrets, "redis-ca").issue("gateway", "DNS:gateway.internal");
});

afterAll(async () => {
  await rm(secrets, { recursive: true, force: true });
});

async function errorsOf(yaml: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "gatewarden-docs-"));
  try {
    await writeFile(join(folder, "gateway.yaml"), yaml);
    await symlink(secrets, join(folder, "secrets"));
    const { diagnostics } = await inspectConfig(join(folder, "gateway.yaml"), ENVIRONMENT);
    return diagnostics
      .filter((one) => one.severity === "error")
      .map((one) => `${one.line}: ${one.code} ${one.message}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function blocks(page: string, language: string): string[] {
  const found = read(page).matchAll(/^```(\S+).*\n([\s\S]*?)^```$/gm);
  return [...found].filter((match) => match[1] === language).map((match) => match[2] ?? "");
}

describe("generated pages", () => {
  it("docs/ERRORS.md is what `npm run docs` writes", () => {
    expect(read("docs/ERRORS.md")).toBe(errorsPage());
  });

  it("docs/CONFIGURATION.md is what `npm run docs` writes", () => {
    const schema = JSON.parse(read("config/gateway.schema.json")) as Schema;
    expect(read("docs/CONFIGURATION.md")).toBe(configurationPage(schema));
  });
});

describe("names in the documents", () => {
  it.each(PAGES)("%s links to files that exist", (page) => {
    const targets = [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? "");
    const missing = targets.filter(
      (target) => !/^https?:/.test(target) && !existsSync(join(ROOT, dirname(page), target)),
    );
    expect(missing).toEqual([]);
  });

  it.each(PAGES)("%s names files that exist", (page) => {
    const named = [...read(page).matchAll(/`((?:src|test|docs|scripts|config|bench)\/[\w./-]+)`/g)];
    expect(named.map((match) => match[1] ?? "").filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it.each(PAGES)("%s gives refusals the status that they have", (page) => {
    const pairs = [...read(page).matchAll(/\b([2-5]\d\d) `([a-z_]+)`/g)].map((match) => ({
      code: match[2] ?? "",
      status: Number(match[1]),
    }));
    const real = pairs.map(({ code }) => ({ code, status: DENIALS[code as DenialCode]?.status }));
    expect(pairs).toEqual(real);
  });

  it("docs/REQUEST-LIFE.md tells where each refusal comes from", () => {
    const page = read("docs/REQUEST-LIFE.md");
    expect(Object.keys(DENIALS).filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });

  it("docs/ERRORS.md lists every reason that the sources give", () => {
    const page = read("docs/ERRORS.md");
    const patterns = [
      /deny\(\s*"[a-z_]+",\s*"([a-z_]+)"/g,
      /\breason: "([a-z_]+)", unanswered/g,
      /"(jwt_[a-z0-9_]+)"/g,
    ];
    const reasons = SOURCES.flatMap((source) => {
      const text = read(source);
      return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ""));
    });
    reasons.push(
      ...wordsAfter("src/core/request-target.ts", /export type TargetFault =([^;]*);/),
      ...wordsAfter("src/upstream/failure-map.ts", /([\s\S]*)/).filter(
        (word) => word.includes("_") && !(word in DENIALS),
      ),
      ...[...read("src/authn/api-key/authenticator.ts").matchAll(/refuse\("([a-z_]+)"\)/g)].map(
        (match) => match[1] ?? "",
      ),
    );
    expect(new Set(reasons).size).toBeGreaterThan(70);
    expect([...new Set(reasons)].filter((reason) => !page.includes(`\`${reason}\``))).toEqual([]);
  });

  it("docs/CHECK.md explains every code of a diagnostic, once, and no other", () => {
    const union = /export type DiagnosticCode =([^;]*);/.exec(read("src/config/report.ts"))?.[1] ?? "";
    const codes = [...union.matchAll(/"([a-z_]+)"/g)].map((match) => match[1] ?? "");
    const told = [...read("docs/CHECK.md").matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1] ?? "");
    expect(codes.length).toBeGreaterThan(60);
    expect(told.toSorted()).toEqual(codes.toSorted());
  });

  it("docs/OPERATIONS.md explains every event of the log", () => {
    const page = read("docs/OPERATIONS.md");
    const kinds = [...read("src/core/events.ts").matchAll(/kind: "([a-z_]+)"/g)].map(
      (match) => match[1] ?? "",
    );
    const lines = SOURCES.flatMap((source) => [
      ...read(source).matchAll(/\.system\(\s*"\w+",\s*"([a-z_]+)"/g),
    ]);
    const events = [...kinds, ...lines.map((match) => match[1] ?? "")];
    expect(events.length).toBeGreaterThan(12);
    expect(events.filter((event) => !page.includes(`\`${event}\``))).toEqual([]);
  });

  it("docs/METRICS.md explains every metric, and no other", () => {
    const names = (text: string, pattern: RegExp): string[] => [
      ...new Set(Array.from(text.matchAll(pattern), ([name]) => name.replace(/_(?:bucket|sum|count)$/, ""))),
    ];
    const sources = SOURCES.filter((source) => source.startsWith("src/telemetry/metrics"));
    const metrics = names(sources.map(read).join("\n"), /(?<=")(?:gateway|process|nodejs)_[a-z0-9_]+(?=")/g);
    expect(metrics.length).toBeGreaterThan(35);
    const page = read("docs/METRICS.md");
    expect(names(page, /(?<=^\| `)(?:gateway|process|nodejs)_[a-z0-9_]+/gm).sort()).toEqual(metrics.sort());
    expect(
      names(page, /\b(?:gateway|process|nodejs)_[a-z0-9_]+(?=[{`)[ ])/g).filter(
        (name) => !metrics.includes(name),
      ),
    ).toEqual([]);
  });

  it("docs/OPERATIONS.md explains every note of readiness", () => {
    const page = read("docs/OPERATIONS.md");
    const notes = SOURCES.flatMap((source) => [...read(source).matchAll(/notes\.push\("([a-z_]+)"\)/g)]);
    expect(notes.length).toBeGreaterThan(3);
    expect(notes.map((match) => match[1] ?? "").filter((note) => !page.includes(`\`${note}\``))).toEqual([]);
  });

  it("docs/OPERATIONS.md lists every member of access and decision lines", () => {
    const page = read("docs/OPERATIONS.md");
    const records = [
      ...read("src/telemetry/log.ts").matchAll(/interface (?:Access|Decision)Record \{([^}]*)\}/g),
    ];
    const members = records.flatMap((match) => [...(match[1] ?? "").matchAll(/readonly (\w+):/g)]);
    expect(members.length).toBeGreaterThan(20);
    expect(members.map((match) => match[1] ?? "").filter((name) => !page.includes(`\`${name}\``))).toEqual(
      [],
    );
  });

  it("every run-time dependency has its line in the decision record", () => {
    const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
    const record = read("docs/adr/0005-run-time-dependencies.md");
    expect(Object.keys(dependencies).filter((name) => !record.includes(`| ${name} |`))).toEqual([]);
  });
});

/** The quoted values (not the keys) in what `pattern` captures of a source. */
function wordsAfter(source: string, pattern: RegExp): string[] {
  const text = pattern.exec(read(source))?.[1] ?? "";
  return [...text.matchAll(/"([a-z_]+)"/g)].map((match) => match[1] ?? "");
}

describe("statements in the documents", () => {
  const rows = [...read("docs/PATHS.md").matchAll(/^\| `([a-z_]+)` \| `([^`]+)` \|/gm)];

  it.each(
    rows.map((match) => [match[1], match[2]]),
  )("PATHS.md: %s is the reason for %s", (reason, target) => {
    expect(canonicalise(target ?? "", "api.example")).toEqual({ ok: false, error: reason });
  });

  it("PATHS.md has an example for every reason", () => {
    const faults = wordsAfter("src/core/request-target.ts", /export type TargetFault =([^;]*);/);
    expect(rows.map((match) => match[1]).toSorted()).toEqual(faults.toSorted());
  });

  it("HEADERS.md shows the encoding as it is", () => {
    const [, value = "", encoded] = /`([^`]+)` becomes `([^`]+)`/.exec(read("docs/HEADERS.md")) ?? [];
    expect(encodeFieldValue(value)).toBe(encoded);
  });

  it("the first screen of the README is the reference example, in 12 lines", () => {
    const settings = (text: string): string[] =>
      text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
    const [shown = ""] = blocks("README.md", "yaml");
    expect(settings(shown)).toEqual(settings(read("config/examples/reference.yaml")));
    expect(settings(shown).length).toBeLessThanOrEqual(14);
  });
});

describe("examples", () => {
  const examples = readdirSync(join(ROOT, "config/examples")).map((name) => `config/examples/${name}`);

  it.each([...examples, "gateway.yaml.example"])("%s is valid, without a warning", async (file) => {
    const { config, diagnostics } = await inspectConfig(join(ROOT, file), ENVIRONMENT);
    expect(diagnostics.filter((one) => one.severity !== "note")).toEqual([]);
    expect(config).toBeDefined();
  });

  it.each(examples)("%s names the variables that it needs in its header", (file) => {
    const text = read(file);
    const needed = [...text.replace(/^ *#.*$/gm, "").matchAll(/\$\{(\w+)\}/g)].map((match) => match[1] ?? "");
    const header = /^# Environment: (.*)$/m.exec(text)?.[1] ?? "";
    expect(header).not.toBe("");
    expect(needed.filter((name) => !header.includes(name))).toEqual([]);
    if (needed.length === 0) expect(header).toMatch(/^none$|unless set/);
  });

  it("gateway.yaml.example needs no variable", async () => {
    const { config } = await inspectConfig(join(ROOT, "gateway.yaml.example"), {});
    expect(config).toBeDefined();
  });

  it("gateway.yaml.example is valid with every option switched on", async () => {
    const text = read("gateway.yaml.example").replace(/^(\s*)#(?=\S)/gm, "$1");
    expect(text).toContain("\ntrustedProxies:");
    // Keys come from one place; the example offers them as a choice.
    expect(await errorsOf(text)).toEqual([]);
  });

  const fragments = PAGES.flatMap((page) =>
    blocks(page, "yaml").map((text, index) => [page, index + 1, text] as const),
  );

  it.each(fragments)("%s shows valid settings in its block %i", async (_page, _index, text) => {
    const limits = text.split("\n").filter((line) => line.startsWith("limit:"));
    const route = (more: string, at: number): string =>
      `  - { match: /shown/${at}, to: shown, auth: [apiKey], ${more.replace(/ +#.*$/, "")} }`;
    const rest = text
      .split("\n")
      .filter((line) => !line.startsWith("limit:"))
      .join("\n");
    const whole = rest.includes("routes:")
      ? rest
      : [rest, "upstreams: { shown: http://127.0.0.1:9 }", "routes:", ...[...limits, ""].map(route)].join(
          "\n",
        );
    expect(await errorsOf(whole.replace(/, +\}/g, " }").replaceAll(/ +# .*$/gm, ""))).toEqual([]);
  });
});
