import { describe, expect, test } from "vitest";
import { Masker } from "../../../src/config/mask.ts";

const show = (text: string, index = 0, suspectFrom = Number.POSITIVE_INFINITY) =>
  new Masker(text.split("\n")).line(index, suspectFrom);

describe("a shown line", () => {
  test.for([
    ["    secret: hunter2", "    secret: ***"],
    ['  - { id: a, value: "hunter2", scopes: [b] }', "  - { id: a, value: ***"],
    ["    clientSecret: 'a, b'", "    clientSecret: ***"],
    ['    "secret": hunter2', '    "secret": ***'],
    ["  Authorization: Basic aHVudGVyMg==", "  Authorization: ***"],
    ["redis: redis://:hunter2@127.0.0.1", "redis: ***"],
    ["  app: http://user:hunter2@127.0.0.1/x", "  app: http://***@127.0.0.1/x"],
    ["    secret: ${VAR:-hunter2}", "    secret: ***"],
    ["    secret: prefix-${VAR}-hunter2", "    secret: ***"],
    ["  x: gwk_live_0123456789abcdef", "  x: ***"],
    ["  x: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "  x: ***"],
  ] as const)("%s is shown as %s", ([line, shown]) => {
    expect(show(line)).toBe(shown);
  });

  test.for([
    "    secret: ${VAR}",
    '  - { id: a, value: "${VAR}", scopes: [b] }',
    "    secret: ${file:/run/secrets/jwt}",
    "apiKeys:",
    "apiKeyHeaders: [X-API-Key]",
    "    forwardCredentials: true",
    "  - match: GET /modules",
    "    scopes: [modules:read]",
  ] as const)("%s hides nothing", (line) => {
    expect(show(line)).toBe(line);
  });

  test("hides the lines that go on with a secret", () => {
    const text = "issuers:\n  a:\n    secret: |\n      hunter2\n      hunter3\n    audience: x";
    expect(show(text, 3)).toBe("      ***");
    expect(show(text, 4)).toBe("      ***");
    expect(show(text, 5)).toBe("    audience: x");
  });

  test("hides whatever a mistyped key holds, and shows what stands before it", () => {
    expect(show("  a: { issuer: b, secrt: hunter2 }", 0, 18)).toBe("  a: { issuer: b, secrt: ***");
  });
});
