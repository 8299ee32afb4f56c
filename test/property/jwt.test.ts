// What holds for every token text and every JSON value.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCompact } from "../../src/authn/jwt/compact.ts";
import { parseObject } from "../../src/authn/jwt/strict-json.ts";
import { base64url, makeKey, signRaw, signToken } from "../support/issuer.ts";
import { keyPolicy, type RunningVerifier, startVerifier } from "../support/verifier.ts";

const key = makeKey("ES256");
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\u0000\u00e9";
const good = signToken(
  { iss: "https://login.example.com/", sub: "u", aud: "modules-api", exp: 9_999_999_999, scope: "read" },
  key,
);
let running: RunningVerifier;

beforeAll(async () => {
  running = await startVerifier([keyPolicy([key])]);
  expect(await running.verdict(good)).toBe("ok");
});

afterAll(() => running.verifier.stop());

describe("a token", () => {
  test("that differs from a valid one in any one character is refused", async () => {
    const change = fc.record({ at: fc.nat(good.length - 1), to: fc.constantFrom(...ALPHABET) });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, to }) => {
        const changed = good.slice(0, at) + to + good.slice(at + 1);
        if (changed !== good) expect(await running.verdict(changed)).toMatch(/^token_invalid\/jwt_/);
      }),
      { numRuns: 2_000 },
    );
  });

  test("with a piece taken out, put in or moved is refused", async () => {
    const position = fc.nat(good.length);
    await fc.assert(
      fc.asyncProperty(position, position, position, async (one, two, three) => {
        const [a = 0, b = 0] = [one, two].sort((left, right) => left - right);
        const rest = good.slice(0, a) + good.slice(b);
        for (const text of [
          rest,
          good.slice(0, b) + good.slice(a),
          rest.slice(0, three) + good.slice(a, b) + rest.slice(three),
        ]) {
          if (text !== good) expect(await running.verdict(text)).toMatch(/^token_invalid\/jwt_/);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("of any text is refused without an exception", async () => {
    const parts = fc.array(fc.oneof(fc.string(), fc.base64String(), fc.json().map(base64url)), {
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: "binary" }),
          parts.map((all) => all.join(".")),
        ),
        async (text) => {
          expect(await running.verdict(text)).toMatch(/^token_invalid\/jwt_/);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("with any signed claims gets a verdict, never an exception", async () => {
    const names = fc.constantFrom(
      "iss",
      "sub",
      "aud",
      "exp",
      "nbf",
      "iat",
      "cnf",
      "scope",
      "roles",
      "email",
      "azp",
    );
    const usual = { iss: "https://login.example.com/", sub: "u", aud: "modules-api", exp: 9_999_999_999 };
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, fc.jsonValue({ maxDepth: 3 })), async (over) => {
        const payload = JSON.stringify({ ...usual, ...over });
        const token = signRaw(JSON.stringify({ alg: "ES256", kid: key.kid }), payload, key);
        expect(await running.verdict(token)).toMatch(/^(?:ok|token_(?:invalid|expired)\/jwt_[a-z_]+)$/);
      }),
      { numRuns: 500 },
    );
  });

  test("has one accepted spelling: what passes the gate encodes back to the same text", () => {
    const part = fc.uint8Array({ minLength: 1, maxLength: 60 });
    const tail = fc.constantFrom(...ALPHABET);
    fc.assert(
      fc.property(part, tail, (bytes, last) => {
        const text = base64url(bytes).slice(0, -1) + last;
        const token = `${base64url("{}")}.${base64url("{}")}.${text}`;
        const canonical = base64url(Buffer.from(text, "base64url")) === text;
        expect(readCompact(token).ok).toBe(canonical);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the JSON of a token", () => {
  const objects = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }));

  test("is read as any parser reads it, but for prototypes", () => {
    fc.assert(
      fc.property(objects, fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        const wellFormed = !/\\ud[89a-f]/i.test(text);
        const parsed = parseObject(Buffer.from(text));
        expect(parsed.ok).toBe(wellFormed);
        if (!parsed.ok) return;
        const expected = JSON.parse(text, function (this: object, name, inner) {
          return name === "__proto__" ? undefined : inner;
        });
        expect(JSON.stringify(parsed.value)).toBe(JSON.stringify(expected));
      }),
    );
  });

  test("is refused wherever a member is repeated, however it is escaped", () => {
    const escapeAll = (name: string) =>
      [...name].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z]{1,5}$/),
        objects,
        fc.nat(3),
        fc.boolean(),
        (name, rest, depth, escaped) => {
          const { [name]: _, ...others } = rest;
          const inner = JSON.stringify(others).slice(1);
          const members = `{"${name}" : 1,"${escaped ? escapeAll(name) : name}":2${inner === "}" ? "" : ","}${inner}`;
          const text = `${'{"x":['.repeat(depth)}${members}${"]}".repeat(depth)}`;
          if (/\\ud[89a-f]/i.test(text)) return;
          expect(parseObject(Buffer.from(text))).toEqual({ ok: false, error: "duplicate_member" });
        },
      ),
    );
  });

  test("of any bytes is refused without an exception", () => {
    const syntax = fc.array(fc.constantFrom(...'{}[]":,\\u0019ae tf', "\u00e9"), { maxLength: 60 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          syntax.map((all) => Buffer.from(all.join(""))),
        ),
        (bytes) => {
          const parsed = parseObject(bytes);
          if (parsed.ok) expect(() => JSON.parse(Buffer.from(bytes).toString())).not.toThrow();
        },
      ),
      { numRuns: 3_000 },
    );
  });
});
