// Layers, single importers, import cycles and types of the sources, as the architecture has them.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { houseFaults, type Sources, unpinned } from "./support/source-rules.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const SOURCES: Sources = new Map(
  readdirSync(`${ROOT}src`, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.[jt]s$/.test(path))
    .sort()
    .map((path) => [path, readFileSync(`${ROOT}src/${path}`, "utf8")]),
);

const KNOWN = new Set(houseFaults(SOURCES));

/** The faults that the sources have once these files are added or replaced. */
function faultsWith(changes: Readonly<Record<string, string>>): readonly string[] {
  const text = (source: string): string => `// A file.\n${source}\n`;
  const changed = Object.entries(changes).map(([path, source]) => [path, text(source)] as const);
  return houseFaults(new Map([...SOURCES, ...changed])).filter((fault) => !KNOWN.has(fault));
}

describe("the sources", () => {
  test("are all looked at", () => {
    expect(SOURCES.size).toBeGreaterThan(80);
    expect(SOURCES.has("core/result.ts")).toBe(true);
    expect(SOURCES.has("gateway.ts")).toBe(true);
  });

  test("keep every rule of the house", () => {
    expect([...KNOWN]).toEqual([]);
  });
});

describe("the check finds", () => {
  const BROKEN: readonly (readonly [
    what: string,
    changes: Readonly<Record<string, string>>,
    fault: RegExp,
  ])[] = [
    [
      "a room that imports its sibling",
      { "routing/new.ts": 'import { deny } from "../authz/roles.ts";' },
      /floor 1.*authz/,
    ],
    [
      "a room that imports only a type of its sibling",
      { "store/new.ts": 'import type { LimitPolicy } from "../rate-limit/policy.ts";' },
      /floor 1.*rate-limit/,
    ],
    [
      "a type imported in the middle of code",
      { "authn/new.ts": 'export const a: import("../store/redis.ts").Redis = 1;' },
      /floor 1.*store/,
    ],
    ["a lower floor that imports a higher one", { "config/new.ts": 'import "../gateway.ts";' }, /floor 2/],
    [
      "a lower floor that exports from a higher one",
      { "upstream/new.ts": 'export {\n  decide,\n} from "../pipeline/decide.ts";' },
      /floor 1/,
    ],
    ["a dynamic import upwards", { "pipeline/new.ts": 'await import("../http/app.ts");' }, /floor 3/],
    [
      "a worker file of a higher floor",
      { "telemetry/new.ts": 'new URL("../cli/commands.ts", import.meta.url);' },
      /floor 1/,
    ],
    [
      "two rooms of floor 4 that know each other",
      { "admin/new.ts": 'import { createApp } from "../http/app.ts";' },
      /floor 4/,
    ],
    ["core that imports a room", { "core/new.ts": 'import "../routing/policy.ts";' }, /floor 0/],
    ["core that imports a package", { "core/new.ts": 'import type * as z from "zod";' }, /core imports zod/],
    [
      "core that imports a module of Node",
      { "core/new.ts": 'import { hash } from "node:crypto";' },
      /core imports node:crypto/,
    ],
    ["an import of a file that isn't there", { "core/new.ts": 'import "./nowhere.ts";' }, /no source/],
    ["an import from outside the sources", { "http/new.ts": 'import "../../test/x.ts";' }, /no source/],
    ["a file in no room", { "helpers/new.ts": "export const a = 1;" }, /helpers is no room/],
    ["a second importer of jose", { "authn/new.ts": 'import { jwtVerify } from "jose";' }, /authn\/jwt\//],
    ["a second importer of ioredis", { "tokens/new.ts": 'import { Redis } from "ioredis";' }, /only store\//],
    [
      "a second importer of http-proxy-middleware",
      { "upstream/new.ts": 'import { x } from "http-proxy-middleware";' },
      /upgrade-transport/,
    ],
    ["a second importer of pino", { "telemetry/new.ts": 'import pino from "pino";' }, /telemetry\/log/],
    ["yaml outside the configuration", { "routing/new.ts": 'import { parse } from "yaml";' }, /only config/],
    [
      "Hono outside the two servers",
      { "pipeline/new.ts": 'import { Hono } from "hono/tiny";' },
      /only http\/ and admin\//,
    ],
    [
      "Hono's adapter outside the two servers",
      { "gateway.ts": 'import "@hono/node-server/x";' },
      /only http\/ and admin\//,
    ],
    [
      "a second importer of prom-client",
      { "admin/new.ts": 'import { Registry } from "prom-client";' },
      /telemetry\/metrics/,
    ],
    ["commander outside the commands", { "gateway.ts": 'import { x } from "commander";' }, /only cli/],
    [
      "a cycle of three files, type imports included",
      {
        "core/a.ts": 'import type { B } from "./b.ts";',
        "core/b.ts": 'import { C } from "./c.ts";',
        "core/c.ts": 'import type { A } from "./a.ts";',
      },
      /cycle: core\/a\.ts → core\/b\.ts → core\/c\.ts → core\/a\.ts/,
    ],
    ["a parameter of type any", { "core/new.ts": "export function f(x: any): void {}" }, /type any/],
    ["a cast to any", { "core/new.ts": "export const a = 1 as any;" }, /type any/],
    ["any inside another type", { "core/new.ts": "export let a: Map<string, any[]>;" }, /type any/],
    ["any in a union", { "core/new.ts": "export type A = string | any;" }, /type any/],
    [
      "any within a template's expression",
      { "core/new.ts": "export const a = `x$" + "{b as any}`;" },
      /type any/,
    ],
    ["a non-null assertion", { "core/new.ts": "export const a = list[0]!.b;" }, /non-null/],
    ["a non-null assertion on a call", { "core/new.ts": "export const a = f()!;" }, /non-null/],
    ["a definite assignment", { "core/new.ts": "export class A { a!: string; }" }, /non-null/],
    [
      "an import of a name made of pieces",
      { "cli/new.ts": "await import(`./$" + "{name}.ts`);" },
      /run-time/,
    ],
    ["an import of a computed name", { "cli/new.ts": "await import(name);" }, /run-time/],
  ];

  test.each(BROKEN)("%s", (_what, changes, fault) => {
    expect(faultsWith(changes)).toEqual([expect.stringMatching(fault)]);
  });

  test("a file that opens without a comment", () => {
    const faults = houseFaults(new Map([["core/new.ts", "export const a = 1;\n"]]));
    expect(faults).toEqual(["core/new.ts: does not open with a comment"]);
  });
});

describe("the check is not misled by", () => {
  const HARMLESS: readonly (readonly [what: string, source: string])[] = [
    [
      "imports in comments",
      '// import "../gateway.ts";\n/* import { x } from "jose"; */\nexport const a = 1;',
    ],
    ["imports in strings", "export const a = 'import \"jose\"; x as any; y!.z';"],
    ["imports in templates", 'export const a = `\nimport "../gateway.ts";\n' + "$" + "{b}x as any`;"],
    ["regular expressions", "export const a = /[/*\"]'x as any!/.test(b) || /\\/\\//.test(c);"],
    ["a division", "export const a = b / c;\nexport const d = e / 2; // as any"],
    ["negation and inequality", "export const a = !b !== !c && d != e;"],
    ["members called any", "export const a = { any: b.any, c: AbortSignal.any([d]) };"],
    ["a cycle of nothing but depth", 'import "./result.ts";\nimport "./scope.ts";'],
  ];

  test.each(HARMLESS)("%s", (_what, source) => {
    expect(faultsWith({ "core/new.ts": source })).toEqual([]);
  });
});

describe("package.json", () => {
  const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as Record<string, unknown>;

  test("pins every dependency to one exact version", () => {
    expect(Object.keys(manifest.dependencies as object).length).toBeGreaterThan(5);
    expect(unpinned(manifest)).toEqual([]);
  });

  test.each([
    "^1.2.3",
    "~1.2.3",
    "1.2",
    "*",
    "latest",
    ">=1.0.0",
    "github:a/b",
  ])("may not say %s", (range) => {
    expect(unpinned({ devDependencies: { a: "1.2.3", b: range } })).toEqual([`b@${range}`]);
  });
});
