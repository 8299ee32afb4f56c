import { describe, expect, test } from "vitest";
import { findCredentials } from "../../../src/authn/credentials.ts";
import { Fields } from "../../../src/core/fields.ts";

const KEY_FIELDS = ["x-api-key", "apikey"];

/** What was found as one line: the token and the key, or the kind that came twice; or the refusal's code and reason. */
function find(...raw: readonly string[]): string {
  const found = findCredentials(new Fields(raw), KEY_FIELDS);
  if ("code" in found) return `${found.code} ${found.reason}`;
  const key = found.repeated === undefined ? `key=${found.apiKey ?? "-"}` : `twice=${found.repeated}`;
  return `jwt=${found.jwt ?? "-"} ${key}`;
}

describe("J35 an Authorization field", () => {
  test.each([
    ["Bearer x", "jwt=x key=-"],
    ["bearer x", "jwt=x key=-"],
    ["BEARER x", "jwt=x key=-"],
    ["bEaReR x", "jwt=x key=-"],
    ["Bearer  x", "jwt=x key=-"],
    ["Bearer    x", "jwt=x key=-"],
    // One token is for the verifier to insist on: what is left is no token, and refused as such.
    ["Bearer x y", "jwt=x y key=-"],
    ["Bearer x\ty", "jwt=x\ty key=-"],
    ["Bearer \tx", "jwt=\tx key=-"],
    ["Bearer\tx", "jwt=- key=-"],
    ["Bearerx", "jwt=- key=-"],
    ["Bearer:x", "jwt=- key=-"],
    ["Bearer", "credentials_malformed bearer_empty"],
    ["Bearer ", "credentials_malformed bearer_empty"],
    ["bearer    ", "credentials_malformed bearer_empty"],
    ["Bearer x,y", "credentials_ambiguous authorization_joined"],
    ["Bearer x, Bearer y", "credentials_ambiguous authorization_joined"],
    ["Token x", "jwt=- key=-"],
    ["Basic eDp5", "jwt=- key=-"],
    ["DPoP x", "jwt=- key=-"],
    ["", "jwt=- key=-"],
    ["x", "jwt=- key=-"],
  ])("%j gives %s", (value, found) => {
    expect(find("Authorization", value)).toBe(found);
  });

  test("that begins like a key of the gateway's own is a key", () => {
    expect(find("Authorization", "Bearer gwk_live_abc")).toBe("jwt=- key=gwk_live_abc");
    expect(find("Authorization", "Bearer GWK_live_abc")).toBe("jwt=GWK_live_abc key=-");
    expect(find("Authorization", "Basic gwk_live_abc")).toBe("jwt=- key=-");
  });
});

describe("J34 more than one credential", () => {
  test.each([
    ["two Authorization lines", ["Authorization", "Bearer x", "Authorization", "Bearer y"]],
    ["two equal Authorization lines", ["Authorization", "Bearer x", "authorization", "Bearer x"]],
    ["a line of another scheme first", ["Authorization", "Basic x", "AUTHORIZATION", "Bearer y"]],
    ["an empty line first", ["Authorization", "", "Authorization", "Bearer y"]],
  ])("in %s is refused for any route", (_what, raw) => {
    expect(find(...raw)).toBe("credentials_ambiguous authorization_repeated");
  });

  test.each([
    ["two lines of one key field", ["X-Api-Key", "a", "x-api-key", "b"], "jwt=- twice=apiKey"],
    ["two equal lines", ["X-Api-Key", "a", "X-Api-Key", "a"], "jwt=- twice=apiKey"],
    ["two key fields", ["ApiKey", "b", "X-Api-Key", "a"], "jwt=- twice=apiKey"],
    [
      "a key field and a bearer key",
      ["X-Api-Key", "a", "Authorization", "Bearer gwk_b"],
      "jwt=- twice=apiKey",
    ],
    ["an empty and a filled key field", ["X-Api-Key", "", "ApiKey", "a"], "jwt=- twice=apiKey"],
    ["a key and a token", ["X-Api-Key", "a", "Authorization", "Bearer x"], "jwt=x key=a"],
  ])("as %s is told", (_what, raw, found) => {
    expect(find(...raw)).toBe(found);
  });
});

describe("keys", () => {
  test.each([
    ["X-Api-Key", "a"],
    ["x-api-key", "a"],
    ["X-API-KEY", "a"],
    ["APIKEY", "a"],
  ])("are read from %s", (name, key) => {
    expect(find(name, key)).toBe("jwt=- key=a");
  });

  test("are read from no field that isn't listed", () => {
    expect(find("X_Api_Key", "a", "Api-Key", "a", "Cookie", "x-api-key=a")).toBe("jwt=- key=-");
  });

  test("are handed on as they came, empty ones too", () => {
    for (const key of ["", " a", "undefined", "a,b", "*"])
      expect(find("X-Api-Key", key)).toBe(`jwt=- key=${key}`);
  });
});

test("a request without any has none", () => {
  expect(find("Accept", "*/*")).toBe("jwt=- key=-");
});
