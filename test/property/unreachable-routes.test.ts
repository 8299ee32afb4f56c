// Where `check` says that no request reaches a pattern, none does; and what nothing is said of is reached by some request.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Fields } from "../../src/core/fields.ts";
import { RouteTable } from "../../src/routing/table.ts";
import { inspect } from "../support/config.ts";

const SEGMENTS = ["a", "b", ":x", ":y"];
const pattern = fc
  .tuple(
    fc.constantFrom("", "GET ", "GET,POST ", "POST "),
    fc.array(fc.constantFrom(...SEGMENTS), { maxLength: 2 }),
    fc.constantFrom("", "/*"),
  )
  .map(([methods, segments, rest]) => {
    const names = segments.map((one, index) => (one.startsWith(":") ? `:p${index}` : one));
    const path = `/${names.join("/")}`;
    return `${methods}${rest === "" ? path : `${path === "/" ? "" : path}/*`}`;
  });

// Every path that these patterns can tell apart, and the methods.
const PATHS = ["/"];
for (const one of ["a", "b", "c"]) {
  PATHS.push(`/${one}`, `/${one}/`);
  for (const two of ["a", "b", "c"])
    PATHS.push(`/${one}/${two}`, `/${one}/${two}/`, `/${one}/${two}/c`, `/${one}/${two}/c/d`);
}
const METHODS = ["GET", "HEAD", "POST", "PUT"];

test("a pattern is called unreachable exactly when nothing reaches it", async () => {
  let dead = 0;
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(pattern, { minLength: 2, maxLength: 7 }), async (patterns) => {
      const routes = patterns.map((one) => `  - { match: "${one}", to: app, public: true }`);
      const { config, diagnostics } = await inspect(
        `health: false\nupstreams: { app: http://127.0.0.1:9 }\nroutes:\n${routes.join("\n")}\n`,
      );
      // Patterns that overlap at equal rank are an error of their own.
      if (config === undefined) return;
      const table = new RouteTable(
        config.routes.flatMap(({ matches }, index) => matches.map((one) => [one, index] as const)),
      );
      const reached = new Set<number>();
      for (const path of PATHS) {
        for (const method of METHODS) {
          const result = table.match({ method, path, search: "", authority: "a", fields: new Fields([]) });
          if (result.kind === "match") reached.add(result.route);
        }
      }
      const said = diagnostics.filter((one) => one.code === "route_shadowed").map(({ line }) => line - 4);
      const unreached = [...patterns.keys()].filter((index) => !reached.has(index));
      dead += unreached.length;
      expect({ patterns, said }).toEqual({ patterns, said: unreached });
    }),
    { numRuns: 400 },
  );
  expect(dead).toBeGreaterThan(5);
});
