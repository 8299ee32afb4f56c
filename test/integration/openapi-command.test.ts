// `gatewarden import openapi` and `gatewarden check --against` as users run them.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { load } from "../support/config.ts";
import { type Finished, runCli } from "../support/gateway.ts";
import { drifted } from "../support/openapi.ts";

const SHOP = readFileSync(fileURLToPath(new URL("../support/openapi/shop.yaml", import.meta.url)), "utf8");
const NOTHING = "unused: true\n";

/** Runs the command in a folder with shop.yaml and this gateway.yaml. */
function run(args: readonly string[], yaml = NOTHING): Promise<Finished> {
  return runCli(args, yaml, { files: { "shop.yaml": SHOP } });
}

describe("import openapi", () => {
  let done: Finished;
  beforeAll(async () => {
    done = await run(["import", "openapi", "shop.yaml"]);
  });

  it("writes a valid file to standard output, and the report beside it", async () => {
    expect(done).toMatchObject({ code: 0 });
    expect((await load(done.stdout)).routes.map(({ name }) => name)).toEqual([
      "listPets",
      "createPet",
      "getPet",
      "deletePet",
      "PATCH,PUT /v1/pets/:pet_id",
      "GET /v1/pets/:pet_id/photos/:photo",
      "GET /v1/pets/mine",
      "GET /v1/news",
      "reports",
      "health",
    ]);
    expect(done.stderr).toContain("8 paths, 14 operations → 10 routes");
    expect(done.stderr).toContain("line 76: GET /legacy: basic: HTTP basic authentication is not supported");
    expect(done.stderr).toContain("Public, as the document says: GET /v1/pets/:pet_id, GET /v1/healthz");
  });

  it("makes a file that differs from the document only in what it could not carry over", async () => {
    const { code, stdout } = await run(["check", "--against", "shop.yaml", "--format", "json"], done.stdout);
    const { found } = JSON.parse(stdout) as { found: { code: string; request: string; severity: string }[] };
    expect(code).toBe(1);
    expect(found.map((one) => `${one.severity} ${one.code} ${one.request}`)).toEqual([
      "difference method_not_routed PUT /pets/{pet-id}/photos/{photo}.jpg",
      "difference method_not_routed TRACE /reports",
      "difference operation_not_routed GET /legacy",
    ]);
  });

  it("never writes over a file, unless it is told to", async () => {
    const args = ["import", "openapi", "shop.yaml", "-o", "gateway.yaml"];
    const kept = await run(args);
    expect(kept).toMatchObject({ code: 1, stdout: "" });
    expect(kept.stderr).toBe("gatewarden: gateway.yaml exists already; --force replaces it\n");
    const replaced = await run([...args, "--force", "--format", "json"]);
    expect(replaced).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(replaced.stdout)).toMatchObject({ output: "gateway.yaml", routes: 10, paths: 8 });
  });

  it.each([
    [["--upstream", "api"], "--upstream takes NAME=URL"],
    [["--upstream", "api=ftp://x"], "--upstream api: expected an http:// or https:// URL"],
    [["--upstream", "aip=http://127.0.0.1:1"], "no upstream called aip; there is api, reports"],
  ])("refuses %j with exit code 2", async (more, message) => {
    const { code, stderr } = await run(["import", "openapi", "shop.yaml", ...more]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });

  it("tells where a document is wrong, and writes nothing", async () => {
    const wrong = SHOP.replace("- serviceKey: []", "- servicekey: []");
    const files = { "wrong.yaml": wrong };
    const { code, stdout, stderr } = await runCli(["import", "openapi", "wrong.yaml"], NOTHING, { files });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("wrong.yaml:13:5 unknown_reference no security scheme of this name is declared");
    expect(stderr).toContain("did you mean `serviceKey`?");
  });
});

const SMALL = `openapi: 3.0.3
info: { title: T, version: "1" }
paths:
  /open: { get: { security: [] } }
  /things: { get: {}, post: {} }
  /things/{id}: { get: {}, delete: { security: [{ oauth: ["things:admin"] }] } }
security: [{ oauth: ["things:read"] }]
components:
  securitySchemes:
    oauth: { type: oauth2, flows: { clientCredentials: { tokenUrl: "https://id.example/t", scopes: {} } } }
`;

const AGREEING = `issuers: { corp: { issuer: https://id.example/, audience: things } }
upstreams: { app: http://127.0.0.1:9000 }
defaults: { auth: [jwt], scopes: ["things:read"] }
routes:
  - { match: GET /open, to: app, public: true }
  - { match: "GET,POST /things", to: app }
  - { match: GET /things/:thing, to: app }
  - { match: DELETE /things/:thing, to: app, scopes: ["things:admin"] }
`;

/** What differs once `from` is `to` in the file, as `SEVERITY CODE REQUEST`. */
async function foundWith(from: string, to: string): Promise<readonly string[]> {
  expect(AGREEING).toContain(from);
  const { found } = await drifted(await load(AGREEING.replace(from, to)), SMALL);
  return found.map((one) => `${one.severity} ${one.code} ${one.request}`);
}

describe("check --against", () => {
  it("finds nothing where the two agree, whatever issuers and parameters are called", async () => {
    const { code, stdout } = await runCli(["check", "--against", "api.yaml"], AGREEING, {
      files: { "api.yaml": SMALL },
    });
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "gateway.yaml agrees with api.yaml: 5 operations, 4 routes\n",
    });
  });

  it.each([
    [
      "a route that is missing",
      "  - { match: GET /open, to: app, public: true }\n",
      "",
      ["difference operation_not_routed GET /open"],
    ],
    [
      "a method that is missing",
      "GET,POST /things",
      "GET /things",
      ["difference method_not_routed POST /things"],
    ],
    [
      "a route that the document lacks",
      "GET /open,",
      "[GET /open, GET /more],",
      ["difference route_not_documented GET /more"],
    ],
    [
      "a method that the document lacks",
      "GET,POST /things",
      "GET,PUT,POST /things",
      ["difference route_not_documented PUT /things"],
    ],
    ["a route for every method", "GET,POST /things", "/things", ["difference method_not_documented /things"]],
    [
      "a guard where the document has none",
      "GET /open, to: app, public: true",
      "GET /open, to: app",
      ["difference access_differs GET /open"],
    ],
    [
      "no guard where the document has one",
      "GET /things/:thing, to: app",
      "GET /things/:thing, to: app, public: true",
      ["danger access_differs GET /things/{id}"],
    ],
    [
      "an optional credential where the document asks for one",
      "GET /things/:thing, to: app",
      "GET /things/:thing, to: app, optional: true",
      ["danger access_differs GET /things/{id}"],
    ],
    [
      "a credential that the document doesn't take",
      "DELETE /things/:thing, to: app,",
      "DELETE /things/:thing, to: app, auth: [jwt, apiKey],",
      ["danger auth_differs DELETE /things/{id}"],
    ],
    [
      "another scope",
      'scopes: ["things:admin"]',
      'scopes: ["things:write"]',
      ["danger scopes_differ DELETE /things/{id}"],
    ],
    [
      "a scope more",
      'scopes: ["things:admin"]',
      'scopes: ["things:admin", "things:write"]',
      ["difference scopes_differ DELETE /things/{id}"],
    ],
    [
      "a public route that takes some of what the document guards",
      "  - { match: GET /open",
      "  - { match: GET /things/mine, to: app, public: true }\n  - { match: GET /open",
      ["danger access_differs GET /things/mine"],
    ],
    [
      "a public route for requests with a certain header",
      "  - { match: GET /open",
      '  - { match: { path: /things, methods: GET, headers: { X-Debug: "1" } }, to: app, public: true }\n  - { match: GET /open',
      ["danger access_differs GET /things"],
    ],
    [
      "a public route on a host of its own",
      "  - { match: GET /open",
      "  - { match: { path: /things, methods: GET, host: old.example.com }, to: app, public: true }\n  - { match: GET /open",
      ["danger access_differs GET /things"],
    ],
    [
      "a health check in the way",
      "routes:\n",
      "health: { live: /open, ready: /ready }\nroutes:\n",
      ["difference operation_shadowed GET /open"],
    ],
  ])("finds %s", async (_title, from, to, expected) => {
    // The gateway refuses routes on its own health paths, so that route goes as well.
    const [one, other] =
      expected[0]?.includes("shadowed") === true
        ? [`${from}  - { match: GET /open, to: app, public: true }\n`, to]
        : [from, to];
    expect(await foundWith(one, other)).toEqual(expected);
  });

  it("marks the lines of both files for GitHub", async () => {
    const yaml = AGREEING.replace("GET /open,", "GET /shut,");
    const { code, stdout } = await runCli(["check", "--against", "api.yaml", "--format", "github"], yaml, {
      files: { "api.yaml": SMALL },
    });
    expect(code).toBe(1);
    expect(stdout).toBe(
      "::error file=api.yaml,line=4,title=operation_not_routed::GET /open: no route takes it: 404\n" +
        "::error file=gateway.yaml,line=5,title=route_not_documented::GET /shut: the document has no such operation; it is public\n",
    );
  });

  it("tells the mistakes of both files before it compares", async () => {
    const { code, stdout } = await runCli(["check", "--against", "api.yaml"], "routs: []\n", {
      files: { "api.yaml": SMALL.replace("openapi: 3.0.3", "openapi: 1") },
    });
    expect(code).toBe(1);
    expect(stdout).toContain("gateway.yaml:1:1 unknown_key");
    expect(stdout).toContain("api.yaml:1:10 value_invalid");
  });
});
