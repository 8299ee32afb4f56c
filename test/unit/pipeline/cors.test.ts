import { describe, expect, test } from "vitest";
import type { CorsPolicy } from "../../../src/config/gateway-config.ts";
import { Fields } from "../../../src/core/fields.ts";
import { corsFields, preflightFields, preflightMethod } from "../../../src/pipeline/cors.ts";

const APP = "https://app.example";
const RULES: CorsPolicy = {
  origins: [APP, "https://other.example:8443"],
  methods: ["GET", "PUT"],
  headers: ["content-type", "x-team"],
  credentials: true,
  maxAgeSeconds: 600,
  expose: ["X-Request-Id", "RateLimit"],
};
const ANY: CorsPolicy = { ...RULES, origins: ["*"], credentials: false, expose: [], headers: [] };

const answer = (rules: CorsPolicy, ...raw: readonly string[]): string[] => corsFields(rules, new Fields(raw));
const preflight = (rules: CorsPolicy, ...raw: readonly string[]): string[] =>
  preflightFields(rules, new Fields(raw));

const VARY = ["Vary", "Origin"];
const PREFLIGHT_VARY = ["Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"];

describe("an answer", () => {
  test("to an allowed origin names it", () => {
    expect(answer(RULES, "Origin", APP)).toEqual([
      ...VARY,
      "Access-Control-Allow-Origin",
      APP,
      "Access-Control-Allow-Credentials",
      "true",
      "Access-Control-Expose-Headers",
      "X-Request-Id, RateLimit",
    ]);
  });

  test.each([
    ["no origin", []],
    ["another origin", ["Origin", "https://evil.example"]],
    ["another scheme", ["Origin", "http://app.example"]],
    ["another port", ["Origin", `${APP}:444`]],
    ["an origin that begins alike", ["Origin", `${APP}.evil.example`]],
    ["an origin in capitals", ["Origin", "https://APP.example"]],
    ["an origin with a slash", ["Origin", `${APP}/`]],
    ["a null origin", ["Origin", "null"]],
    ["a star", ["Origin", "*"]],
    ["two origins", ["Origin", APP, "Origin", APP]],
  ])("to %s allows nothing, and says that it depends on the origin", (_what, raw) => {
    expect(answer(RULES, ...raw)).toEqual(VARY);
  });

  test("where any origin may is the same for all", () => {
    expect(answer(ANY, "Origin", "https://anyone.example")).toEqual(["Access-Control-Allow-Origin", "*"]);
    expect(answer(ANY)).toEqual([]);
  });
});

describe("a preflight", () => {
  const wanted = ["Access-Control-Request-Method", "PUT"];

  test("that is allowed learns methods, headers and how long that holds", () => {
    expect(
      preflight(RULES, "Origin", APP, ...wanted, "Access-Control-Request-Headers", "X-Team, Content-Type"),
    ).toEqual([
      ...PREFLIGHT_VARY,
      "Access-Control-Allow-Origin",
      APP,
      "Access-Control-Allow-Methods",
      "GET, PUT",
      "Access-Control-Allow-Headers",
      "content-type, x-team",
      "Access-Control-Allow-Credentials",
      "true",
      "Access-Control-Max-Age",
      "600",
    ]);
    expect(preflight(ANY, "Origin", APP, ...wanted)).toEqual([
      ...PREFLIGHT_VARY,
      "Access-Control-Allow-Origin",
      "*",
      "Access-Control-Allow-Methods",
      "GET, PUT",
      "Access-Control-Max-Age",
      "600",
    ]);
  });

  test.each([
    ["another origin", ["Origin", "https://evil.example", ...wanted]],
    ["another method", ["Origin", APP, "Access-Control-Request-Method", "DELETE"]],
    ["a method in small letters", ["Origin", APP, "Access-Control-Request-Method", "put"]],
    ["another header", ["Origin", APP, ...wanted, "Access-Control-Request-Headers", "x-team, x-other"]],
    [
      "another header in a second line",
      [
        "Origin",
        APP,
        ...wanted,
        "Access-Control-Request-Headers",
        "x-team",
        "Access-Control-Request-Headers",
        "x-other",
      ],
    ],
  ])("for %s is allowed nothing", (_what, raw) => {
    expect(preflight(RULES, ...raw)).toEqual(PREFLIGHT_VARY);
  });

  test.each([
    ["OPTIONS", ["Origin", APP, ...wanted], "PUT"],
    ["OPTIONS", wanted, undefined],
    ["OPTIONS", ["Origin", APP], undefined],
    ["GET", ["Origin", APP, ...wanted], undefined],
    ["options", ["Origin", APP, ...wanted], undefined],
  ])("is %s with both fields (%j: %s)", (method, raw, asked) => {
    expect(preflightMethod(method, new Fields(raw))).toBe(asked);
  });
});
