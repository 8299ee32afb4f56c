import { describe, expect, test } from "vitest";
import { formatKey } from "../../../../src/authn/api-key/format.ts";
import { addressId, credentialId, isGuessable } from "../../../../src/authn/failures/identity.ts";

const OWN = "gwk_test_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0iyDtF";
const token = (payload: unknown, header: unknown = { alg: "ES256" }): string =>
  [JSON.stringify(header), JSON.stringify(payload), "signature"]
    .map((part) => Buffer.from(part).toString("base64url"))
    .join(".");
const claims = (iss: unknown, sub: unknown, more: object = {}): string => token({ iss, sub, ...more });

test("an address is its IPv4 address or its IPv6 /64", () => {
  expect(addressId("192.0.2.1")).toBe(addressId("192.0.2.1"));
  expect(addressId("192.0.2.1")).not.toBe(addressId("192.0.2.2"));
  expect(addressId("2001:db8:0:1:0:0:0:1")).toBe(addressId("2001:db8:0:1:ffff:0:0:1"));
  expect(addressId("2001:db8:0:1:0:0:0:1")).not.toBe(addressId("2001:db8:0:2:0:0:0:1"));
});

test("an id is 128 bits of a hash and shows nothing of what it stands for", () => {
  for (const id of [
    addressId("192.0.2.1"),
    credentialId("apiKey", OWN),
    credentialId("apiKey", "legacy-0123456789abc"),
    credentialId("jwt", claims("https://a.test", "alice")),
  ])
    expect(id).toMatch(/^[\w-]{22}$/);
});

describe("the public part of a key", () => {
  const id = (key: string): string | undefined => credentialId("apiKey", key);

  test("is `gwk_live_` and three characters, whatever follows", () => {
    expect(id(`${OWN.slice(0, 12)}x`)).toBe(id(OWN));
    expect(id(OWN.slice(0, 12))).toBe(id(OWN));
    expect(id(`${OWN.slice(0, 11)}x${OWN.slice(12)}`)).not.toBe(id(OWN));
  });

  test("is six characters of any other key that has ten more", () => {
    expect(id("abcdef-0123456789")).toBe(id("abcdef-9876543210"));
    expect(id("abcdex-0123456789")).not.toBe(id("abcdef-0123456789"));
  });

  test.each(["", "a", "abcdef0123456789", "gwk_live_", "gwk_live_ab"])("%j has none", (key) => {
    expect(id(key)).toBeUndefined();
  });
});

describe("the public part of a token", () => {
  const id = (text: string): string | undefined => credentialId("jwt", text);

  test("is issuer and subject together", () => {
    expect(id(claims("i", "s", { exp: 1 }))).toBe(id(claims("i", "s", { exp: 2 })));
    expect(id(claims("i", "s"))).not.toBe(id(claims("i", "t")));
    expect(id(claims("i", "s"))).not.toBe(id(claims("j", "s")));
    expect(id(claims("is", "s"))).not.toBe(id(claims("i", "ss")));
  });

  test.each([
    ["no token", "forged"],
    ["two parts", "e30.e30"],
    ["no JSON", "a.b.c"],
    ["no issuer", claims(undefined, "s")],
    ["no subject", claims("i", undefined)],
    ["a subject that is no text", claims("i", { a: 1 })],
    ["a very long token", claims("i", "s".repeat(4_096))],
  ])("is missing where there is %s", (_what, text) => {
    expect(id(text)).toBeUndefined();
  });
});

test("only keys of the gateway's own form can't be guessed", () => {
  expect([OWN, formatKey("live"), formatKey("test")].map(isGuessable)).toEqual([false, false, false]);
  for (const key of [
    "",
    "secret",
    `${OWN.slice(0, -1)}G`,
    OWN.slice(0, -1),
    `${OWN}a`,
    OWN.toUpperCase(),
    "gwk_x",
  ])
    expect(isGuessable(key)).toBe(true);
});
