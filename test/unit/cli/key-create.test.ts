import { hash } from "node:crypto";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { keyForm } from "../../../src/authn/api-key/format.ts";
import { type KeyCreateOptions, keyCreate } from "../../../src/cli/key-create.ts";

let out = "";
let errors = "";
beforeEach(() => {
  out = "";
  errors = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    errors += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

function create(options: Partial<KeyCreateOptions> = {}): number {
  out = "";
  errors = "";
  return keyCreate({ id: "ci-bot", scopes: "modules:read", format: "text", ...options });
}

/** The key and the entry for gateway.yaml that stand in the text, the latter as YAML reads it. */
function printed(): { key: string; entry: Record<string, unknown> } {
  const key = /^ {2}(gwk_\w+)$/m.exec(out)?.[1] ?? "";
  const line = /^ {2}- .*$/m.exec(out)?.[0] ?? "";
  const [entry = {}] = parse(line) as Record<string, unknown>[];
  return { key, entry };
}

describe("a new key", () => {
  test("is printed once, with a line that knows it by its hash alone", () => {
    expect(create({ scopes: "modules:read, modules:write", expires: "2027-01-31" })).toBe(0);
    const { key, entry } = printed();
    expect(keyForm(key)).toBe("own");
    expect(key).toMatch(/^gwk_live_/);
    expect(out.split(key)).toHaveLength(2);
    expect(entry).toEqual({
      id: "ci-bot",
      hash: `sha256:${hash("sha256", key, "hex")}`,
      scopes: ["modules:read", "modules:write"],
      expires: "2027-01-31",
    });
    expect(errors).toBe("");
  });

  test("is for tests when asked so", () => {
    create({ test: true });
    expect(printed().key).toMatch(/^gwk_test_/);
  });

  test("is one JSON document when asked so", () => {
    expect(create({ format: "json" })).toBe(0);
    const { key, entry } = JSON.parse(out) as { key: string; entry: Record<string, unknown> };
    expect(entry).toEqual({
      id: "ci-bot",
      hash: `sha256:${hash("sha256", key, "hex")}`,
      scopes: ["modules:read"],
    });
  });

  test("has a line that YAML reads back as it was meant, whatever the id and the scopes look like", () => {
    const name = fc.oneof(
      fc.constantFrom("true", "null", "NULL", "1", "1e3", "0x10", "no", "a.b", "1.0"),
      fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
    );
    const scope = fc.oneof(
      fc.constantFrom(
        "*",
        "a:*",
        "true",
        "null",
        "123",
        "-",
        "a:",
        ":a",
        "a#b",
        "{a}",
        "[a]",
        "&a",
        "!a",
        "|",
        "'",
        "~",
        "https://a.b/c",
      ),
      fc.stringMatching(/^[!#-+\-.-[\]-~]{1,20}$/),
    );
    fc.assert(
      fc.property(name, fc.array(scope, { minLength: 1, maxLength: 4 }), (id, scopes) => {
        expect(create({ id, scopes: scopes.join(",") })).toBe(0);
        expect(printed().entry).toMatchObject({ id, scopes });
      }),
      { numRuns: 500 },
    );
  });
});

describe("wrong usage is told without a key:", () => {
  test.each<readonly [string, Partial<KeyCreateOptions>, RegExp]>([
    ["an id with a space", { id: "a b" }, /^gatewarden: --id: /],
    ["no id", { id: "" }, /^gatewarden: --id: /],
    ["an id that is too long", { id: "a".repeat(65) }, /^gatewarden: --id: /],
    ["no scope", { scopes: "" }, /^gatewarden: --scopes: "" is not a scope/],
    ["an empty scope", { scopes: "a,,b" }, /^gatewarden: --scopes: "" is not a scope/],
    ["a scope with a quote", { scopes: 'a"b' }, /^gatewarden: --scopes: /],
    ["a day that doesn't exist", { expires: "2027-02-30" }, /^gatewarden: --expires: expected a date/],
    [
      "a day that the file would refuse",
      { expires: "31 Jan 2027" },
      /^gatewarden: --expires: expected a date/,
    ],
  ])("%s", (_what, options, message) => {
    expect(create(options)).toBe(2);
    expect(errors).toMatch(message);
    expect(out).toBe("");
  });
});
