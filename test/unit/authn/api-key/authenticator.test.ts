import { hash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { ApiKeyAuthenticator } from "../../../../src/authn/api-key/authenticator.ts";
import { formatKey } from "../../../../src/authn/api-key/format.ts";
import type { ApiKeyRecord } from "../../../../src/authn/api-key/policy.ts";
import { parseRange } from "../../../../src/core/address.ts";
import type { Principal } from "../../../../src/core/principal.ts";

const KEY = formatKey("live");
const FOREIGN = "an-older-key/of.some~other+form=";

function record(key: string, changes: Partial<ApiKeyRecord> = {}): ApiKeyRecord {
  return {
    id: "ci-bot",
    hash: hash("sha256", key, "hex"),
    subject: "ci",
    scopes: ["modules:read"],
    roles: [],
    tier: undefined,
    org: undefined,
    expiresAtMs: undefined,
    enabled: true,
    allowIps: [],
    metadata: {},
    ...changes,
  };
}

function setup(...records: readonly ApiKeyRecord[]) {
  const clock = { now: 1_000_000 };
  const authenticator = new ApiKeyAuthenticator(records, {
    clock: { wallMs: () => clock.now, steadyMs: () => 0 },
    grants: (roles) =>
      roles.includes("developer")
        ? { scopes: ["granted:read"], tier: "developer" }
        : { scopes: [], tier: undefined },
  });
  const verdict = (key: string, address = "192.0.2.1"): string => {
    const outcome = authenticator.authenticate(key, address);
    return outcome.kind === "authenticated"
      ? outcome.principal.subject
      : `${outcome.denial.code} ${outcome.denial.reason}`;
  };
  const principal = (key: string): Principal => {
    const outcome = authenticator.authenticate(key, "192.0.2.1");
    if (outcome.kind === "rejected") throw new Error(outcome.denial.reason);
    return outcome.principal;
  };
  return { clock, verdict, principal };
}

describe("a key", () => {
  test("that is known gives its principal", () => {
    const { principal } = setup(record(KEY));
    expect(principal(KEY)).toEqual({
      method: "apiKey",
      subject: "ci",
      clientId: "ci-bot",
      keyId: "ci-bot",
      scopes: expect.objectContaining({ values: ["modules:read"] }),
      roles: [],
      claims: {},
    });
  });

  test("gives all that its record and its roles hold; the record's tier stands above the role's", () => {
    const more = { org: "acme", roles: ["developer"], expiresAtMs: 2_000_000, metadata: { team: "blue" } };
    const { principal } = setup(record(KEY, more), record(FOREIGN, { ...more, tier: "gold" }));
    expect(principal(KEY)).toMatchObject({
      org: "acme",
      tier: "developer",
      roles: ["developer"],
      expiresAtMs: 2_000_000,
      claims: { team: "blue" },
    });
    expect(principal(KEY).scopes.values).toEqual(["modules:read", "granted:read"]);
    expect(principal(FOREIGN).tier).toBe("gold");
  });

  test("gives the same object each time, so that what follows from it is worked out once", () => {
    const { principal } = setup(record(KEY));
    expect(principal(KEY)).toBe(principal(KEY));
  });

  test("of another form is known by its hash", () => {
    const { verdict } = setup(record(KEY), record(FOREIGN, { subject: "old" }));
    expect([verdict(KEY), verdict(FOREIGN)]).toEqual(["ci", "old"]);
  });

  test("of the gateway's form with a wrong checksum is refused, though its hash be listed", () => {
    const broken = `${KEY.slice(0, -1)}${KEY.endsWith("0") ? "1" : "0"}`;
    const { verdict } = setup(record(broken));
    expect(verdict(broken)).toBe("api_key_invalid key_checksum");
  });
});

describe("refused is", () => {
  const { verdict } = setup(
    record(KEY),
    record("disabled-key", { enabled: false }),
    record("x".repeat(512), { subject: "long" }),
  );

  test.each([
    ["an unknown key of the right form", formatKey("live"), "key_unknown"],
    ["an unknown key of another form", "some-other-key", "key_unknown"],
    ["the hash itself", hash("sha256", KEY, "hex"), "key_unknown"],
    ["a disabled key", "disabled-key", "key_disabled"],
    ["K05 the key in capitals", FOREIGN.toUpperCase(), "key_unknown"],
    ["K05 the key with a space before", ` ${KEY}`, "key_form"],
    ["K05 the key with a space behind", `${KEY} `, "key_form"],
    ["K05 the key with a tab", `${KEY}\t`, "key_form"],
    ["K05 a look-alike", `${KEY.slice(0, -1)}\uff10`, "key_form"],
    ["K05 the key with an escape", `${KEY.slice(0, -1)}%30`, "key_checksum"],
    ["K07 nothing", "", "key_form"],
    ["K07 undefined", "undefined", "key_unknown"],
    ["K07 null", "null", "key_unknown"],
    ["K07 an object's text", "[object Object]", "key_form"],
    ["K07 zero", "0", "key_unknown"],
    ["K07 a star", "*", "key_unknown"],
    ["K02 a shorter key", KEY.slice(0, 20), "key_checksum"],
    ["a name of the map's own", "constructor", "key_unknown"],
    ["a key that is too long", "x".repeat(513), "key_form"],
    ["a key of a megabyte", "x".repeat(1_000_000), "key_form"],
  ])("%s", (_what, key, reason) => {
    expect(verdict(key)).toBe(`api_key_invalid ${reason}`);
  });

  test("nothing that is just within the length", () => {
    expect(verdict("x".repeat(512))).toBe("long");
  });
});

test("a key is good until the moment at which it expires", () => {
  const { clock, verdict } = setup(record(KEY, { expiresAtMs: 1_000_001 }));
  expect(verdict(KEY)).toBe("ci");
  clock.now = 1_000_001;
  expect(verdict(KEY)).toBe("api_key_invalid key_expired");
});

test("a key that is bound to addresses is good from those alone", () => {
  const allowIps = ["192.0.2.0/24", "2001:db8::/32"]
    .map((text) => parseRange(text))
    .filter((range) => range !== undefined);
  const { verdict } = setup(record(KEY, { allowIps }));
  expect(verdict(KEY, "192.0.2.9")).toBe("ci");
  expect(verdict(KEY, "2001:db8:0:0:0:0:0:1")).toBe("ci");
  for (const address of ["198.51.100.1", "2001:db9::1", "unknown", ""])
    expect(verdict(KEY, address)).toBe("api_key_invalid key_address");
});
