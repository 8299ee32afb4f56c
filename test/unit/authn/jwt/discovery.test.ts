// How the key set is found through the issuer's metadata.

import { describe, expect, test } from "vitest";
import type { Fault } from "../../../support/issuer.ts";
import { remotePolicy, until } from "../../../support/verifier.ts";
import { first, PATIENT, publishing, reasons, state, verifying } from "./published.ts";

describe("discovery", () => {
  const OIDC = "/.well-known/openid-configuration";
  const OAUTH = "/.well-known/oauth-authorization-server";

  test.each([
    ["", OIDC, [OIDC]],
    ["/", OIDC, [OIDC]],
    ["", OAUTH, [OIDC, OAUTH]],
    ["/realms/one", `/realms/one${OIDC}`, [`/realms/one${OIDC}`]],
    ["/realms/one/", `/realms/one${OIDC}`, [`/realms/one${OIDC}`]],
    ["/t1", `${OAUTH}/t1`, [`/t1${OIDC}`, `${OAUTH}/t1`]],
    ["/t1", `${OIDC}/t1`, [`/t1${OIDC}`, `${OAUTH}/t1`, `${OIDC}/t1`]],
  ])("an issuer with the path %j whose metadata is at %s is found", async (path, place, asked) => {
    const issuer = await publishing({ keys: [first], path });
    issuer.discoveryPaths = [place];
    const running = await verifying(remotePolicy(issuer, {}, true));
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(issuer.paths).toEqual([...asked, "/jwks.json"]);
  });

  test("one exact metadata URL may be given", async () => {
    const issuer = await publishing();
    const url = `${issuer.issuer}/t9${OIDC}`;
    const running = await verifying({ ...remotePolicy(issuer), source: { kind: "discovery", url } });
    expect(await running.verdict(issuer.token())).toBe("ok");
    expect(issuer.paths).toEqual([`/t9${OIDC}`, "/jwks.json"]);
  });

  test.each<[string, object, string]>([
    ["names another issuer", { issuer: "http://127.0.0.1/" }, "discovery_issuer_mismatch"],
    ["names no issuer", { issuer: undefined }, "discovery_issuer_mismatch"],
    ["has no key set", { jwks_uri: undefined }, "discovery_jwks_uri_invalid"],
    ["has a file as key set", { jwks_uri: "file:///etc/passwd" }, "discovery_jwks_uri_invalid"],
    ["has credentials in its URL", { jwks_uri: "http://a:b@127.0.0.1/" }, "discovery_jwks_uri_invalid"],
  ])("a document that %s is discarded", async (_, over, reason) => {
    const issuer = await publishing();
    issuer.discovery = { ...over };
    const running = await verifying(remotePolicy(issuer, {}, true), PATIENT);
    expect(reasons(running)).toEqual([reason]);
    expect(issuer.fetches.jwks).toBe(0);
    expect(await running.verdict(issuer.token())).toBe("keys_unavailable/jwt_keys_missing");
  });

  test.each<[Fault, string, number]>([
    [{ kind: "redirect", location: "http://127.0.0.1:1/" }, "discovery_redirect", 2],
    [{ kind: "hang" }, "discovery_timeout", 1],
    [{ kind: "endless" }, "discovery_too_large", 2],
    [{ kind: "html" }, "discovery_not_json", 2],
    [{ kind: "reset" }, "discovery_unreachable", 1],
  ])("J44 %j is reported and nothing else is asked for", async (fault, reason, fetches) => {
    const issuer = await publishing();
    issuer.discoveryFault = fault;
    const running = await verifying(remotePolicy(issuer, {}, true), PATIENT);
    expect(reasons(running)).toEqual([reason]);
    expect(issuer.fetches).toEqual({ jwks: 0, discovery: fetches, other: 0 });
  });

  test("is not repeated for each refresh, but is when the key set has gone", async () => {
    const issuer = await publishing();
    const running = await verifying(remotePolicy(issuer, {}, true), { lifetimeMs: 40, leastLifetimeMs: 40 });
    await until(() => issuer.fetches.jwks >= 3);
    expect(issuer.fetches.discovery).toBe(1);
    issuer.fault = { kind: "status", status: 404 };
    await until(() => state(running) === "stale");
    await until(() => issuer.fetches.discovery >= 2);
    issuer.fault = undefined;
    await until(() => state(running) === "ready");
  });

  test("metadata that is lost later doesn't matter while the key set is there", async () => {
    const issuer = await publishing();
    const timings = { lifetimeMs: 40, leastLifetimeMs: 40, discoveryMs: 1 };
    const running = await verifying(remotePolicy(issuer, {}, true), timings);
    issuer.discoveryFault = { kind: "status", status: 500 };
    const seen = issuer.fetches.jwks;
    await until(() => issuer.fetches.jwks > seen + 1);
    expect(state(running)).toBe("ready");
  });
});
