// A file that is made from an OpenAPI document decides as the document says: for any document and any caller, nobody passes
// whom the document doesn't let in, and where the file says that it is exact, everybody passes whom it does.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatKey } from "../../src/authn/api-key/format.ts";
import { signDemoToken } from "../../src/authn/jwt/sign.ts";
import { decide } from "../../src/pipeline/decide.ts";
import { OfflineGateway } from "../../src/pipeline/offline.ts";
import { arrivalOf } from "../../src/pipeline/simulate.ts";
import { load } from "../support/config.ts";
import { drifted, imported } from "../support/openapi.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const CLOCK = { wallMs: () => Date.now(), steadyMs: () => 0 };

const SCOPES = ["a:read", "a:write", "b"];
const SCHEMES = ["oauth", "other", "key", "basic"];

const alternative = fc.uniqueArray(
  fc.record({ scheme: fc.constantFrom(...SCHEMES), scopes: fc.subarray(SCOPES) }),
  { maxLength: 2, selector: (use) => use.scheme },
);
type Alternative = readonly { readonly scheme: string; readonly scopes: readonly string[] }[];

const security = fc.option(fc.array(alternative, { maxLength: 3 }), { nil: undefined });
const segment = fc.constantFrom("pets", "{id}", "{other-id}", "mine", "v:1", "{name}.json", "é", "50%25");
const path = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join("/")}`);
const operations = fc.dictionary(fc.constantFrom("get", "post", "delete", "trace", "head"), security, {
  minKeys: 1,
  noNullPrototype: true,
});
const document = fc.record({
  paths: fc.uniqueArray(fc.tuple(path, operations), {
    minLength: 1,
    maxLength: 12,
    selector: ([one]) => one,
  }),
  security,
  base: fc.constantFrom("", "/v1", "/a/b/"),
});
type Document = typeof document extends fc.Arbitrary<infer T> ? T : never;

const requirement = (alternatives: readonly Alternative[]): unknown[] =>
  alternatives.map((uses) =>
    Object.fromEntries(
      uses.map(({ scheme, scopes }) => [scheme, scheme === "key" || scheme === "basic" ? [] : scopes]),
    ),
  );

function textOf({ paths, security: global, base }: Document): string {
  const flows = (host: string) => ({
    clientCredentials: { tokenUrl: `https://${host}/token`, scopes: {} },
  });
  return JSON.stringify({
    openapi: "3.0.3",
    info: { title: "Any", version: "1" },
    servers: [{ url: `https://api.example.com${base}` }],
    ...(global === undefined ? {} : { security: requirement(global) }),
    paths: Object.fromEntries(
      paths.map(([one, methods]) => [
        one,
        Object.fromEntries(
          Object.entries(methods).map(([method, own], index) => [
            method,
            {
              operationId: `${method} ${one} ${index}`,
              ...(own === undefined ? {} : { security: requirement(own) }),
            },
          ]),
        ),
      ]),
    ),
    components: {
      securitySchemes: {
        oauth: { type: "oauth2", flows: flows("one.example") },
        other: { type: "oauth2", flows: flows("two.example") },
        key: { type: "apiKey", in: "header", name: "X-Key" },
        basic: { type: "http", scheme: "basic" },
      },
    },
  });
}

/** What a caller sends. */
interface Caller {
  readonly token?: { readonly scheme: "oauth" | "other"; readonly scopes: readonly string[] };
  readonly key?: readonly string[];
}

const CALLERS: readonly Caller[] = [
  {},
  ...[[], ["a:read"], ["b"], SCOPES].flatMap((scopes): Caller[] => [
    { token: { scheme: "oauth", scopes } },
    { token: { scheme: "other", scopes } },
    { key: scopes },
    { token: { scheme: "oauth", scopes }, key: [] },
  ]),
];

/** The document, read literally: some alternative of which the caller has every part. Nobody holds a basic password. */
function documentLetsIn(alternatives: readonly Alternative[] | undefined, { token, key }: Caller): boolean {
  if (alternatives === undefined) return false;
  if (alternatives.length === 0) return true;
  return alternatives.some((uses) =>
    uses.every(({ scheme, scopes }) => {
      if (scheme === "key") return key !== undefined;
      if (scheme === "basic") return false;
      // Scopes of credentials that come together are joined.
      const held = [...(token?.scopes ?? []), ...(uses.length > 1 ? (key ?? []) : [])];
      return token?.scheme === scheme && scopes.every((scope) => held.includes(scope));
    }),
  );
}

const KEYS = CALLERS.flatMap(({ key }) => (key === undefined ? [] : [key]));
const keyId = (scopes: readonly string[]): string => `k${scopes.join("").replaceAll(":", "")}`;
const secretOf = new Map(KEYS.map((scopes) => [keyId(scopes), formatKey("test")]));

/** The file with keys and issuers that this test can use; nothing else is changed. */
function usable(yaml: string): string {
  const keys = [...secretOf].map(([id, key]) => {
    const scopes = KEYS.find((one) => keyId(one) === id) ?? [];
    const hash = createHash("sha256").update(key).digest("hex");
    return `  - { id: ${id}, hash: "sha256:${hash}", scopes: [${scopes.map((scope) => `"${scope}"`)}] }`;
  });
  return yaml
    .replace("apiKeys: []", `apiKeys:\n${keys.join("\n")}`)
    .replaceAll(/^ {4}audience:.*$/gm, `    audience: api\n    secret: ${SECRET}`);
}

async function headersOf({ token, key }: Caller): Promise<[string, string][]> {
  const headers: [string, string][] = [];
  if (token !== undefined) {
    const issuer = `https://${token.scheme === "oauth" ? "one" : "two"}.example/`;
    const claims = { issuer, audience: "api", subject: "alice", scopes: token.scopes };
    headers.push(["Authorization", `Bearer ${await signDemoToken(claims, SECRET, 600)}`]);
  }
  if (key !== undefined) headers.push(["X-Key", secretOf.get(keyId(key)) ?? ""]);
  return headers;
}

describe("a file made from any document", () => {
  it("is valid, agrees with the document, and decides as it says", async () => {
    const seen = { passed: 0, refused: 0, exact: 0 };
    const sent = await Promise.all(CALLERS.map(headersOf));
    await fc.assert(
      fc.asyncProperty(document, async (model) => {
        const text = textOf(model);
        const result = await imported(text).catch((error: Error) => error);
        // A document none of whose operations can be guarded has no file.
        if (result instanceof Error) {
          expect(result.message).toContain('"kind":"nothing"');
          return;
        }
        const config = await load(usable(result.yaml));
        const leftOut = new Set(result.leftOut.map(({ what }) => what));
        const { found } = await drifted(config, text);
        const counting = found.filter(
          ({ severity, request }) => severity !== "note" && !leftOut.has(request),
        );
        expect(counting).toEqual([]);

        const gateway = new OfflineGateway(config, CLOCK);
        const noted = new Set(result.remarks.map(({ what }) => what));
        for (const [template, methods] of model.paths) {
          for (const [method, own] of Object.entries(methods)) {
            const name = `${method.toUpperCase()} ${template}`;
            const path = `${model.base.replace(/\/$/, "")}${template}`.replace(/\{[^}]*\}/g, "any");
            const target = encodeURI(path).replaceAll("%2525", "%25") || "/";
            for (const [index, caller] of CALLERS.entries()) {
              const arrival = arrivalOf({ method: method.toUpperCase(), target, headers: sent[index] ?? [] });
              const decision = await decide(gateway.compiled.policy, arrival);
              const passes = decision.kind === "forward";
              seen[passes ? "passed" : "refused"]++;
              if (leftOut.has(name) || (own ?? model.security) === undefined) continue;
              const lets = documentLetsIn(own ?? model.security, caller);
              if (passes && !noted.has(name))
                expect({ name, caller, lets, reason: text }).toMatchObject({ lets: true });
              // A credential that the route doesn't take is refused, even where none would do.
              const nothing = caller.token === undefined && caller.key === undefined;
              const needed = (own ?? model.security ?? []).filter((uses) => nothing || uses.length > 0);
              const single = caller.token === undefined || caller.key === undefined;
              const open = (own ?? model.security ?? []).length === 0;
              if (
                (open || documentLetsIn(needed.length === 0 ? undefined : needed, caller)) &&
                single &&
                !noted.has(name)
              ) {
                seen.exact++;
                expect({ name, caller, decision }).toMatchObject({ decision: { kind: "forward" } });
              }
            }
          }
        }
      }),
      { numRuns: 10, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false },
    );
    expect(Math.min(seen.passed, seen.refused, seen.exact)).toBeGreaterThan(20);
  }, 60_000);
});
