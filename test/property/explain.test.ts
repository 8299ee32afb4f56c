// The annotations of an explanation against the code that decides: why routes are missed, which fields are passed on, where
// a target is at fault. And that asking about the largest file costs little.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSensitiveName, maskSecrets, maskTarget } from "../../src/core/masking.ts";
import { ANONYMOUS } from "../../src/core/principal.ts";
import { canonicalise } from "../../src/core/request-target.ts";
import { ScopeSet } from "../../src/core/scope.ts";
import { faultPosition } from "../../src/core/target-fault.ts";
import { missOf, nearMisses } from "../../src/routing/explain.ts";
import type { RouteMatch } from "../../src/routing/policy.ts";
import { RouteTable } from "../../src/routing/table.ts";
import { droppedFields, forwardedFields } from "../../src/upstream/field-origins.ts";
import { RequestFieldRules } from "../../src/upstream/field-rules.ts";
import { IdentityFields } from "../../src/upstream/identity.ts";
import { gatewayRequest } from "../support/requests.ts";
import { match, routed } from "../support/routes.ts";

const condition = fc.record({ name: fc.constantFrom("h", "k"), value: fc.constantFrom("1", undefined) });
const route: fc.Arbitrary<RouteMatch> = fc
  .record({
    pattern: fc.constantFrom("/", "/a", "/a/", "/a/b", "/a/:x", "/:x", "/:x/b", "/a/*", "/*", "/A", "/a/b/c"),
    methods: fc.subarray(["GET", "POST", "HEAD"]),
    hosts: fc.subarray(["one.example", "*.two.example"]),
    headers: fc.array(condition, { maxLength: 1 }),
    query: fc.array(condition, { maxLength: 1 }),
  })
  .map(({ pattern, ...parts }) => match(pattern, parts));
const request = fc
  .record({
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT"),
    path: fc.constantFrom(
      "/",
      "/a",
      "/a/",
      "/a/b",
      "/a/b/",
      "/%61",
      "/A/B",
      "/a//b",
      "/c",
      "/a/b/c",
      "//",
      "/a//",
    ),
    search: fc.constantFrom("", "?k=1", "?k=2", "?h"),
    authority: fc.constantFrom("one.example", "x.two.example:80", "two.example", "three.example"),
    fields: fc.constantFrom([], ["h", "1"], ["h", "1", "H", "2"], ["k", "x"]),
  })
  .map(routed);

describe("a miss", () => {
  test("is told of exactly those matches that the table doesn't take", () => {
    fc.assert(
      fc.property(route, request, fc.boolean(), (one, asked, caseSensitive) => {
        const taken = new RouteTable([[one, one]], caseSensitive).match(asked).kind === "match";
        expect(missOf(one, { request: asked, caseSensitive }) === undefined).toBe(taken);
      }),
      { numRuns: 3_000 },
    );
  });

  test("says of one that matches too, why the other is more specific", () => {
    const chosen = match("/a/b");
    const others = [match("/a/:x"), match("/a/b", { methods: [] }), match("/*")];
    const asked = { request: routed({ path: "/a/b" }), caseSensitive: true };
    const near = nearMisses(
      others.map((one, index) => [one, index] as const),
      asked,
      { route: 9, match: chosen },
      5,
    );
    expect(near.map(({ miss }) => miss)).toEqual([
      { kind: "less_specific", by: "path" },
      { kind: "less_specific", by: "conditions" },
      { kind: "less_specific", by: "path" },
    ]);
  });

  test("puts the nearest first, and leaves out what nobody can have meant", () => {
    const all = ["/orders/:id", "/modules/:id/parts", "/modules/:id", "/modulez/:id", "/zzz/:id"];
    const near = nearMisses(
      all.map((pattern) => [match(pattern), pattern] as const),
      { request: routed({ path: "/module/7" }), caseSensitive: true },
      undefined,
      5,
    );
    expect(near.map(({ route: pattern }) => pattern)).toEqual([
      "/modules/:id",
      "/modulez/:id",
      "/modules/:id/parts",
    ]);
  });

  test("is found among 5,000 routes in 50 ms", () => {
    const all = Array.from(
      { length: 5_000 },
      (_, index) => [match(`/area-${index % 70}/thing-${index}/:id`), index] as const,
    );
    const ask = (): number => {
      const started = performance.now();
      const question = { request: routed({ path: "/area-7/thing-77x/1" }), caseSensitive: true };
      expect(nearMisses(all, question, undefined, 5)).toHaveLength(5);
      return performance.now() - started;
    };
    // The best of a few: other work on the machine is no property of the code.
    expect(Math.min(...Array.from({ length: 5 }, ask))).toBeLessThan(50);
  });
});

test("a fault of a target is told at the character without which it would be gone, or a later one would be found", () => {
  const piece = fc.constantFrom(
    "a",
    "/",
    "/",
    ".",
    "..",
    "%",
    "%2e",
    "%2F",
    "%5c",
    "\\",
    ";",
    "%3B",
    "%00",
    "%ff",
    "%c3%a9",
    "%252e",
    "#",
    "\u0001",
    "é",
    "<",
    "?",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const target = `/${pieces.join("")}`;
      const result = canonicalise(target, "h");
      if (result.ok) return;
      const at = faultPosition(target, result.error);
      expect(at).toBeGreaterThanOrEqual(0);
      expect(at).toBeLessThan(target.length);
      // What stands before has no such fault.
      const before = canonicalise(target.slice(0, at), "h");
      expect(before.ok || before.error !== result.error || at === 0).toBe(true);
    }),
    { numRuns: 3_000 },
  );
});

test("every line of the client's is either passed on or told to be dropped", () => {
  const name = fc.constantFrom(
    "Accept",
    "Cookie",
    "Authorization",
    "X-User-Id",
    "x_user_id",
    "X-User-Id-Bin",
    "TE",
    "X-B",
    "X-Set",
    "Via",
    "Content-Length",
    "X-Foo",
    "Content_Type",
  );
  fc.assert(
    fc.property(
      fc.array(name, { maxLength: 8 }),
      fc.boolean(),
      fc.boolean(),
      (names, forwardCredentials, named) => {
        const fields = [
          ...names.flatMap((one, index) => [one, `v${index}`]),
          ...(named ? ["Connection", "X-Foo, close"] : []),
        ];
        const asked = gatewayRequest({ fields });
        const policy = {
          rules: new RequestFieldRules(["x-user-id"], ["authorization", "x-api-key"]),
          identity: new IdentityFields([["X-User-Id", "subject"]]),
          forwardCredentials,
          edits: { set: [["X-Set", "by the route"]] as const, remove: ["x-b"] },
          upstream: {
            name: "u",
            origin: "http://u",
            basePath: "",
            timeouts: { connectMs: 1, headersMs: 1, idleMs: 1, totalMs: 0 },
            hostHeader: "target" as const,
          },
          strippedPrefix: "",
        };
        const passed = forwardedFields(policy, asked, ANONYMOUS, "80").filter(
          ({ from }) => from === "client",
        );
        const dropped = droppedFields(policy, asked);
        const all = [...passed, ...dropped].map((one) => one.name).sort();
        expect(all).toEqual([...names, ...(named ? ["Connection"] : [])].sort());
      },
    ),
  );
});

test("the scope that covers another is told where one does, and only there", () => {
  const scope = fc.constantFrom("*", "a:*", "a:b:*", "a:b", "a:b:c", "b", "a:", "a");
  fc.assert(
    fc.property(fc.array(scope), scope, (held, needed) => {
      const set = new ScopeSet(held);
      const cover = set.coverOf(needed);
      expect(cover !== undefined).toBe(set.covers(needed));
      if (cover !== undefined) expect(new ScopeSet([cover]).covers(needed)).toBe(true);
    }),
  );
});

describe("masking", () => {
  test.each([
    "Authorization",
    "Cookie",
    "x-api-key",
    "X-Auth-Token",
    "client_secret",
    "sig",
    "session-id",
    "code",
    "key",
    "X-Signature",
  ])("takes %s for a secret", (name) => {
    expect(isSensitiveName(name)).toBe(true);
  });

  test.each(["Accept", "X-Tenant", "monkey", "page", "encode", "design"])("shows %s", (name) => {
    expect(isSensitiveName(name)).toBe(false);
  });

  test("blanks values of sensitive parameters, also behind escapes, and whatever reads like a token", () => {
    expect(maskTarget("/a?x=1&access%5Ftoken=abc&y")).toBe("/a?x=1&access%5Ftoken=…&y");
    expect(maskTarget("/gwk_live_abc?q=eyJhbGciOiJub25lIn0.e30.")).toBe("/…?q=…");
    expect(maskSecrets("Bearer eyJhbGciOiJub25lIn0.abc.def!")).toBe("Bearer …!");
  });
});
