import { describe, expect, test } from "vitest";
import type { CredentialKind } from "../../../src/authn/authenticator.ts";
import { challengesFor, wantsChallenge } from "../../../src/authn/challenge.ts";
import { DENIALS, type DenialCode, deny } from "../../../src/core/denial.ts";

const JWT: ReadonlySet<CredentialKind> = new Set(["jwt"]);
const KEY: ReadonlySet<CredentialKind> = new Set(["apiKey"]);
const BOTH: ReadonlySet<CredentialKind> = new Set(["apiKey", "jwt"]);

describe("a Bearer challenge", () => {
  test("for missing credentials names no error (RFC 6750 section 3.1)", () => {
    expect(challengesFor(deny("credentials_missing"), JWT, "X-Api-Key")).toEqual([
      'Bearer realm="gatewarden"',
    ]);
  });

  test.each<readonly [DenialCode, string, string]>([
    ["token_invalid", "invalid_token", "The access token is invalid"],
    ["token_expired", "invalid_token", "The access token expired"],
    ["credentials_malformed", "invalid_request", "The credential is not well-formed"],
    ["credentials_ambiguous", "invalid_request", "More than one credential was sent"],
  ])("for %s says %s", (code, error, description) => {
    expect(challengesFor(deny(code, "jwt_signature"), JWT, "X-Api-Key")).toEqual([
      `Bearer realm="gatewarden", error="${error}", error_description="${description}"`,
    ]);
  });

  test("for a missing scope names the scopes (RFC 6750 section 3)", () => {
    const denial = deny("scope_insufficient", "scope_missing", { requiredScopes: ["modules:read", "a'b"] });
    expect(challengesFor(denial, JWT, "X-Api-Key")).toEqual([
      'Bearer realm="gatewarden", error="insufficient_scope", error_description="A required scope is missing", scope="modules:read a\'b"',
    ]);
  });

  test("is the same whichever check of a token failed", () => {
    const challenges = ["jwt_signature", "jwt_audience", "jwt_kid_unknown"].map((reason) =>
      challengesFor(deny("token_invalid", reason), JWT, "X-Api-Key").join(),
    );
    expect(new Set(challenges).size).toBe(1);
  });
});

describe("a key's challenge", () => {
  test("names the field", () => {
    expect(challengesFor(deny("api_key_invalid", "key_unknown"), KEY, "X-Custom-Key")).toEqual([
      'ApiKey realm="gatewarden", header="X-Custom-Key"',
    ]);
  });

  test("stands after the Bearer one, which has no error of its own then", () => {
    expect(challengesFor(deny("api_key_invalid", "key_unknown"), BOTH, "X-Api-Key")).toEqual([
      'Bearer realm="gatewarden"',
      'ApiKey realm="gatewarden", header="X-Api-Key"',
    ]);
  });
});

test("a public route challenges for nothing", () => {
  expect(challengesFor(deny("credentials_ambiguous"), new Set(), "X-Api-Key")).toEqual([]);
});

test("every challenge keeps to the grammar of RFC 9110 section 11.6.1", () => {
  const parameter = String.raw`[a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"`;
  const grammar = new RegExp(`^[A-Za-z]+ ${parameter}(?:, ${parameter})*$`);
  for (const code of Object.keys(DENIALS) as DenialCode[]) {
    for (const challenge of challengesFor(deny(code, "why", { requiredScopes: ["a:b"] }), BOTH, "X-Api-Key"))
      expect(challenge).toMatch(grammar);
  }
});

test("challenged are all of 401, bad requests for credentials, and missing scopes; nothing else", () => {
  const challenged = (Object.keys(DENIALS) as DenialCode[]).filter((code) => wantsChallenge(deny(code)));
  expect(challenged.sort()).toEqual([
    "api_key_invalid",
    "credentials_ambiguous",
    "credentials_malformed",
    "credentials_missing",
    "scope_insufficient",
    "token_expired",
    "token_invalid",
  ]);
});
