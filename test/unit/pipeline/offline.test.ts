import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import type { AssumedCaller } from "../../../src/config/test-policy.ts";
import type { Decision } from "../../../src/pipeline/decision.ts";
import { OfflineGateway } from "../../../src/pipeline/offline.ts";
import { arrivalOf, decideAs, type SimulatedRequest } from "../../../src/pipeline/simulate.ts";

const FILE = `issuers:
  corp: { issuer: https://login.example.com/, audience: api, claims: { roles: realm.roles, org: org_id } }
  partner: { issuer: https://partner.example.com/, audience: api }
apiKeys:
  - { id: bot, hash: "sha256:9695a918e1ac586fd55881e3d754e756fa52c8d81696d6345a2594004b9dfbe0", scopes: [read] }
  - { id: off, hash: "sha256:0000a918e1ac586fd55881e3d754e756fa52c8d81696d6345a2594004b9dfbe0", scopes: [read], enabled: false }
roles:
  editor: { scopes: [write], tier: gold }
upstreams: { app: http://127.0.0.1:9 }
routes:
  - { match: GET /read, to: app, auth: [jwt, apiKey], scopes: [read] }
  - { match: GET /write, to: app, auth: ["jwt:partner"], scopes: [write] }
  - { match: GET /roles, to: app, auth: [jwt], scopes: [write] }
  - { match: GET /maybe, to: app, auth: [apiKey], optional: true }
  - { match: GET /both, to: app, auth: { all: [jwt, apiKey] } }
  - { match: GET /keys, to: app, auth: [apiKey], scopes: [read] }
  - { match: "GET /own/:org", to: app, auth: [jwt], require: { org: ":org" } }
  - { match: GET /open, to: app, public: true }
  - { match: GET /watched, to: app, auth: [jwt], scopes: [admin], observe: true, limit: 1/min per ip }
`;
const folder = mkdtempSync(join(tmpdir(), "gatewarden-offline-"));
writeFileSync(join(folder, "gateway.yaml"), FILE);
const loaded = await loadConfig(join(folder, "gateway.yaml"), {});
rmSync(folder, { recursive: true });
if (!loaded.ok) throw new Error(JSON.stringify(loaded.error.diagnostics));
const gateway = new OfflineGateway(loaded.value, { wallMs: () => Date.now(), steadyMs: () => 0 });

function ask(target: string, who: AssumedCaller | string, more: Partial<SimulatedRequest> = {}) {
  const stand = typeof who === "string" ? gateway.key(who) : gateway.caller(who);
  if (stand === undefined) throw new Error("no such key");
  return decideAs(gateway.compiled.policy, arrivalOf({ method: "GET", target, ...more }), stand);
}

const codeOf = (decision: Decision): string =>
  decision.kind === "refuse" ? decision.denial.code : decision.kind;

describe("a caller who is taken at his word", () => {
  test.each([
    ["/read", { scopes: ["read"] }, "forward"],
    ["/read", { scopes: ["other"] }, "scope_insufficient"],
    ["/read?x=1", {}, "scope_insufficient"],
    ["/write", { roles: ["editor"] }, "forward"],
    ["/keys", { scopes: ["read"] }, "forward"],
    ["/own/acme", { claims: { org_id: "acme" } }, "forward"],
    ["/own/acme", { claims: { org_id: "other" } }, "requirement_failed"],
    ["/own/acme", { org: "acme" }, "forward"],
    ["/write", { issuer: "corp", claims: { realm: { roles: ["editor"] } } }, "token_invalid"],
    ["/roles", { issuer: "corp", claims: { realm: { roles: ["editor"] } } }, "forward"],
    ["/roles", { issuer: "partner", claims: { realm: { roles: ["editor"] } } }, "scope_insufficient"],
    ["/keys", { issuer: "corp", scopes: ["read"] }, "credentials_missing"],
    ["/maybe", { issuer: "corp" }, "forward"],
    ["/none", { scopes: ["read"] }, "route_not_found"],
    ["/a/../read", { scopes: ["read"] }, "request_target_invalid"],
  ] as const)("%s as %o: %s", async (target, who, code) => {
    expect(codeOf(await ask(target, who as AssumedCaller))).toBe(code);
  });

  test("is of the issuer that the route accepts, and of a key where it takes no token", async () => {
    expect((await ask("/write", { roles: ["editor"] })).principal).toMatchObject({
      method: "jwt",
      subject: "test",
      issuer: "https://partner.example.com/",
      tier: "gold",
    });
    expect((await ask("/keys", { scopes: ["read"] })).principal).toMatchObject({ method: "apiKey" });
    expect((await ask("/open", { scopes: ["read"] })).principal).toMatchObject({ method: "anonymous" });
  });
});

test.each([
  ["/read", "bot", "forward"],
  ["/write", "bot", "credentials_missing"],
  ["/both", "bot", "credentials_missing"],
  ["/read", "off", "api_key_invalid"],
  ["/open", "off", "forward"],
])("%s with the key %s: %s", async (target, id, code) => {
  expect(codeOf(await ask(target, id))).toBe(code);
});

test("what is only observed forwards, and tells every refusal", async () => {
  const first = await ask("/watched", { scopes: ["read"] });
  const second = await ask("/watched", { scopes: ["read"] });
  expect(first).toMatchObject({ kind: "forward", observed: [{ code: "scope_insufficient" }] });
  expect(second).toMatchObject({ kind: "forward", limit: { kind: "admitted", observed: ["GET /watched"] } });
  const nobody = await ask("/watched", "bot");
  expect(nobody.kind).toBe("forward");
  expect(nobody.principal?.method).toBe("anonymous");
  expect(nobody.observed?.map(({ code }) => code)).toEqual(["credentials_missing", "scope_insufficient"]);
});
