import { describe, expect, test } from "vitest";
import {
  type Authenticator,
  type AuthnOutcome,
  type CredentialKind,
  rejected,
} from "../../../src/authn/authenticator.ts";
import { AuthnChain, type ChainPolicy } from "../../../src/authn/chain.ts";
import { deny } from "../../../src/core/denial.ts";
import { Fields } from "../../../src/core/fields.ts";
import type { Principal } from "../../../src/core/principal.ts";
import { ScopeSet } from "../../../src/core/scope.ts";

const TOKEN: Principal = {
  method: "jwt",
  subject: "alice",
  issuer: "https://login.example.com/",
  clientId: "web",
  org: "acme",
  scopes: new ScopeSet(["a", "shared"]),
  roles: ["user", "shared"],
  claims: { plan: "pro" },
};
const KEY: Principal = {
  method: "apiKey",
  subject: "ci",
  clientId: "ci-bot",
  keyId: "ci-bot",
  scopes: new ScopeSet(["b", "shared"]),
  roles: ["bot", "shared"],
  claims: { team: "blue" },
};

/** Accepts the one credential `good`; notes every credential that it was asked about. */
function authenticator(kind: CredentialKind, good: string, later: boolean, name: string = kind) {
  const asked: string[] = [];
  const one: Authenticator & { readonly asked: string[] } = {
    name,
    kind,
    asked,
    authenticate(credential, clientAddress) {
      asked.push(`${credential} from ${clientAddress}`);
      const outcome: AuthnOutcome =
        credential === good
          ? { kind: "authenticated", principal: kind === "jwt" ? TOKEN : KEY }
          : rejected(deny(kind === "jwt" ? "token_invalid" : "api_key_invalid", `${name}_bad`));
      return later ? Promise.resolve(outcome) : outcome;
    },
  };
  return one;
}

const OTHER_FIELDS = { keyFields: ["x-api-key"], optional: false, firstMatch: false } as const;
const T = ["Authorization", "Bearer token"];
const BAD_T = ["Authorization", "Bearer forged"];
const K = ["X-Api-Key", "key"];
const BAD_K = ["X-Api-Key", "wrong"];

async function ask(policy: Partial<ChainPolicy>, raw: readonly string[], search = ""): Promise<string> {
  const chain = new AuthnChain({ ...OTHER_FIELDS, alternatives: [], ...policy });
  const outcome = await chain.authenticate(new Fields(raw), search, "192.0.2.1");
  if (outcome.kind === "rejected") return `${outcome.denial.code} ${outcome.denial.reason}`;
  return `${outcome.principal.method} ${outcome.principal.subject}`.trim();
}

describe.each([
  ["at once", false],
  ["later", true],
])("with authenticators that answer %s", (_when, later) => {
  const jwt = authenticator("jwt", "token", later);
  const apiKey = authenticator("apiKey", "key", later);
  const EITHER = { alternatives: [[jwt], [apiKey]] };
  const BOTH = { alternatives: [[apiKey, jwt]] };
  const TOKEN_OR_BOTH = { alternatives: [[jwt], [apiKey, jwt]] };

  describe("a route that takes one of two kinds", () => {
    test.each([
      ["nothing", [], "credentials_missing credentials_missing"],
      ["a good token", T, "jwt alice"],
      ["a bad token", BAD_T, "token_invalid jwt_bad"],
      ["a good key", K, "apiKey ci"],
      ["a bad key", BAD_K, "api_key_invalid apiKey_bad"],
      ["both", [...T, ...K], "credentials_ambiguous two_kinds"],
      ["a good and a bad one", [...T, ...BAD_K], "credentials_ambiguous two_kinds"],
      ["two keys", [...K, ...K], "credentials_ambiguous credential_repeated"],
      ["two Authorization lines", [...T, ...T], "credentials_ambiguous authorization_repeated"],
      ["an empty Bearer", ["Authorization", "Bearer"], "credentials_malformed bearer_empty"],
      ["another scheme", ["Authorization", "Basic eDp5"], "credentials_missing credentials_missing"],
      ["an empty key", ["X-Api-Key", ""], "api_key_invalid apiKey_bad"],
    ])("answers %s", async (_what, raw, answer) => {
      expect(await ask(EITHER, raw)).toBe(answer);
    });
  });

  describe("with `credentials: firstMatch`", () => {
    test.each([
      ["the first listed decides", [...T, ...K], "jwt alice"],
      ["the first listed decides, though it is bad", [...BAD_T, ...K], "token_invalid jwt_bad"],
      ["the first listed decides, though the other is bad", [...T, ...BAD_K], "jwt alice"],
      ["the one that came decides", K, "apiKey ci"],
      ["one kind twice stays ambiguous", [...K, ...K], "credentials_ambiguous credential_repeated"],
    ])("%s", async (_what, raw, answer) => {
      expect(await ask({ ...EITHER, firstMatch: true }, raw)).toBe(answer);
    });
  });

  describe("a route that takes both kinds together", () => {
    test.each([
      ["both", [...T, ...K], "jwt alice"],
      ["the token alone", T, "credentials_missing credentials_missing"],
      ["the key alone", K, "credentials_missing credentials_missing"],
      ["a bad token", [...BAD_T, ...K], "token_invalid jwt_bad"],
      ["a bad key", [...T, ...BAD_K], "api_key_invalid apiKey_bad"],
      ["nothing", [], "credentials_missing credentials_missing"],
    ])("answers %s", async (_what, raw, answer) => {
      expect(await ask(BOTH, raw)).toBe(answer);
    });

    test("joins what they hold: the token says who it is, the key which client", async () => {
      const chain = new AuthnChain({ ...OTHER_FIELDS, ...BOTH });
      const outcome = await chain.authenticate(new Fields([...T, ...K]), "", "192.0.2.1");
      expect(outcome).toMatchObject({
        kind: "authenticated",
        principal: {
          method: "jwt",
          subject: "alice",
          issuer: TOKEN.issuer,
          org: "acme",
          keyId: "ci-bot",
          clientId: "ci-bot",
          scopes: { values: ["b", "shared", "a"] },
          roles: ["bot", "shared", "user"],
          claims: { plan: "pro" },
        },
      });
    });
  });

  describe("a route that takes a token, or a token and a key", () => {
    test.each([
      ["the token", T, "jwt alice"],
      ["both", [...T, ...K], "jwt alice"],
      ["a token and a bad key, which is not skipped", [...T, ...BAD_K], "api_key_invalid apiKey_bad"],
      ["the key alone", K, "credentials_missing credentials_missing"],
    ])("answers %s", async (_what, raw, answer) => {
      expect(await ask(TOKEN_OR_BOTH, raw)).toBe(answer);
    });
  });

  describe("an optional route", () => {
    test.each([
      ["nothing as anonymous", [], "anonymous"],
      ["a good token", T, "jwt alice"],
      ["a bad token, which is never skipped", BAD_T, "token_invalid jwt_bad"],
      ["another scheme as anonymous", ["Authorization", "Basic eDp5"], "anonymous"],
      ["an empty Bearer as malformed", ["Authorization", "Bearer "], "credentials_malformed bearer_empty"],
    ])("answers %s", async (_what, raw, answer) => {
      expect(await ask({ ...EITHER, optional: true }, raw)).toBe(answer);
    });

    test("wants the second credential once the first came", async () => {
      expect(await ask({ ...BOTH, optional: true }, K)).toBe("credentials_missing credentials_missing");
      expect(await ask({ ...BOTH, optional: true }, [])).toBe("anonymous");
    });

    test("ignores a kind that it doesn't take", async () => {
      expect(await ask({ alternatives: [[apiKey]], optional: true }, BAD_T)).toBe("anonymous");
    });
  });
});

describe("a public route", () => {
  test.each([
    ["nothing", [], "anonymous"],
    ["a token", T, "anonymous"],
    ["two keys", [...K, ...K], "anonymous"],
    ["an empty Bearer", ["Authorization", "Bearer"], "anonymous"],
    ["two Authorization lines", [...T, ...T], "credentials_ambiguous authorization_repeated"],
    [
      "joined Authorization values",
      ["Authorization", "Bearer a, Bearer b"],
      "credentials_ambiguous authorization_joined",
    ],
  ])("answers %s", async (_what, raw, answer) => {
    expect(await ask({}, raw)).toBe(answer);
  });
});

describe("a kind that the route doesn't take", () => {
  const jwt = authenticator("jwt", "token", false);
  const apiKey = authenticator("apiKey", "key", false);

  test("is neither judged nor in the way", async () => {
    expect(await ask({ alternatives: [[jwt]] }, [...T, ...K, ...K])).toBe("jwt alice");
    expect(await ask({ alternatives: [[apiKey]] }, [...BAD_T, ...K])).toBe("apiKey ci");
    expect(await ask({ alternatives: [[apiKey]] }, T)).toBe("credentials_missing credentials_missing");
  });
});

describe("J34 a second token", () => {
  const policy = { alternatives: [[authenticator("jwt", "token", false)]] };

  test.each([
    ["in the query", T, "?access_token=token", "credentials_ambiguous token_in_two_places"],
    [
      "in the query by an encoded name",
      T,
      "?a=b&access%5Ftoken=x",
      "credentials_ambiguous token_in_two_places",
    ],
    ["in the query without a value", T, "?access_token", "credentials_ambiguous token_in_two_places"],
    [
      "in a forwarded field",
      [...T, "X-Forwarded-Access-Token", "other"],
      "",
      "credentials_ambiguous token_in_two_places",
    ],
    [
      "in a second forwarded field",
      [...T, "X-Forwarded-Access-Token", "token", "X-Forwarded-Access-Token", "other"],
      "",
      "credentials_ambiguous token_in_two_places",
    ],
    ["that is the same, forwarded", [...T, "X-Forwarded-Access-Token", "token"], "", "jwt alice"],
    ["that is part of another name", T, "?my_access_token=x&access_tokens=y", "jwt alice"],
    ["that is only a value", T, "?q=access_token", "jwt alice"],
  ])("%s", async (_what, raw, search, answer) => {
    expect(await ask(policy, raw, search)).toBe(answer);
  });

  test("J36 in the query alone is none", async () => {
    expect(await ask(policy, [], "?access_token=token")).toBe("credentials_missing credentials_missing");
  });
});

test("an authenticator is asked once, about its own credential, with the client's address", async () => {
  const jwt = authenticator("jwt", "token", false);
  const apiKey = authenticator("apiKey", "key", false);
  await ask({ alternatives: [[apiKey, jwt]] }, [...T, ...K]);
  expect([jwt.asked, apiKey.asked]).toEqual([["token from 192.0.2.1"], ["key from 192.0.2.1"]]);
});

describe("the credentials that decide, for those who have to know them", () => {
  const jwt = authenticator("jwt", "token", false);
  const apiKey = authenticator("apiKey", "key", false);
  const EITHER = { alternatives: [[jwt], [apiKey]] };
  const BOTH = { alternatives: [[apiKey, jwt]] };
  const key = { apiKey: "key" };
  const token = { jwt: "token" };

  test.each<readonly [what: string, policy: Partial<ChainPolicy>, raw: readonly string[], found: object]>([
    ["a key", EITHER, K, key],
    ["a bad token", EITHER, BAD_T, { jwt: "forged" }],
    ["nothing", EITHER, [], {}],
    ["an empty Bearer", EITHER, ["Authorization", "Bearer"], {}],
    ["two that are ambiguous", EITHER, [...T, ...K], {}],
    ["two of one kind", EITHER, [...K, ...K], {}],
    ["both together", BOTH, [...T, ...K], { ...key, ...token }],
    ["half of both", BOTH, K, {}],
    ["the first match", { ...EITHER, firstMatch: true }, [...T, ...K], token],
    ["a kind that the route doesn't take", { alternatives: [[jwt]] }, [...T, ...K], token],
    ["that kind alone", { alternatives: [[jwt]] }, K, {}],
    ["a public route", {}, [...T, ...K], {}],
  ])("%s", async (_what, policy, raw, found) => {
    const chain = new AuthnChain({ ...OTHER_FIELDS, alternatives: [], ...policy });
    expect(chain.deciding(new Fields(raw), "")).toEqual(found);
    const asked = jwt.asked.length + apiKey.asked.length;
    await chain.authenticate(new Fields(raw), "", "192.0.2.1");
    expect(jwt.asked.length + apiKey.asked.length - asked).toBe(Object.keys(found).length);
  });
});

test("an authenticator that breaks is no verdict on the credential", async () => {
  const broken: Authenticator = {
    name: "jwt",
    kind: "jwt",
    authenticate: () => Promise.reject(new Error("broken")),
  };
  await expect(ask({ alternatives: [[broken]] }, T)).rejects.toThrow("broken");
});
