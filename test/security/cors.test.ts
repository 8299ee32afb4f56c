// CORS: origins are compared whole, exactly, and only where a route has it.

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Case, runCases } from "../support/cases.ts";
import { runCli } from "../support/gateway.ts";
import { respond } from "../support/recorder.ts";
import { type Rig, startRig } from "../support/rig.ts";

const ORIGIN = "https://app.example.com";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    upstreams: `
  dead: { url: "http://127.0.0.1:1", timeouts: { connect: 300ms } }`,
    routes: `
  - match: GET,PUT /cors/*
    to: app
    auth: [jwt]
    scopes: [read]
    cors: { origins: ["${ORIGIN}"], methods: [GET, PUT], headers: [authorization, content-type], credentials: true, maxAge: 10m, expose: [X-Total] }
  - { match: /cors-dead/*, to: dead, public: true, cors: { origins: ["${ORIGIN}"] } }
  - { match: /cors-limited/*, to: app, public: true, limit: 1/h per route, cors: { origins: ["${ORIGIN}"] } }
`,
  });
});
afterAll(() => rig?.stop());

const STRANGERS = [
  "https://app.example.com.evil.test",
  "https://evilapp.example.com",
  "http://app.example.com",
  "https://app.example.com:444",
  "https://app.example.com:443",
  "https://APP.example.com",
  "null",
  "https://app.example.com%60.evil.test",
  "https://app.example.com/",
  "https://app.example.com https://evil.test",
  "https://app.example.com,https://evil.test",
  "https://user@app.example.com",
  "https://app-example.com",
  "https://app.example.co",
  "app.example.com",
  "",
  "*",
];

const preflight = (headers: Readonly<Record<string, string>> = {}) => ({
  method: "OPTIONS",
  target: "/cors/x",
  headers: { Origin: ORIGIN, "Access-Control-Request-Method": "GET", ...headers },
});

runCases(
  () => rig,
  [
    ...STRANGERS.flatMap((origin): Case[] => [
      {
        id: "★C01",
        title: `allows no request of the origin ${JSON.stringify(origin)}`,
        request: (one) => ({ target: "/cors/x", headers: { ...one.bearer(), Origin: origin } }),
        expect: { status: [200, 403], upstream: 1 },
        also: ({ first }) => {
          expect(first?.all("access-control-allow-origin")).toEqual([]);
          expect(first?.header("vary")?.toLowerCase()).toContain("origin");
        },
      },
      {
        id: "★C01",
        title: `allows no preflight of the origin ${JSON.stringify(origin)}`,
        request: preflight({ Origin: origin }),
        expect: { status: [200, 204, 403], upstream: "untouched" },
        also: ({ first }) =>
          expect(first?.headers.filter(([name]) => /^access-control-allow/i.test(name))).toEqual([]),
      },
    ]),
    {
      id: "★C01",
      title: "refuses to be sure about two Origin lines",
      request: (one) => ({
        target: "/cors/x",
        headers: [...Object.entries(one.bearer()), ["Origin", ORIGIN], ["Origin", "https://evil.test"]],
      }),
      expect: { status: [200, 400], upstream: 1 },
      also: ({ first }) => expect(first?.all("access-control-allow-origin")).toEqual([]),
    },
    {
      id: "★C01",
      title: "allows the listed origin, exactly once",
      request: (one) => ({ target: "/cors/x", headers: { ...one.bearer(), Origin: ORIGIN } }),
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => {
        expect(first?.all("access-control-allow-origin")).toEqual([ORIGIN]);
        expect(first?.all("access-control-allow-credentials")).toEqual(["true"]);
        expect(first?.header("access-control-expose-headers")).toContain("X-Total");
      },
    },
    {
      id: "C04",
      title: "sends one value per CORS field, whatever the upstream says",
      request: (one) => ({ target: "/cors/x", headers: { ...one.bearer(), Origin: ORIGIN } }),
      answer: respond(200, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Credentials": "true",
        "access-control-expose-headers": "*",
        "Access-Control-Max-Age": "9",
      }),
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => {
        for (const name of [
          "access-control-allow-origin",
          "access-control-allow-credentials",
          "access-control-expose-headers",
        ])
          expect(first?.all(name).length, name).toBe(1);
        expect(first?.header("access-control-allow-origin")).toBe(ORIGIN);
      },
    },
    {
      id: "C04",
      title: "lets no upstream open a CORS route to another origin",
      request: (one) => ({ target: "/cors/x", headers: { ...one.bearer(), Origin: "https://evil.test" } }),
      answer: respond(200, { "Access-Control-Allow-Origin": "https://evil.test" }),
      expect: { status: 200, upstream: 1 },
      also: ({ first }) => expect(first?.all("access-control-allow-origin")).toEqual([]),
    },
    {
      id: "C05",
      title: "answers a good preflight without credentials, without the upstream",
      request: preflight({ "Access-Control-Request-Headers": "Authorization, content-type" }),
      expect: { status: [200, 204], upstream: "untouched" },
      also: ({ first }) => {
        expect(first?.header("access-control-allow-methods")?.split(/, */).sort()).toEqual(["GET", "PUT"]);
        expect(first?.header("access-control-max-age")).toBe("600");
        expect(first?.header("vary")?.toLowerCase()).toContain("access-control-request-headers");
      },
    },
    ...[
      ["a header that isn't listed", { "Access-Control-Request-Headers": "x-other" }],
      ["an identity header", { "Access-Control-Request-Headers": "x-user-id" }],
      [
        "one bad header among good ones",
        { "Access-Control-Request-Headers": "authorization, x-user-scopes" },
      ],
      ["10 KiB of headers", { "Access-Control-Request-Headers": "x-a,".repeat(2_500) }],
      ["a method in lower case", { "Access-Control-Request-Method": "put" }],
    ].map(
      ([title, headers]): Case => ({
        id: "C05",
        title: `allows nothing to a preflight for ${title}`,
        request: preflight(headers as Record<string, string>),
        expect: { status: [200, 204, 401, 403, 404, 405], upstream: "untouched" },
        also: ({ first }) =>
          expect(first?.headers.filter(([name]) => /^access-control-allow/i.test(name))).toEqual([]),
      }),
    ),
    {
      id: "C05",
      title: "allows nothing to a preflight for a method without a route",
      request: preflight({ "Access-Control-Request-Method": "DELETE" }),
      expect: { status: [204, 401, 403, 404, 405], upstream: "untouched" },
      also: ({ first }) =>
        expect(first?.headers.filter(([name]) => /^access-control-allow/i.test(name))).toEqual([]),
    },
    {
      id: "C07",
      title: "lets the app read a 401",
      request: { target: "/cors/x", headers: { Origin: ORIGIN } },
      expect: { status: 401, upstream: "untouched" },
      also: ({ first }) => expect(first?.all("access-control-allow-origin")).toEqual([ORIGIN]),
    },
    {
      id: "C07",
      title: "lets the app read a 403",
      request: (one) => ({
        target: "/cors/x",
        headers: { ...one.bearer({ scope: "other" }), Origin: ORIGIN },
      }),
      expect: { status: 403, upstream: "untouched" },
      also: ({ first }) => expect(first?.all("access-control-allow-origin")).toEqual([ORIGIN]),
    },
    {
      id: "C07",
      title: "lets the app read a 502",
      request: { target: "/cors-dead/x", headers: { Origin: ORIGIN } },
      expect: { status: 502, upstream: "untouched" },
      also: ({ first }) => expect(first?.all("access-control-allow-origin")).toEqual([ORIGIN]),
    },
    {
      id: "C07",
      title: "lets the first call of a limited route pass",
      request: { target: "/cors-limited/x", headers: { Origin: ORIGIN } },
      expect: { status: 200, upstream: 1 },
    },
    {
      id: "C07",
      title: "lets the app read a 429",
      request: { target: "/cors-limited/x", headers: { Origin: ORIGIN } },
      expect: { status: 429, code: "rate_limited", upstream: "untouched" },
      also: ({ first }) => expect(first?.all("access-control-allow-origin")).toEqual([ORIGIN]),
    },
  ],
);

const file = (cors: string): string => `
listen: 127.0.0.1:0
upstreams: { app: "http://127.0.0.1:1" }
routes:
  - { match: /x, to: app, public: true, cors: ${cors} }
`;

test.each([
  ["★C02 any origin with credentials", '{ origins: ["*"], credentials: true }'],
  ["C08 an origin with a path", '{ origins: ["https://app.example.com/x"] }'],
  ["C08 a regular expression", '{ origins: ["^https://.*\\\\.example\\\\.com"] }'],
  ["C08 the null origin", '{ origins: ["null"] }'],
  ["C08 a wildcard inside", '{ origins: ["https://*.example.com"] }'],
])("%s is refused at load", async (_, cors) => {
  const { code, stdout, stderr } = await runCli(["start", "-c", "gateway.yaml"], file(cors));
  expect(code).toBe(1);
  expect(stdout + stderr).toMatch(/gateway\.yaml:5:\d+/);
});
