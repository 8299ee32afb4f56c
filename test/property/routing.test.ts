// The route table against a second reading of its rules, against another router, and the overlap check against trying.

import fc from "fast-check";
import findMyWay from "find-my-way";
import { describe, expect, test } from "vitest";
import type { RouteMatch, ValueCondition } from "../../src/routing/policy.ts";
import { findOverlap, pathShape } from "../../src/routing/rank.ts";
import { type RoutedRequest, RouteTable } from "../../src/routing/table.ts";
import { bestRoutes, compareRanks, match, rankOf, routed } from "../support/routes.ts";

const SEGMENTS = ["a", "b", "é", ":x", ":y"];
const METHODS = ["GET", "HEAD", "POST"];
const HOSTS = ["a.example", "b.a.example", "*.a.example", "*.example", "*.b.a.example"];

const conditions: fc.Arbitrary<ValueCondition[]> = fc.uniqueArray(
  fc.record({ name: fc.constantFrom("h", "k"), value: fc.constantFrom("1", "2", undefined) }),
  { selector: ({ name }) => name, maxLength: 2 },
);
const often = <T>(arbitrary: fc.Arbitrary<T[]>): fc.Arbitrary<T[]> =>
  fc.oneof({ weight: 3, arbitrary: fc.constant<T[]>([]) }, { weight: 1, arbitrary });

const route: fc.Arbitrary<RouteMatch> = fc
  .record({
    segments: fc
      .array(fc.constantFrom(...SEGMENTS), { maxLength: 3 })
      .filter(
        (list) =>
          list.indexOf(":x") === list.lastIndexOf(":x") && list.indexOf(":y") === list.lastIndexOf(":y"),
      ),
    end: fc.constantFrom("", "", "/", "/*"),
    methods: fc.subarray(METHODS),
    hosts: often(fc.subarray(HOSTS, { minLength: 1, maxLength: 2 })),
    headers: often(conditions),
    query: often(conditions),
  })
  .map(({ segments, end, ...parts }) =>
    match(`/${segments.join("/")}${segments.length === 0 ? end.slice(1) : end}`, parts),
  );

const request: fc.Arbitrary<RoutedRequest> = fc
  .record({
    pieces: fc.array(fc.constantFrom("a", "b", "c", "%C3%A9"), { maxLength: 4 }),
    slash: fc.boolean(),
    method: fc.constantFrom(...METHODS, "OPTIONS"),
    authority: fc.constantFrom(
      "a.example",
      "b.a.example:8080",
      "c.b.a.example",
      "z.example.",
      "example",
      "other",
    ),
    fields: fc.array(fc.constantFrom(["h", "1"], ["h", "2"], ["H", "1"], ["k", "1"]), { maxLength: 2 }),
    search: fc.constantFrom("", "?h=1", "?h=2", "?h=1&h=1", "?h=1&h=2", "?k", "?h=1&k=1"),
  })
  .map(({ pieces, slash, fields, ...rest }) => {
    const path = `/${pieces.join("/")}${slash && pieces.length > 0 ? "/" : ""}`;
    return routed({ ...rest, path, fields: fields.flat() });
  });

/** Routes of which no two overlap, as every configuration that loads has them. */
const routes = fc.array(route, { minLength: 1, maxLength: 12 }).map((list) => {
  const kept: RouteMatch[] = [];
  for (const one of list) if (!kept.some((other) => findOverlap(one, other))) kept.push(one);
  return kept;
});

function table(list: readonly RouteMatch[]): RouteTable<RouteMatch> {
  return new RouteTable(list.map((one) => [one, one] as const));
}

describe("the most specific route wins", () => {
  test("as its definition says, for 12,000 requests", () => {
    let matched = 0;
    fc.assert(
      fc.property(routes, fc.array(request, { minLength: 6, maxLength: 6 }), (list, requests) => {
        const built = table(list);
        for (const one of requests) {
          const best = bestRoutes(list, one);
          expect(best.length).toBeLessThan(2);
          const found = built.match(one);
          if (found.kind === "match") matched += 1;
          expect(found.kind === "match" ? found.route : undefined).toBe(best[0]);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(matched).toBeGreaterThan(2_000);
  });

  test("in whatever order the routes are listed", () => {
    const shuffled = routes.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, fc.array(request, { minLength: 4, maxLength: 4 }), ([list, other], requests) => {
        const [one, two] = [table(list), table(other)];
        for (const asked of requests) expect(two.match(asked)).toEqual(one.match(asked));
      }),
      { numRuns: 1_000 },
    );
  });

  test("and where none does, the methods that would match are told", () => {
    fc.assert(
      fc.property(routes, request, (list, asked) => {
        const found = table(list).match(asked);
        const allowed = METHODS.filter((method) => bestRoutes(list, { ...asked, method }).length > 0);
        if (found.kind === "method_not_allowed") expect(found.allow).toEqual(allowed);
        else if (found.kind !== "match") expect(allowed).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
  });
});

test("plain paths and methods are answered as another router answers them", () => {
  const plain = fc.record({
    pieces: fc.array(fc.constantFrom("a", "b", "ab", ":"), { maxLength: 4 }),
    wildcard: fc.boolean(),
    method: fc.constantFrom("GET", "POST"),
  });
  const patterns = fc
    .uniqueArray(plain, {
      selector: ({ pieces, wildcard, method }) => `${method} ${pieces.join("/")} ${wildcard}`,
      maxLength: 15,
    })
    .map((list) =>
      list.map(({ pieces, wildcard, method }) => {
        const named = pieces.map((piece, depth) => (piece === ":" ? `:p${depth}` : piece));
        return { method, pattern: `/${[...named, ...(wildcard ? ["*"] : [])].join("/")}` };
      }),
    );
  // In the other router a parameter may be empty, so `/` is left out.
  const path = fc
    .array(fc.constantFrom("a", "b", "ab", "c"), { minLength: 1, maxLength: 5 })
    .map((pieces) => `/${pieces.join("/")}`);
  let compared = 0;
  fc.assert(
    fc.property(patterns, fc.array(path, { minLength: 5, maxLength: 5 }), (list, paths) => {
      const other = findMyWay();
      for (const { method, pattern } of list) other.on(method as "GET", pattern, () => undefined, pattern);
      const built = new RouteTable(
        list.map(({ method, pattern }) => [match(pattern, { methods: [method] }), pattern] as const),
      );
      for (const one of paths) {
        const found = built.match(routed({ path: one, method: "POST" }));
        const pattern = found.kind === "match" ? found.route : undefined;
        // In the other router a wildcard wants something behind its slash.
        if (pattern?.split("/").length === one.split("/").length + 1) continue;
        const theirs = other.find("POST", one);
        compared += 1;
        expect(pattern).toBe(theirs?.store);
        if (found.kind !== "match" || theirs === null) continue;
        const { "*": _rest, ...parameters } = theirs.params;
        expect({ ...found.parameters }).toEqual({ ...parameters });
      }
    }),
    { numRuns: 2_000 },
  );
  expect(compared).toBeGreaterThan(5_000);
});

describe("two routes overlap", () => {
  const PATHS = ["/"];
  for (const a of ["a", "b", "%C3%A9", "c"]) {
    PATHS.push(`/${a}`, `/${a}/`);
    for (const b of ["a", "b", "%C3%A9", "c"]) {
      PATHS.push(`/${a}/${b}`, `/${a}/${b}/`);
      for (const c of ["a", "b", "%C3%A9", "c"])
        PATHS.push(`/${a}/${b}/${c}`, `/${a}/${b}/${c}/`, `/${a}/${b}/${c}/c`);
    }
  }
  const AUTHORITIES = ["a.example", "b.a.example", "c.a.example", "c.b.a.example", "c.example", "other"];
  const FIELDS = [[], ["h", "1"], ["h", "2"], ["k", "1"], ["k", "2"]];
  for (const h of ["1", "2"]) for (const k of ["1", "2"]) FIELDS.push(["h", h, "k", k]);
  const SEARCHES = FIELDS.map((fields) => {
    const pairs = fields.flatMap((name, index) => (index % 2 === 0 ? [[name, fields[index + 1] ?? ""]] : []));
    return `?${new URLSearchParams(pairs)}`;
  });

  /** Whether some member of `requests` meets both routes with one rank. */
  function meetsBoth(a: RouteMatch, b: RouteMatch, requests: readonly RoutedRequest[]): boolean {
    return requests.some((one) => {
      const ranks = [rankOf(a, one), rankOf(b, one)] as const;
      return ranks[0] !== undefined && ranks[1] !== undefined && compareRanks(ranks[0], ranks[1]) === 0;
    });
  }

  /** The parts of a request are independent of each other, so each is tried alone. */
  function overlapByTrying(a: RouteMatch, b: RouteMatch): boolean {
    const only = (part: keyof RouteMatch, one: RouteMatch): RouteMatch => ({
      ...match("/*"),
      [part]: one[part],
    });
    const path = (one: RouteMatch): RouteMatch => ({
      ...one,
      methods: [],
      hosts: [],
      headers: [],
      query: [],
    });
    const rest = (one: RouteMatch): RouteMatch => ({
      ...match("/*"),
      headers: one.headers,
      query: one.query,
    });
    return (
      meetsBoth(
        path(a),
        path(b),
        PATHS.map((tried) => routed({ path: tried })),
      ) &&
      meetsBoth(
        only("methods", a),
        only("methods", b),
        [...METHODS, "PUT"].map((method) => routed({ method })),
      ) &&
      meetsBoth(
        only("hosts", a),
        only("hosts", b),
        AUTHORITIES.map((authority) => routed({ authority })),
      ) &&
      meetsBoth(
        rest(a),
        rest(b),
        FIELDS.flatMap((fields) => SEARCHES.map((search) => routed({ fields, search }))),
      )
    );
  }

  test("exactly when trying finds a request that meets both with one rank", () => {
    let overlapping = 0;
    // Most pairs differ in little, so that many overlap.
    const pair = fc.oneof(
      fc.tuple(route, route),
      fc
        .tuple(route, route, fc.subarray(["segments", "methods", "hosts", "headers", "query"] as const))
        .map(([a, b, alike]): [RouteMatch, RouteMatch] => {
          const shape = { wildcard: a.wildcard, trailingSlash: a.trailingSlash };
          const shared = Object.fromEntries(alike.map((part) => [part, a[part]]));
          return [a, { ...b, ...(alike.includes("segments") ? shape : {}), ...shared }];
        }),
    );
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const expected = overlapByTrying(a, b);
        if (expected) overlapping += 1;
        expect(findOverlap(a, b)).toBe(expected);
        expect(findOverlap(b, a)).toBe(expected);
        if (expected) expect(pathShape(a)).toBe(pathShape(b));
      }),
      { numRuns: 3_000 },
    );
    expect(overlapping).toBeGreaterThan(100);
  });
});
