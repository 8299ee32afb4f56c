import { describe, expect, test, vi } from "vitest";
import type { RouteMatch } from "../../../src/routing/policy.ts";
import { type RoutedRequest, RouteTable } from "../../../src/routing/table.ts";
import { match, routed } from "../../support/routes.ts";

function table(matches: readonly RouteMatch[], caseSensitive = true): RouteTable<string> {
  return new RouteTable(
    matches.map((one) => [one, one.text] as const),
    caseSensitive,
  );
}

function answer(built: RouteTable<string>, request: Partial<Omit<RoutedRequest, "fields">>): string {
  const found = built.match(routed(request));
  if (found.kind === "match") return found.route;
  return found.kind === "method_not_allowed" ? `405 ${found.allow.join(",")}` : found.kind;
}

describe("a path", () => {
  const built = table([
    match("/"),
    match("/modules"),
    match("/modules/:id"),
    match("/modules/new"),
    match("/modules/:id/files/*"),
    match("/modules/:id/files/index"),
    match("/files/*"),
    match("/strict/"),
    match("/both"),
    match("/both/"),
    match("/caf\u00e9"),
    match("/a b/:name"),
  ]);

  test.each([
    ["/", "/"],
    ["/modules", "/modules"],
    ["/modules/", "/modules"],
    ["/modules/7", "/modules/:id"],
    ["/modules/7/", "/modules/:id"],
    ["/modules/new", "/modules/new"],
    ["/modules/new/", "/modules/new"],
    ["/modules/newer", "/modules/:id"],
    ["/modules/New", "/modules/:id"],
    ["/modules/7/files", "/modules/:id/files/*"],
    ["/modules/7/files/", "/modules/:id/files/*"],
    ["/modules/7/files/a/b/c", "/modules/:id/files/*"],
    ["/modules/7/files/index", "/modules/:id/files/index"],
    ["/modules/new/files/index", "/modules/:id/files/index"],
    ["/modules/7/other", "none"],
    ["/files", "/files/*"],
    ["/files/", "/files/*"],
    ["/files/a", "/files/*"],
    ["/filesystem", "none"],
    ["/strict", "none"],
    ["/strict/", "/strict/"],
    ["/both", "/both"],
    ["/both/", "/both/"],
    ["/Modules", "none"],
    ["/caf%C3%A9", "/caf\u00e9"],
    ["/a%20b/x", "/a b/:name"],
    ["/a%20b/", "none"],
    ["/constructor", "none"],
    ["/__proto__/x", "none"],
  ])("%s is answered by %s", (path, route) => {
    expect(answer(built, { path })).toBe(route);
  });

  test("gives its parameters decoded once and in their own case", () => {
    const found = built.match(routed({ path: "/modules/Caf%C3%A9%2525/files/x" }));
    expect(found).toMatchObject({ parameters: { id: "Café%25" } });
    expect(built.match(routed({ path: "/modules" }))).toMatchObject({ parameters: {} });
  });

  test("meets a broader route when the narrower one turns out not to fit", () => {
    const broad = table([match("/a/b/c"), match("/a/:x/d"), match("/a/*"), match("/:one/b/e")]);
    expect(answer(broad, { path: "/a/b/c" })).toBe("/a/b/c");
    expect(answer(broad, { path: "/a/b/d" })).toBe("/a/:x/d");
    expect(answer(broad, { path: "/a/b/e" })).toBe("/a/*");
    expect(answer(broad, { path: "/z/b/e" })).toBe("/:one/b/e");
    expect(broad.match(routed({ path: "/a/b/d" }))).toMatchObject({ parameters: { x: "b" } });
  });

  test("with kept duplicate slashes has empty segments, which no parameter takes", () => {
    const empty = table([match("/a/:x/b"), match("/rest/*")]);
    expect(answer(empty, { path: "/a//b" })).toBe("none");
    expect(answer(empty, { path: "/rest//x" })).toBe("/rest/*");
  });
});

describe("where case is ignored", () => {
  const built = table([match("/Modules/:Id"), match("/CAF\u00c9"), match("/*")], false);

  test.each([
    ["/modules/Ab", "/Modules/:Id"],
    ["/MODULES/Ab", "/Modules/:Id"],
    ["/CAF%C3%89", "/CAF\u00c9"],
    ["/caf%C3%A9", "/CAF\u00c9"],
    ["/Caf%C3%A9/", "/CAF\u00c9"],
    ["/other", "/*"],
  ])("%s is answered by %s", (path, route) => {
    expect(answer(built, { path })).toBe(route);
  });

  test("a parameter keeps its own", () => {
    expect(built.match(routed({ path: "/MODULES/AbC" }))).toMatchObject({ parameters: { Id: "AbC" } });
  });
});

describe("a method", () => {
  const built = table([
    match("/r", { methods: ["GET"] }),
    match("/r", { methods: ["POST", "PUT"] }),
    match("/any"),
    match("/any", { methods: ["DELETE"] }),
    match("/head", { methods: ["GET"] }),
    match("/head", { methods: ["HEAD"] }),
    match("/mixed", { methods: ["GET"] }),
    match("/mixed"),
    match("/items/:id", { methods: ["DELETE"] }),
    match("/items/7", { methods: ["GET"] }),
  ]);

  test.each([
    ["GET", "/r", "GET /r"],
    ["HEAD", "/r", "GET /r"],
    ["PUT", "/r", "POST,PUT /r"],
    ["DELETE", "/r", "405 GET,HEAD,POST,PUT"],
    ["get", "/r", "405 GET,HEAD,POST,PUT"],
    ["OPTIONS", "/r", "405 GET,HEAD,POST,PUT"],
    ["DELETE", "/any", "DELETE /any"],
    ["PURGE", "/any", "/any"],
    ["HEAD", "/head", "HEAD /head"],
    ["HEAD", "/mixed", "GET /mixed"],
    ["POST", "/mixed", "/mixed"],
    ["DELETE", "/items/7", "DELETE /items/:id"],
    ["PATCH", "/items/7", "405 DELETE,GET,HEAD"],
    ["GET", "/items/8", "405 DELETE"],
    ["GET", "/elsewhere", "none"],
  ])("%s %s is answered by %s", (method, path, route) => {
    expect(answer(built, { method, path })).toBe(route);
  });
});

describe("a host", () => {
  const built = table([
    match("/x"),
    match("/x", { hosts: ["api.example.com"] }),
    match("/x", { hosts: ["*.example.com"] }),
    match("/x", { hosts: ["*.eu.example.com", "[::1]"] }),
    match("/only", { hosts: ["api.example.com"] }),
  ]);

  test.each([
    ["api.example.com", "/x", "api.example.com /x"],
    ["api.example.com:8080", "/x", "api.example.com /x"],
    ["api.example.com.", "/x", "api.example.com /x"],
    ["api.example.com.:8080", "/x", "api.example.com /x"],
    ["www.example.com", "/x", "*.example.com /x"],
    ["a.b.example.com", "/x", "*.example.com /x"],
    ["a.eu.example.com", "/x", "*.eu.example.com,[::1] /x"],
    ["[::1]:8080", "/x", "*.eu.example.com,[::1] /x"],
    ["example.com", "/x", "/x"],
    [".example.com", "/x", "/x"],
    ["evilexample.com", "/x", "/x"],
    ["api.example.com.evil", "/x", "/x"],
    ["", "/x", "/x"],
    ["api.example.com", "/only", "api.example.com /only"],
    ["other.example", "/only", "none"],
  ])("%s%s is answered by %s", (authority, path, route) => {
    expect(answer(built, { authority, path })).toBe(route);
  });

  test("that no route serves is misdirected, when every route names its hosts", () => {
    const strict = table([match("/a", { hosts: ["a.example"] }), match("/b/*", { hosts: ["*.b.example"] })]);
    expect(answer(strict, { authority: "other.example", path: "/a" })).toBe("host_unknown");
    expect(answer(strict, { authority: "other.example", path: "/nowhere" })).toBe("host_unknown");
    expect(answer(strict, { authority: "a.example", path: "/nowhere" })).toBe("none");
    expect(answer(strict, { authority: "a.example", path: "/b/x" })).toBe("none");
    expect(answer(strict, { authority: "x.b.example", path: "/b/x" })).toBe("*.b.example /b/*");
  });

  test("is never misdirected in a table without routes", () => {
    expect(answer(table([]), { path: "/" })).toBe("none");
  });
});

describe("a condition", () => {
  const built = table([
    match("/c"),
    { ...match("/c", { headers: [{ name: "x-version", value: "2" }] }), text: "version 2" },
    { ...match("/c", { headers: [{ name: "x-version", value: undefined }] }), text: "any version" },
    { ...match("/c", { query: [{ name: "mode", value: "a b" }] }), text: "mode" },
    {
      ...match("/c", {
        headers: [{ name: "x-version", value: "2" }],
        query: [{ name: "mode", value: undefined }],
      }),
      text: "both",
    },
    {
      ...match("/beta", { methods: ["GET"], headers: [{ name: "x-beta", value: undefined }] }),
      text: "beta",
    },
  ]);
  const ask = (fields: readonly string[], search = "", path = "/c", method = "GET"): string => {
    const found = built.match(routed({ path, search, fields, method }));
    return found.kind === "match" ? found.route : found.kind;
  };

  test.each([
    ["nothing", [], "", "/c"],
    ["the value", ["X-Version", "2"], "", "version 2"],
    ["another value", ["X-Version", "3"], "", "any version"],
    ["an empty value", ["X-Version", ""], "", "any version"],
    ["the value twice", ["X-Version", "2", "x-version", "2"], "", "version 2"],
    ["two different values", ["X-Version", "2", "X-Version", "3"], "", "any version"],
    ["a query parameter", [], "?mode=a%20b", "mode"],
    ["a query parameter with a plus", [], "?mode=a+b", "mode"],
    ["a query parameter by an encoded name", [], "?%6dode=a%20b", "mode"],
    ["two different query parameters", [], "?mode=a%20b&mode=c", "/c"],
    ["field and parameter", ["X-Version", "2"], "?mode", "both"],
  ] as const)("is met by %s", (_what, fields, search, route) => {
    expect(ask(fields, search)).toBe(route);
  });

  test("that isn't met hides the route, its methods too", () => {
    expect(ask([], "", "/beta")).toBe("none");
    expect(ask([], "", "/beta", "POST")).toBe("none");
    expect(ask(["X-Beta", ""], "", "/beta")).toBe("beta");
    expect(ask(["X-Beta", ""], "", "/beta", "POST")).toBe("method_not_allowed");
  });
});

test("a look-up asks as many maps among 10,000 routes as among 10", () => {
  const lookUps = (count: number): number[] => {
    const list = Array.from({ length: count }, (_, index) => match(`/service-${index}/:id/files/*`));
    const literals = Array.from({ length: count }, (_, index) => match(`/literal/path-${index}`));
    const built = table([...list, ...literals]);
    const asked = vi.spyOn(Map.prototype, "get");
    const counts = ["/service-9/7/files/a/b", "/literal/path-9", "/service-9/7", "/nowhere"].map((path) => {
      asked.mockClear();
      built.match(routed({ path }));
      return asked.mock.calls.length;
    });
    asked.mockRestore();
    return counts;
  };
  const few = lookUps(10);
  expect(few.every((count) => count > 0 && count < 30)).toBe(true);
  expect(lookUps(10_000)).toEqual(few);
});
