import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldName } from "../../../src/core/fields.ts";
import { ANONYMOUS, type Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";
import { RequestFieldRules } from "../../../src/upstream/field-rules.ts";
import { type IdentityFact, IdentityFields } from "../../../src/upstream/identity.ts";
import { isLoop, type RequestFieldsPolicy, requestFields } from "../../../src/upstream/request-fields.ts";
import { gatewayRequest, namesOf, type RequestParts, valuesOf } from "../../support/requests.ts";

const MAPPING: readonly (readonly [string, IdentityFact])[] = [
  ["X-User-Id", "subject"],
  ["X-User-Scopes", "scopes"],
  ["X-User-Roles", "roles"],
  ["X-User-Email", "email"],
  ["X-Org-Id", "org"],
  ["X-Auth-Method", "method"],
  ["X-Client-Id", "client"],
  ["X-User-Tier", "tier"],
];
const NAMES = MAPPING.map(([name]) => name);
const FORGED = "forged";

const alice: Principal = {
  method: "jwt",
  subject: "alice",
  scopes: new ScopeSet(["a", "b"]),
  roles: [],
  claims: {},
};

const POLICY: RequestFieldsPolicy = {
  rules: new RequestFieldRules(NAMES, ["authorization", "x-api-key"]),
  identity: new IdentityFields(MAPPING),
  forwardCredentials: false,
  edits: { set: [], remove: [] },
  upstream: {
    name: "modules",
    origin: "http://10.0.0.9:9000",
    basePath: "",
    timeouts: { connectMs: 1, headersMs: 1, idleMs: 1, totalMs: 0 },
    hostHeader: "keep",
  },
  strippedPrefix: "",
};

function build(
  parts: RequestParts = {},
  policy: Partial<RequestFieldsPolicy> = {},
  principal: Principal = alice,
): string[] {
  return requestFields({ ...POLICY, ...policy }, gatewayRequest(parts), principal, "80");
}

describe("identity names", () => {
  const separator = fc.constantFrom(
    "-",
    "_",
    ".",
    "~",
    "",
    "--",
    "!",
    "'",
    "|",
    "+",
    "*",
    "^",
    "$",
    "&",
    "#",
    "%",
    "`",
  );
  const alias = fc
    .tuple(
      fc.constantFrom(...NAMES),
      fc.array(separator, { minLength: 2, maxLength: 2 }),
      fc.constantFrom("", "-bin", "_bin", "Bin", "-Bin", "-"),
      fc.constantFrom("", "-", "_"),
      fc.infiniteStream(fc.boolean()),
    )
    .map(([name, separators, suffix, prefix, upper]) => {
      const [one = "", two = "", three = ""] = name.split("-");
      const text = `${prefix}${one}${separators[0]}${two}${three === "" ? "" : `${separators[1]}${three}`}${suffix}`;
      return [...text]
        .map((character) => (upper.next().value ? character.toUpperCase() : character.toLowerCase()))
        .join("");
    });

  test("survive under none of 10,000 generated aliases, on guarded and public routes", () => {
    fc.assert(
      fc.property(fc.uniqueArray(alias, { minLength: 10, maxLength: 10 }), (aliases) => {
        const fields = aliases.flatMap((name) => [name, FORGED]);
        expect(build({ fields })).not.toContain(FORGED);
        expect(build({ fields }, {}, ANONYMOUS)).not.toContain(FORGED);
      }),
      { numRuns: 1_000 },
    );
  });

  test("are each sent once, with the gateway's value", () => {
    const fields = NAMES.flatMap((name) => [
      name,
      FORGED,
      name.toLowerCase(),
      FORGED,
      foldName(name),
      FORGED,
    ]);
    const sent = build({ fields });
    expect(valuesOf(sent, "X-User-Id")).toEqual(["alice"]);
    expect(valuesOf(sent, "X-User-Scopes")).toEqual(["a b"]);
    expect(valuesOf(sent, "X-Auth-Method")).toEqual(["jwt"]);
    for (const name of ["X-User-Roles", "X-User-Email", "X-Org-Id", "X-User-Tier"])
      expect(valuesOf(sent, name)).toEqual([]);
  });

  test("are not lost by being nominated in Connection", () => {
    const fields = ["Connection", `close, ${NAMES.join(", ")}, X-Forwarded-For, X-Request-Id, Via, Host`];
    const sent = build({ fields });
    expect(valuesOf(sent, "X-User-Id")).toEqual(["alice"]);
    for (const name of ["Host", "X-Forwarded-For", "X-Request-Id", "Via"])
      expect(valuesOf(sent, name)).toHaveLength(1);
    expect(valuesOf(sent, "Connection")).toEqual([]);
  });

  test.each([
    "X-User-Identity",
    "X-User",
    "User-Id",
    "X-My-User-Id",
    "X-Robin",
    "Bin",
  ])("leave %s alone", (name) => {
    expect(valuesOf(build({ fields: [name, "kept"] }), name)).toEqual(["kept"]);
  });
});

describe("never forwarded are", () => {
  test.each([
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Transfer-Encoding",
    "Transfer_Encoding",
    "Upgrade",
    "Trailer",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "HTTP2-Settings",
    "Expect",
    "Forwarded",
    "X-Real-IP",
    "X_Real_IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Forwarded-User",
    "X-Forwarded-Anything",
    "X_Forwarded_For",
    "X-Auth-Request-User",
    "X-Middleware-Subrequest",
    "Client-Cert",
    "Remote-User",
    "Content_Length",
    "Content.Type",
    "_Cookie",
    "Cookie-",
    "X_Api_Key",
    "Authorization_",
  ])("%s", (name) => {
    expect(build({ fields: [name, FORGED] })).not.toContain(FORGED);
  });
});

test("every other field is forwarded as it came, repetitions in order", () => {
  const fields = [
    "Accept",
    "*/*",
    "x-CUSTOM",
    "1",
    "Content-Type",
    "application/json",
    "X-Custom",
    "2",
    "Cookie",
    "a=b",
    "Range",
    "bytes=0-1",
    "Origin",
    "https://a.example",
  ];
  const sent = build({ fields });
  expect(sent.slice(2, 2 + fields.length)).toEqual(fields);
});

test("the client's length is left to whoever frames the body", () => {
  const sent = build({ fields: ["Content-Length", "2", "X-Stay", "1"] });
  expect([valuesOf(sent, "Content-Length"), valuesOf(sent, "X-Stay")]).toEqual([[], ["1"]]);
});

describe("Connection", () => {
  test.each([
    ["one option", ["Connection", "X-Hop", "X-Hop", "1", "X-Stay", "1"]],
    ["an option in another case", ["Connection", "x-hOP", "X-Hop", "1", "X-Stay", "1"]],
    ["an option among others", ["Connection", "keep-alive , X-Hop,,", "X-Hop", "1", "X-Stay", "1"]],
    [
      "an option in a second line",
      ["Connection", "close", "X-Hop", "1", "X-Stay", "1", "connection", "X-Hop"],
    ],
  ])("drops what it nominates, by %s", (_what, fields) => {
    const sent = namesOf(build({ fields }));
    expect(sent).not.toContain("x-hop");
    expect(sent).toContain("x-stay");
  });
});

describe("credentials", () => {
  const fields = ["Authorization", "Bearer t", "X-API-Key", "k"];

  test("stay at the gateway", () => {
    const sent = namesOf(build({ fields }));
    expect(sent).not.toContain("authorization");
    expect(sent).not.toContain("x-api-key");
  });

  test("are forwarded where the route says so", () => {
    const sent = build({ fields }, { forwardCredentials: true });
    expect([valuesOf(sent, "Authorization"), valuesOf(sent, "X-Api-Key")]).toEqual([["Bearer t"], ["k"]]);
  });
});

describe("forwarding fields", () => {
  const claimed = [
    "X-Forwarded-For",
    "203.0.113.9",
    "X-Forwarded-Proto",
    "https",
    "X-Forwarded-Host",
    "shop.example",
    "X-Forwarded-Port",
    "8443",
    "X-Forwarded-Prefix",
    "/evil",
    "X-Request-Id",
    "theirs",
    "Via",
    "1.1 front",
  ];

  test("of an untrusted peer are replaced by what the gateway knows itself", () => {
    const sent = build({ fields: claimed });
    expect(
      Object.fromEntries(
        ["For", "Proto", "Host", "Port", "Prefix"].map((name) => [
          name,
          valuesOf(sent, `X-Forwarded-${name}`),
        ]),
      ),
    ).toEqual({
      For: ["192.0.2.1"],
      Proto: ["http"],
      Host: ["api.example.com"],
      Port: ["80"],
      Prefix: [],
    });
    expect(valuesOf(sent, "X-Request-Id")).toEqual(["request-1"]);
  });

  test("of a trusted peer are continued", () => {
    const sent = build({
      fields: [...claimed, "x-forwarded-for", "10.0.0.7"],
      peerTrusted: true,
      scheme: "https",
    });
    expect(
      Object.fromEntries(
        ["For", "Proto", "Host", "Port", "Prefix"].map((name) => [
          name,
          valuesOf(sent, `X-Forwarded-${name}`),
        ]),
      ),
    ).toEqual({
      For: ["203.0.113.9, 10.0.0.7, 192.0.2.1"],
      Proto: ["https"],
      Host: ["shop.example"],
      Port: ["8443"],
      Prefix: [],
    });
  });

  test.each([
    ["come twice", ["X-Forwarded-Host", "a.example", "X-Forwarded-Host", "b.example"]],
    ["are no host", ["X-Forwarded-Host", "a.example, b.example"]],
    ["are empty", ["X-Forwarded-Host", ""]],
  ])("of a trusted peer that %s are not believed", (_what, fields) => {
    const sent = build({ fields, peerTrusted: true });
    expect(valuesOf(sent, "X-Forwarded-Host")).toEqual(["api.example.com"]);
  });

  test("name the prefix that was cut and append to Via", () => {
    const sent = build({ fields: ["Via", "1.0 a", "Via", "1.1 b"] }, { strippedPrefix: "/api" });
    expect(valuesOf(sent, "X-Forwarded-Prefix")).toEqual(["/api"]);
    expect(valuesOf(sent, "Via")).toEqual(["1.0 a, 1.1 b, 1.1 gatewarden"]);
  });

  test("leave out the host of a request that has none", () => {
    expect(valuesOf(build({ authority: "" }), "X-Forwarded-Host")).toEqual([]);
  });
});

describe("Host", () => {
  test.each([
    ["keep", "api.example.com", "api.example.com"],
    ["keep", "", "10.0.0.9:9000"],
    ["target", "api.example.com", "10.0.0.9:9000"],
    [{ value: "internal.example" }, "api.example.com", "internal.example"],
  ] as const)("with %j and authority %j is %s", (hostHeader, authority, host) => {
    const sent = build(
      { authority, fields: ["Host", FORGED] },
      { upstream: { ...POLICY.upstream, hostHeader } },
    );
    expect(valuesOf(sent, "Host")).toEqual([host]);
    expect(sent[0]).toBe("Host");
  });
});

describe("edits of the route", () => {
  test("set a field in place of every one of that name, and remove the client's", () => {
    const edits = { set: [["X-Team", "blue"]], remove: ["x-gone"] } as const;
    const sent = build({ fields: ["x-team", "1", "X-TEAM", "2", "X-Gone", "1", "X-Stay", "1"] }, { edits });
    expect(valuesOf(sent, "X-Team")).toEqual(["blue"]);
    expect(valuesOf(sent, "X-Gone")).toEqual([]);
    expect(valuesOf(sent, "X-Stay")).toEqual(["1"]);
  });
});

describe("whether a request goes round in circles is told when it", () => {
  const passes = (count: number): string[] => new Array<string>(count).fill("1.1 gatewarden");

  test.each([
    ["0 times", [], false],
    ["5 times through other proxies", ["Via", "1.1 a, 1.1 b, 1.1 c, 1.1 d, 1.1 e, 1.1 f"], false],
    ["4 times", ["Via", passes(4).join(", ")], false],
    ["5 times", ["Via", passes(5).join(", ")], true],
    ["5 times in lines of their own", passes(5).flatMap((value) => ["via", value]), true],
  ])("came here %s", (_what, fields, loop) => {
    expect(isLoop(gatewayRequest({ fields }))).toBe(loop);
  });
});

test("a name is judged alike before and after very many others", () => {
  const rules = new RequestFieldRules(NAMES, ["authorization"]);
  for (let index = 0; index < 5_000; index++) expect(rules.verdict(`x-name-${index}`)).toBe("keep");
  expect(rules.verdict("x_user.id")).toBe("drop");
  expect(rules.verdict("authorization")).toBe("credential");
  expect(rules.verdict("content-length")).toBe("length");
});
