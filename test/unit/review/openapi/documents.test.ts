// Documents of every kind, also broken and hostile ones: what is understood, and what is refused with which words.

import { describe, expect, it } from "vitest";
import { load } from "../../../support/config.ts";
import { complaints, drifted, imported, importText } from "../../../support/openapi.ts";

const OAUTH = `components:
  securitySchemes:
    oauth: { type: oauth2, flows: { clientCredentials: { tokenUrl: "https://id.example/token", scopes: {} } } }
    key: { type: apiKey, in: header, name: X-Key }
`;

/** A document with these paths, below `servers` and `security` of its own when `head` gives any. */
function api(paths: string, head = "", components = OAUTH): string {
  return `openapi: 3.0.3\ninfo: { title: T, version: "1" }\n${head}paths:\n${paths.replace(/^/gm, "  ")}\n${components}`;
}

/** The routes of a file as text, without what stands between them. */
async function routesOf(document: string, options = {}): Promise<readonly string[]> {
  const { yaml } = await imported(document, options);
  const config = await load(yaml);
  return config.routes.map(
    ({ matches, access, auth, authz, upstream }) =>
      `${matches[0]?.text} ${access} ${auth.map((names) => names.join("+")).join("|")} ${authz.scopes?.mode ?? ""} ${authz.scopes?.scopes ?? ""} → ${upstream}`,
  );
}

describe("an OpenAPI document", () => {
  it("in JSON is read as well", async () => {
    const json = JSON.stringify({
      openapi: "3.1.0",
      info: { title: "J", version: "1" },
      paths: { "/a": { get: { security: [] } } },
    });
    expect(await routesOf(json)).toEqual(["GET /a public    → api"]);
  });

  it("may be far larger than a gateway.yaml, with texts over several lines", async () => {
    const text = `      description: |\n${"        Of some length.\n".repeat(8_000)}`;
    const document = api(`/a:\n  get:\n    security: []\n${text.replace(/^ {2}/gm, "")}`);
    expect(document.length).toBeGreaterThan(128 * 1024);
    expect(await routesOf(document)).toEqual(["GET /a public    → api"]);
  });

  it("gets base paths and upstreams from its servers, the nearest ones first", async () => {
    const document = api(
      `/a: { get: { security: [] } }
/b: { servers: [{ url: "https://files.example.com/x/" }], get: { security: [] }, put: { security: [], servers: [{ url: /rel }] } }
/c: { servers: [{ url: "https://www.files.example.org" }], get: { security: [] } }`,
      `servers: [{ url: "https://{env}.example.com/{v}", variables: { env: { default: api }, v: { default: v2 } } }]\n`,
    );
    const { yaml } = await imported(document);
    const { upstreams } = await load(yaml);
    expect(upstreams.map(({ name, origin }) => `${name} ${origin}`)).toEqual([
      "api https://api.example.com",
      "files https://files.example.com",
      "api-2 http://127.0.0.1:9000",
      "files-2 https://www.files.example.org",
    ]);
    expect(await routesOf(document)).toEqual([
      "GET /v2/a public    → api",
      "GET /x/b public    → files",
      "PUT /rel/b public    → api-2",
      "GET /c public    → files-2",
    ]);
  });

  it("loses the password of a server's URL", async () => {
    const { yaml } = await imported(
      api(
        "/a: { get: { security: [] } }",
        `servers: [{ url: "https://u:hunter2@api.example.com/v1?k=hunter2" }]\n`,
      ),
    );
    expect(yaml).toContain("https://api.example.com");
    expect(yaml).not.toContain("hunter2");
  });

  it("that says nothing of security guards everything, unless told otherwise", async () => {
    const document = api("/a: { get: {} }", "", "");
    expect(await routesOf(document)).toEqual(["GET /a guarded jwt   → api"]);
    expect(await routesOf(document, { openUndeclared: true })).toEqual(["GET /a public    → api"]);
    const { remarks } = await imported(document);
    expect(remarks).toEqual([{ what: "GET /a", why: "the document says nothing of security here", line: 4 }]);
  });

  it.each([
    ["[{ oauth: [a, b] }]", "guarded jwt all a,b"],
    ["[{ oauth: [a] }, { oauth: [b] }]", "guarded jwt any a,b"],
    ["[{ oauth: [a] }, { oauth: [b, c] }]", "guarded jwt all a,b,c"],
    ["[{ oauth: [a] }, { oauth: [a, b] }]", "guarded jwt all a"],
    ["[{ oauth: [a] }, { oauth: [] }]", "guarded jwt  "],
    ["[{ oauth: [a] }, { key: [] }]", "guarded jwt|apiKey all a"],
    ["[{ oauth: [], key: [] }]", "guarded apiKey+jwt  "],
    ["[{ oauth: [a], key: [] }, { key: [] }]", "guarded apiKey+jwt|apiKey all a"],
    ["[{}, { oauth: [a] }]", "optional jwt  "],
    ["[{}]", "public   "],
    ["[]", "public   "],
  ])("with security %s is read as %s", async (security, expected) => {
    const document = api(`/a: { get: { security: ${security} } }`);
    expect(await routesOf(document)).toEqual([`GET /a ${expected} → api`]);
  });

  it("has roles where version 3.1 lists them for schemes without scopes", async () => {
    const bearer = "components: { securitySchemes: { bearer: { type: http, scheme: Bearer } } }\n";
    const document = api("/a: { get: { security: [{ bearer: [admin] }] } }", "", bearer);
    expect((await imported(document)).yaml).toContain("scopes: [admin]");
    expect((await imported(document.replace("3.0.3", "3.1.0"))).yaml).toContain("roles: [admin]");
  });

  it("with templates that patterns can't tell apart keeps them only when they agree", async () => {
    const same = api("/a/{x}: { get: { security: [] } }\n/a/{y}: { get: { security: [] } }");
    expect(await routesOf(same)).toEqual(["GET /a/:x public    → api"]);
    const document = api(
      "/a/{x}: { get: { security: [] } }\n/a/{y}: { get: { security: [{ key: [] }] } }\n/b: { get: { security: [] } }",
    );
    const { leftOut } = await imported(document);
    expect(leftOut.map(({ what }) => what)).toEqual(["GET /a/{x}", "GET /a/{y}"]);
    expect(await routesOf(document)).toEqual(["GET /b public    → api"]);
  });

  it.each([
    ["users", "a path has to start with `/`"],
    ["/a?b=1", "a path holds no query and no fragment"],
    ["/a/../b", "the path holds a `.` or `..` segment"],
    ["/a//b", "the path holds two slashes in a row, which `paths.duplicateSlash` refuses"],
    ["/a/{b", "a brace without its other half"],
    ["/a/{proxy+}", "{proxy+} is no parameter that OpenAPI defines"],
    ["/a/*", "a literal `*` can't be written as a pattern"],
    ["/a/:b", "a segment that starts with `:` can't be told from a parameter"],
    ["/a/{b}.json", "/a/:b is the nearest pattern, and would open more than the document does"],
  ])("with the path %s leaves it out and says why", async (path, why) => {
    const document = api(`"${path}": { get: { security: [] } }\n/ok: { get: { security: [] } }`);
    const { leftOut, yaml } = await imported(document);
    expect(leftOut).toEqual([{ what: `GET ${path}`, why, line: 4 }]);
    // What isn't served differs from the document, and nothing else does.
    const { found } = await drifted(await load(yaml), document);
    expect(found.map(({ code, request }) => `${code} ${request}`)).toEqual([
      `operation_not_routed GET ${path}`,
    ]);
  });

  it("writes what comes from outside so that it stays what it is", async () => {
    const nasty = "x: y # z\\u0007 ${HOME} \\u2028 'q' \\\"d\\\"";
    const document = JSON.stringify({
      openapi: "3.0.0\nroutes: []".slice(0, 5),
      info: { title: "T\nroutes: []\u0085x", version: "1" },
      paths: {
        "/a": {
          get: { operationId: `${nasty} \${HOME}`, summary: "s\n  - match: /evil\u2029y", security: [] },
        },
        "/true": { get: { operationId: "true", security: [{ "o: {": ["${HOME}", "a,b", "null"] }] } },
      },
      components: { securitySchemes: { "o: {": { type: "http", scheme: "bearer" } } },
    });
    const config = await load((await imported(document)).yaml, { env: { HOME: "/root" } });
    expect(config.routes.map(({ name }) => name)).toEqual([`${nasty} \${HOME}`, "true"]);
    expect(config.routes[1]?.authz.scopes?.scopes).toEqual(["${HOME}", "a,b", "null"]);
  });

  it("in which a path is one of the gateway's own moves those", async () => {
    const { yaml } = await imported(api("/healthz: { get: { security: [] } }"));
    expect((await load(yaml)).health).toEqual({ live: "/-/live", ready: "/-/ready" });
  });

  it("of Swagger 2.0 is understood too", async () => {
    const swagger = `swagger: "2.0"
info: { title: Old, version: "1" }
host: api.example.com
basePath: /v1
schemes: [http, https]
security: [{ oauth: ["read:pets"] }]
paths:
  /pets: { get: { operationId: list }, post: { security: [{ key: [] }] } }
  /pass: { get: { security: [{ basic: [] }] } }
securityDefinitions:
  oauth: { type: oauth2, flow: accessCode, authorizationUrl: "https://id.example/auth", tokenUrl: "https://id.example/token", scopes: {} }
  key: { type: apiKey, in: header, name: X-Key }
  basic: { type: basic }
`;
    expect(await routesOf(swagger)).toEqual([
      "GET /v1/pets guarded jwt all read:pets → api",
      "POST /v1/pets guarded apiKey   → api",
    ]);
    expect((await imported(swagger)).yaml).toContain("https://api.example.com");
  });

  it("of 3.2 brings its further methods", async () => {
    const document = api(
      "/a: { query: { security: [] }, additionalOperations: { SEARCH: { security: [] }, ODD: {} } }",
    );
    expect(await routesOf(document.replace("3.0.3", "3.2.0"))).toEqual(["QUERY,SEARCH /a public    → api"]);
  });
});

describe("credentials that have no place", () => {
  it.each([
    ["{ type: apiKey, in: query, name: k }", "API keys are taken from header fields only, not from a query"],
    [
      "{ type: apiKey, in: cookie, name: k }",
      "API keys are taken from header fields only, not from a cookie",
    ],
    [
      "{ type: apiKey, in: header, name: Authorization }",
      "Authorization has a meaning of its own (keys as `Authorization: Bearer gwk_…` are taken on all routes)",
    ],
    ["{ type: http, scheme: digest }", "HTTP digest authentication is not supported"],
    ["{ type: mutualTLS }", "client certificates are not supported yet"],
    ["{ type: hawk }", "this type of security scheme is not known"],
  ])("%s: the operation is left out", async (scheme, why) => {
    const components = `components: { securitySchemes: { it: ${scheme}, key: { type: apiKey, in: header, name: X-Key } } }\n`;
    const document = api(
      "/a: { get: { security: [{ it: [] }] }, put: { security: [{ it: [] }, { key: [] }] } }",
      "",
      components,
    );
    const { leftOut, remarks } = await imported(document);
    expect(leftOut).toEqual([{ what: "GET /a", why: `it: ${why}`, line: 4 }]);
    expect(remarks).toEqual([{ what: "PUT /a", why: `not taken here, it: ${why}`, line: 4 }]);
  });

  it("is nothing to write a file of when there is nothing else", async () => {
    const basic = "components: { securitySchemes: { basic: { type: http, scheme: basic } } }\n";
    const result = await importText(api("/a: { get: { security: [{ basic: [] }] } }", "", basic));
    expect(result).toMatchObject({ ok: false, error: { kind: "nothing" } });
  });
});

describe("a broken document", () => {
  const CASES: readonly (readonly [string, string, readonly string[]])[] = [
    ["is empty", "", ["1:1 file_empty the file is empty"]],
    [
      "is none of OpenAPI",
      "name: x\n",
      [
        "1:1 value_invalid expected an OpenAPI document of version 3.0, 3.1 or 3.2, or Swagger 2.0; found no `openapi` field",
      ],
    ],
    [
      "is of another version",
      "openapi: 4.0.0\n",
      [
        "1:10 value_invalid expected an OpenAPI document of version 3.0, 3.1 or 3.2, or Swagger 2.0; found another version",
      ],
    ],
    [
      "has no operations",
      api("/a: {}"),
      ["3:1 list_empty the document has no operations, so there is nothing to route"],
    ],
    [
      "refers to a file",
      api('/a: { $ref: "./users.yaml#/a" }'),
      ["4:15 unknown_reference only references within the document (`#/…`) are followed: ./users.yaml#/a"],
    ],
    [
      "refers to another server",
      api('/a: { $ref: "https://evil.example/a" }'),
      [
        "4:15 unknown_reference only references within the document (`#/…`) are followed: https://evil.example/a",
      ],
    ],
    [
      "refers to nothing",
      api('/a: { $ref: "#/paths/~1b" }'),
      ["4:15 unknown_reference the reference leads nowhere: #/paths/~1b"],
    ],
    [
      "refers in a circle",
      api('/a: { $ref: "#/paths/~1b" }\n/b: { $ref: "#/paths/~1a" }'),
      [
        "4:15 unknown_reference the reference leads back to itself: #/paths/~1b",
        "5:15 unknown_reference the reference leads back to itself: #/paths/~1a",
      ],
    ],
    [
      "mistypes a security scheme",
      api("/a: { get: { security: [{ outh: [] }] } }"),
      ["4:29 unknown_reference no security scheme of this name is declared"],
    ],
    [
      "leaves `security` empty, which could mean anything",
      api("/a: { get: { security: } }"),
      ["4:26 type_invalid expected a list of alternatives; [] says that nothing is needed"],
    ],
    [
      "has no list of scopes",
      api("/a: { get: { security: [{ oauth: read }] } }"),
      ["4:36 type_invalid expected a list of scopes; [] for none"],
    ],
    ["has an operation that is none", api("/a: { get: [] }"), ["4:14 type_invalid expected an operation"]],
    [
      "has a key twice",
      api("/a: { get: { security: [] }, get: {} }"),
      ["4:32 duplicate_key this key stands twice in one map"],
    ],
  ];

  it.each(CASES)("that %s is refused", async (_title, document, expected) => {
    expect(await complaints(document)).toEqual(expected);
  });

  it("that is an alias bomb is refused at once", async () => {
    const levels = Array.from(
      { length: 12 },
      (_, n) => `b${n}: &b${n} [${n === 0 ? "x" : Array(9).fill(`*b${n - 1}`)}]`,
    );
    const started = performance.now();
    const [first] = await complaints(`openapi: 3.0.0\nx:\n  ${levels.join("\n  ")}\n`);
    expect(first).toContain("yaml_alias");
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it("that is nested without end is refused", async () => {
    const [first] = await complaints(`openapi: 3.0.0\nx: ${"[".repeat(50_000)}`);
    expect(first).toContain("yaml_too_complex");
  });

  it("that is larger than 16 MiB is refused unread", async () => {
    expect(await complaints(Buffer.alloc(16 * 1024 * 1024 + 1, 35))).toEqual([
      "1:1 file_too_large the file can't be used: it is larger than 16777216 bytes",
    ]);
  });
});

describe("options that don't fit", () => {
  const two = api(
    "/a: { get: { security: [] } }\n/b: { get: { servers: [{ url: https://files.example.com }], security: [] } }",
    "servers: [{ url: https://api.example.com }]\n",
  );

  it("name the upstreams that there are", async () => {
    const result = await importText(two, { upstreams: new Map([["fils", "http://127.0.0.1:1"]]) });
    expect(result).toEqual({
      ok: false,
      error: {
        kind: "options",
        message: "the document leads to no upstream called fils; there is api, files",
      },
    });
  });

  it("are not needed where there is one upstream: it takes the name that is given", async () => {
    const document = api("/a: { get: { security: [] } }", "servers: [{ url: /v1 }]\n");
    expect(await routesOf(document, { upstreams: new Map([["shop", "http://127.0.0.1:1/base"]]) })).toEqual([
      "GET /v1/a public    → shop",
    ]);
  });

  it("give the issuer and the audience that no document tells", async () => {
    const bearer = "components: { securitySchemes: { bearer: { type: http, scheme: bearer } } }\n";
    const { yaml } = await imported(api("/a: { get: { security: [{ bearer: [] }] } }", "", bearer), {
      issuer: "https://id.example/",
      audience: "shop",
    });
    const [issuer] = (await load(yaml)).issuers;
    expect(issuer).toMatchObject({ name: "bearer", issuer: "https://id.example/", audience: ["shop"] });
    expect(yaml).not.toMatch(/LOOK: (?!the document doesn.t say where)/);
  });
});
