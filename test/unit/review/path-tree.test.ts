import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readLogLine } from "../../../src/review/replay/log-lines.ts";
import { PathTree } from "../../../src/review/suggest/path-tree.ts";

const line = (path: string, subject = "alice") => {
  const read = readLogLine(
    JSON.stringify({
      type: "decision",
      time: "2026-11-27T00:00:00Z",
      method: "GET",
      path,
      decision: "forward",
      authMethod: "jwt",
      subject,
      scopes: ["a"],
    }),
  );
  if (typeof read === "string") throw new Error(read);
  return read;
};

function patternsOf(paths: readonly string[]): Record<string, number | undefined> {
  const tree = new PathTree();
  for (const path of paths) tree.at("GET", path)?.add(line(path));
  return Object.fromEntries(
    tree.patterns().map(({ pattern, methods }) => [pattern, methods.get("GET")?.count]),
  );
}

test.each([
  [["/modules/7", "/modules/8", "/modules"], { "/modules": 1, "/modules/:id": 2 }],
  [["/a/9b2e6c1e-0d4f-4f6a-9a7b-3c5d7e9f1a2b/b/3"], { "/a/:id/b/:id2": 1 }],
  [
    ["/files/d41d8cd98f00b204e9800998ecf8427e", "/files/internationalization"],
    { "/files/:id": 1, "/files/internationalization": 1 },
  ],
  [["/", "/x/"], { "/": 1, "/x": 1 }],
])("%j are %o", (paths, expected) => {
  expect(patternsOf(paths)).toEqual(expected);
});

test("a place with more than twenty names holds values, and what lies below is joined", () => {
  const names = Array.from(
    { length: 30 },
    (_, index) => `user-${String.fromCharCode(97 + (index % 26))}${index > 25 ? "x" : ""}`,
  );
  expect(patternsOf(names.flatMap((name) => [`/users/${name}`, `/users/${name}/orders`]))).toEqual({
    "/users/:id": 30,
    "/users/:id/orders": 30,
  });
});

test("no request is lost, and no place holds more than twenty names and a parameter", () => {
  const piece = fc.oneof(fc.constantFrom("a", "b", "users", "7"), fc.stringMatching(/^[a-z]{1,3}$/));
  fc.assert(
    fc.property(fc.array(fc.array(piece, { maxLength: 3 }), { maxLength: 200 }), (paths) => {
      const patterns = patternsOf(paths.map((pieces) => `/${pieces.join("/")}`));
      expect(Object.values(patterns).reduce<number>((sum, count) => sum + (count ?? 0), 0)).toBe(
        paths.length,
      );
      const firsts = new Set(Object.keys(patterns).map((pattern) => pattern.split("/")[1]));
      expect(firsts.size).toBeLessThanOrEqual(22);
    }),
  );
});
