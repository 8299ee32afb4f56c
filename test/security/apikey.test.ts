// API keys, through the whole gateway: found by their hash, taken only from their header, and never passed on.

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, runCases } from "../support/cases.ts";
import { type Rig, startRig } from "../support/rig.ts";

// Two generated keys whose visible beginning is the same, and one of the gateway's own form with a wrong checksum.
const TWIN_A = "twin-prefix-0000000000-aaaaaaaaaaaaaaaaaaaa";
const TWIN_B = "twin-prefix-0000000000-bbbbbbbbbbbbbbbbbbbb";
const BAD_CHECKSUM = "gwk_test_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0iyDtG";
const GOOD_CHECKSUM = "gwk_test_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0iyDtF";
const hash = (key: string): string => `"sha256:${createHash("sha256").update(key).digest("hex")}"`;

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    // The times that are compared are those of keys that are looked at.
    sections: "failedCredentials: false",
    env: { TWIN_A, TWIN_B },
    keyEntries: `
  - { id: twin-a, value: "\${TWIN_A}", scopes: [read] }
  - { id: twin-b, hash: ${hash(TWIN_B)}, scopes: [read] }
  - { id: own-form, hash: ${hash(GOOD_CHECKSUM)}, scopes: [read] }
  - { id: wrong-form, hash: ${hash(BAD_CHECKSUM)}, scopes: [read] }`,
    routes: `
  - { match: /passing/*, to: app, auth: [apiKey], scopes: [read], forwardCredentials: true }
`,
  });
});
afterAll(() => rig?.stop());

function refused(id: string, what: string, key: (one: Rig) => string, status: number | number[] = 401): Case {
  return {
    id,
    title: `refuses ${what}`,
    request: (one) => ({ target: "/api/x", headers: { "X-API-Key": key(one) } }),
    expect: { status, upstream: "untouched" },
    also: ({ first }) => {
      if (first?.status === 401) expect(first.json.code).toBe("api_key_invalid");
    },
  };
}

const flip = (text: string, at: number): string =>
  text.slice(0, at) + (text[at] === "x" ? "y" : "x") + text.slice(at + 1);

runCases(
  () => rig,
  [
    {
      id: "★K09",
      title: "accepts a key and shows it to no upstream",
      request: (one) => ({ target: "/api/x", headers: { "X-API-Key": one.keys.reader } }),
      expect: { status: 200, upstream: 1 },
      also: ({ seen, rig: one }) => {
        expect(seen[0]?.header("x-user-id")).toBe("reader-subject");
        expect(seen[0]?.header("x-client-id")).toBe("reader");
        expect(seen[0]?.raw.includes(one.keys.reader)).toBe(false);
      },
    },
    {
      id: "★K09",
      title: "shows no accepted token to the upstream",
      request: (one) => ({ target: "/api/x", headers: one.bearer() }),
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.all("authorization")).toEqual([]),
    },
    {
      id: "★K09",
      title: "shows the credentials of a stranger to no upstream of a public route",
      request: (one) => ({
        target: "/public/x",
        headers: { "X-API-Key": one.keys.reader, X_API_Key: one.keys.writer },
      }),
      expect: { status: 200, upstream: 1 },
      also: ({ seen, rig: one }) =>
        one.canaries.assertNoCanary({ upstream: seen[0]?.raw.toString("latin1") ?? "" }),
    },
    {
      id: "★K09",
      title: "passes the key on only where the route says so",
      request: (one) => ({ target: "/passing/x", headers: { "X-API-Key": one.keys.reader } }),
      expect: { status: 200, upstream: 1 },
      also: ({ seen, rig: one }) => expect(seen[0]?.all("x-api-key")).toEqual([one.keys.reader]),
    },
    ...[1, 8, 39, 41, 64, 4_000].map((length) =>
      refused("★K02", `a key of ${length} characters`, (one) => one.keys.reader.repeat(200).slice(0, length)),
    ),
    refused("★K02", "a key with one character changed", (one) => flip(one.keys.reader, 20)),
    ...["api_key", "apikey", "key", "X-API-Key"].map(
      (name): Case => ({
        id: "★K03",
        title: `takes no key from the query parameter ${name}`,
        request: (one) => ({ target: `/api/x?${name}=${one.keys.reader}` }),
        expect: { status: 401, code: "credentials_missing", upstream: "untouched" },
      }),
    ),
    {
      id: "★K03",
      title: "takes no key from the path",
      request: (one) => ({ target: `/api/${one.keys.reader}` }),
      expect: { status: 401, upstream: "untouched" },
      // The path is what the operator needs to see; a key in it is the caller's own doing.
      skipQuiet: true,
    },
    {
      id: "★K03",
      title: "takes no key from a cookie",
      request: (one) => ({
        target: "/api/x",
        headers: { Cookie: `X-API-Key=${one.keys.reader}; api_key=${one.keys.reader}` },
      }),
      expect: { status: 401, code: "credentials_missing", upstream: "untouched" },
    },
    {
      id: "★K03",
      title: "takes no key as a Basic credential",
      request: (one) => ({
        target: "/api/x",
        headers: { Authorization: `Basic ${Buffer.from(`${one.keys.reader}:`).toString("base64")}` },
      }),
      expect: { status: 401, upstream: "untouched" },
    },
    ...(
      [
        ["twin-a", TWIN_A],
        ["twin-b", TWIN_B],
      ] as const
    ).map(
      ([id, key]): Case => ({
        id: "K04",
        title: `tells ${id} from its twin`,
        request: { target: "/api/x", headers: { "X-API-Key": key } },
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) => expect(seen[0]?.header("x-client-id")).toBe(id),
      }),
    ),
    refused("K04", "the common beginning of two keys", () => "twin-prefix-0000000000-"),
    refused("K04", "the id of a key", () => "twin-a"),
    refused("K04", "the hash of a key", () => hash(TWIN_B).replace(/"/g, "")),
    refused("K05", "a key in capitals", () => TWIN_A.toUpperCase()),
    refused("K05", "a percent-encoded key", () => TWIN_A.replace("-", "%2D")),
    refused("K05", "a key in quotes", () => `"${TWIN_A}"`),
    refused("K05", "a key with a look-alike", () => TWIN_A.replace("t", "\xef\xbd\x94"), [400, 401]),
    refused("K05", "a key after another word", () => `ApiKey ${TWIN_A}`),
    ...["", "undefined", "null", "[object Object]", "0", "*", "true", "%00", "sha256:"].map((value) =>
      refused("K07", `the key ${JSON.stringify(value)}`, () => value),
    ),
    {
      id: "K08",
      title: "refuses two key lines",
      request: (one) => ({
        target: "/api/x",
        headers: [
          ["X-API-Key", one.keys.reader],
          ["x-api-key", one.keys.reader],
        ],
      }),
      expect: { status: 400, code: "credentials_ambiguous", upstream: "untouched" },
    },
    {
      id: "K08",
      title: "refuses a key beside a token",
      request: (one) => ({ target: "/api/x", headers: { ...one.bearer(), "X-API-Key": one.keys.reader } }),
      expect: { status: 400, code: "credentials_ambiguous", upstream: "untouched" },
    },
    {
      id: "K08",
      title: "refuses a key in both of its places",
      request: {
        target: "/api/x",
        headers: { Authorization: `Bearer ${GOOD_CHECKSUM}`, "X-API-Key": GOOD_CHECKSUM },
      },
      expect: { status: 400, code: "credentials_ambiguous", upstream: "untouched" },
    },
    {
      id: "K08",
      title: "does not skip a bad key for want of a better credential",
      request: { target: "/api/x", headers: { "X-API-Key": "bad" } },
      expect: { status: 401, code: "api_key_invalid", upstream: "untouched" },
    },
    refused("K10", "a key of 20 KiB", () => "k".repeat(20_000), 431),
    refused("K10", "a key with a NUL", () => "a\0b", 400),
    refused("K10", "a key with Latin-1 letters", () => "caf\xe9", [400, 401]),
    refused("K10", "a key with a bare line feed", () => "a\nb", 400),
    ...(["expired", "disabled"] as const).map((state) =>
      refused("★K02", `the ${state} key`, (one) => one.keys[state]),
    ),
    refused("K04", "a key whose checksum is wrong although its hash is listed", () => BAD_CHECKSUM),
    ...[{ "X-API-Key": GOOD_CHECKSUM }, { Authorization: `Bearer ${GOOD_CHECKSUM}` }].map(
      (headers): Case => ({
        id: "K04",
        title: `accepts a key with a right checksum in ${Object.keys(headers).join()}`,
        request: { target: "/api/x", headers },
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) =>
          expect(seen[0]?.all("authorization").concat(seen[0]?.all("x-api-key"))).toEqual([]),
      }),
    ),
    {
      id: "★K02",
      title: "grants a key no scope that it lacks",
      request: (one) => ({ target: "/api/x", headers: { "X-API-Key": one.keys.writer } }),
      expect: { status: 403, code: "scope_insufficient", upstream: "untouched" },
    },
    {
      id: "★K02",
      title: "takes no key where the route wants a token",
      request: (one) => ({ target: "/admin/x", headers: { "X-API-Key": one.keys.reader } }),
      expect: { status: 401, upstream: "untouched" },
    },
  ],
);

describe("timing", () => {
  /** Median time of one refusal, in milliseconds. */
  async function medians(keys: readonly string[], rounds: number): Promise<number[]> {
    const times: number[][] = keys.map(() => []);
    for (let round = 0; round < rounds; round++) {
      // In turn and in a changing order, so that whatever else the machine does hits all alike.
      for (let step = 0; step < keys.length; step++) {
        const index = (step * 7 + round) % keys.length;
        const started = performance.now();
        await rig.call({ target: "/api/x", headers: { "X-API-Key": keys[index] ?? "" } });
        times[index]?.push(performance.now() - started);
      }
    }
    return times.map((list) => list.sort((a, b) => a - b)[list.length >> 1] ?? 0);
  }

  test("★K01 a wrong key is refused no slower for sharing more characters with a right one", async () => {
    const key = rig.keys.reader;
    const keys = [0, 8, 16, 24, 39].map(
      (shared) =>
        key.slice(0, shared) +
        flip(key, shared).slice(shared, shared + 1) +
        "z".repeat(key.length - shared - 1),
    );
    const found = await medians(keys, 200);
    const spread = Math.max(...found) - Math.min(...found);
    expect(spread).toBeLessThan(0.5 * Math.min(...found));
    const ordered = found.every((median, index) => index === 0 || median > (found[index - 1] ?? 0));
    if (ordered) expect(spread).toBeLessThan(0.2 * Math.min(...found));
  });
});
