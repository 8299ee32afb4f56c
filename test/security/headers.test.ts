// Identity and forwarding headers: what the upstream reads about the caller is what the gateway wrote, nothing else.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { foldName } from "../../src/core/fields.ts";
import { type Case, type Outcome, runCases } from "../support/cases.ts";
import type { Line } from "../support/http-bytes.ts";
import { FORGED, type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig?.stop());

const IDENTITY = [
  "X-User-Id",
  "X-User-Scopes",
  "X-User-Roles",
  "X-User-Email",
  "X-Org-Id",
  "X-Auth-Method",
  "X-Client-Id",
  "X-User-Tier",
] as const;

/** Lines that some upstream reads as an identity header. */
function identityLines({ seen }: Outcome): Line[] {
  return IDENTITY.flatMap((name) => seen[0]?.readAs(name) ?? []);
}

const onlyOurs = (outcome: Outcome): void => {
  expect(outcome.seen[0]?.readAs("X-User-Id").map(([, value]) => value)).toEqual(["user-1"]);
  expect(outcome.seen[0]?.readAs("X-User-Scopes").map(([, value]) => value)).toEqual(["read"]);
};

/** The forged line on a guarded and on a public route. */
function forged(id: string, what: string, lines: readonly Line[]): Case[] {
  return [
    {
      id,
      title: `overwrites ${what} on a guarded route`,
      request: (one) => ({ target: "/api/x", headers: [...Object.entries(one.bearer()), ...lines] }),
      expect: { status: 200, upstream: 1 },
      also: onlyOurs,
    },
    {
      id,
      title: `removes ${what} on a public route`,
      request: { target: "/public/x", headers: lines },
      expect: { status: 200, upstream: 1 },
      also: (outcome) =>
        expect(identityLines(outcome).filter(([name]) => foldName(name) !== "xauthmethod")).toEqual([]),
    },
  ];
}

runCases(
  () => rig,
  [
    ...forged("★H01", "a forged X-User-Id", [["X-User-Id", FORGED]]),
    ...forged(
      "★H01",
      "every identity header at once",
      IDENTITY.map((name) => [name, FORGED] as const),
    ),
    ...forged("★H02", "X-User-Id and X-Org-Id", [
      ["x-user-id", FORGED],
      ["X-ORG-ID", FORGED],
    ]),
    ...["X_User_Id", "X_User-Id", "x-user_id", "X-USER_SCOPES"].flatMap((name) =>
      forged("★H03", name, [[name, FORGED]]),
    ),
    ...["X.User.Id", "x-user.scopes", "XUserId", "X--User--Id", "-X-User-Id-", "X-User-Id-Bin"].flatMap(
      (name) => forged("★H04", name, [[name, FORGED]]),
    ),
    ...["!", "~", "'", "+", "^", "%", "*", "|", "`", "$", "&", "#"].flatMap((mark) =>
      forged("H05", `X${mark}User${mark}Id`, [[`X${mark}User${mark}Id`, FORGED]]),
    ),
    ...[2, 10, 40].flatMap((count) =>
      forged(
        "★H06",
        `${count} copies in mixed case`,
        Array.from(
          { length: count },
          (_, index) => [index % 2 === 0 ? "X-User-Id" : "x-USER-id", `${FORGED}-${index}`] as const,
        ),
      ),
    ),
    {
      id: "★H06",
      title: "refuses a hundred copies as too many header lines",
      request: (one) => ({
        target: "/api/x",
        headers: [
          ...Object.entries(one.bearer()),
          ...Array.from({ length: 100 }, () => ["X-User-Id", FORGED] as const),
        ],
      }),
      expect: { status: 431, upstream: "untouched" },
    },
    ...[
      ["a space before the colon", "X-User-Id : a\r\n"],
      ["a space before the name", " X-User-Id: a\r\n"],
      ["a folded line", "X-A: b\r\n X-User-Id: a\r\n"],
      ["a tab-folded line", "X-A: b\r\n\tX-User-Id: a\r\n"],
      ["a tab before the colon", "X-User-Id\t: a\r\n"],
    ].flatMap(([what, line]): Case[] =>
      [`Host: rig.test\r\n${line}`, `${line}Host: rig.test\r\n`].map((lines, index) => ({
        id: "H07",
        title: `refuses ${what} ${index === 0 ? "after" : "before"} Host`,
        bytes: `GET /public/x HTTP/1.1\r\n${lines}\r\n`,
        expect: { status: 400, closed: true, upstream: "untouched" },
      })),
    ),
    ...[
      "close, X-User-Id",
      "X-User-Id, X-User-Scopes, X-Request-Id, X-Auth-Method",
      "keep-alive,x_user_id",
      "Host, Content-Length, X-Forwarded-For",
    ].map(
      (value): Case => ({
        id: "★H08",
        title: `keeps its own headers when Connection names them: ${value}`,
        request: (one) => ({
          target: "/api/x",
          headers: { ...one.bearer(), Connection: value, "X-User-Id": FORGED },
        }),
        expect: { status: 200, upstream: 1 },
        also: (outcome) => {
          onlyOurs(outcome);
          expect(outcome.seen[0]?.all("host").length).toBe(1);
          expect(outcome.seen[0]?.all("x-forwarded-for")).toEqual(["127.0.0.1"]);
          expect(outcome.seen[0]?.all("x-request-id").length).toBe(1);
        },
      }),
    ),
    {
      id: "★H08",
      title: "removes what Connection names and nothing of it remains",
      request: {
        target: "/public/x",
        headers: { Connection: "close, X-Hop", "X-Hop": "hop-value", "Keep-Alive": "9", TE: "gzip" },
      },
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) =>
        expect(seen[0]?.raw.toString()).not.toMatch(/x-hop|hop-value|keep-alive: 9|te: gzip/i),
    },
    ...(["/public/x", "/api/x"] as const).flatMap((target): Case[] => {
      const trailing =
        (lines: string) =>
        (one: Rig): Buffer => {
          const headers = { ...one.bearer(), "Transfer-Encoding": "chunked", Trailer: "X-User-Id" };
          const head = requestBytes({ method: "POST", target, headers });
          return Buffer.concat([head, Buffer.from(`2\r\nhi\r\n0\r\n${lines}\r\n`)]);
        };
      return [
        {
          id: "H10",
          title: `drops forged trailers on ${target}`,
          bytes: trailing(
            `X-User-Id: ${FORGED}\r\nX_User_Scopes: ${FORGED}\r\nAuthorization: Bearer ${FORGED}\r\n`,
          ),
          expect: { status: 200, upstream: 1 },
          also: ({ seen }) => {
            expect(seen[0]?.body.toString()).toBe("hi");
            expect(seen[0]?.trailers).toEqual([]);
          },
        },
        {
          id: "H10",
          title: `completes nothing on ${target} when a trailer speaks of framing`,
          bytes: trailing("Content-Length: 9\r\n"),
          expect: { status: [0, 400], closed: true, upstream: 0 },
        },
      ];
    }),
    ...[
      { "X-Forwarded-For": "10.0.0.1" },
      { "X-Forwarded-For": "10.0.0.1, 127.0.0.1" },
      { Forwarded: `for=${FORGED}` },
      { "X-Real-IP": FORGED, "X-Client-IP": FORGED, "True-Client-IP": FORGED, "CF-Connecting-IP": FORGED },
    ].map(
      (headers): Case => ({
        id: "★H11",
        title: `believes no ${Object.keys(headers).join(", ")} of a stranger`,
        request: { target: "/public/x", headers },
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) => {
          expect(seen[0]?.all("x-forwarded-for")).toEqual(["127.0.0.1"]);
          expect(seen[0]?.raw.toString()).not.toMatch(/10\.0\.0\.1|^Forwarded:/im);
        },
      }),
    ),
    {
      id: "★H11",
      title: "believes neither of two X-Forwarded-For lines",
      request: {
        target: "/public/x",
        headers: [
          ["X-Forwarded-For", "1.1.1.1"],
          ["x-forwarded-for", "2.2.2.2"],
          ["X_Forwarded_For", "3.3.3.3"],
        ],
      },
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => {
        expect(seen[0]?.readAs("x-forwarded-for").map(([, value]) => value)).toEqual(["127.0.0.1"]);
      },
    },
    ...[
      "X-Forwarded-Uri",
      "X-Original-URL",
      "X-Rewrite-URL",
      "X-Original-Uri",
      "X-Forwarded-Path",
      "X-Forwarded-Prefix",
      "X-Original-Method",
    ].map(
      (name): Case => ({
        id: "★H14",
        title: `lets ${name} decide nothing`,
        request: { target: "/admin/x", headers: { [name]: "/public/x" } },
        expect: { status: 401, upstream: "untouched" },
      }),
    ),
    {
      id: "★H14",
      title: "sends no claim about the original request on",
      request: {
        target: "/public/x",
        headers: {
          "X-Forwarded-Uri": FORGED,
          "X-Original-URL": FORGED,
          "X-Rewrite-URL": FORGED,
          "X-Forwarded-Prefix": FORGED,
          "X-Forwarded-Method": FORGED,
          "X-Forwarded-Host": "forged.test",
          "X-Forwarded-Proto": "https",
          "X-Forwarded-Port": "443",
          "X-Forwarded-Server": FORGED,
          "X-Forwarded-User": FORGED,
        },
      },
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => {
        expect(seen[0]?.all("x-forwarded-host")).toEqual(["rig.test"]);
        expect(seen[0]?.all("x-forwarded-proto")).toEqual(["http"]);
        expect(seen[0]?.raw.toString()).not.toMatch(/forged\.test|x-forwarded-port: 443/i);
      },
    },
    ...[
      "X-Gateway-Admin",
      "X-Gatewarden-User",
      "x-middleware-subrequest",
      "x-envoy-original-path",
      "X-Internal-Request",
    ].map(
      (name): Case => ({
        id: "★H16",
        title: `knows no ${name} that opens a guarded route`,
        request: { target: "/admin/x", headers: { [name]: "/public/x" } },
        expect: { status: 401, upstream: "untouched" },
      }),
    ),
    ...["x-middleware-subrequest", "x-envoy-original-path", "X-Identity-Token", "X_Identity_Token"].map(
      (name): Case => ({
        id: "★H16",
        title: `sends no ${name} on`,
        request: { target: "/public/x", headers: { [name]: FORGED } },
        expect: { status: 200, upstream: 1 },
      }),
    ),
    ...[
      ["two Host lines", "Host: rig.test\r\nHost: evil.test\r\n"],
      ["two equal Host lines", "Host: rig.test\r\nHost: rig.test\r\n"],
      ["no Host", ""],
      ["an empty Host", "Host:\r\n"],
      ["a list as Host", "Host: rig.test, evil.test\r\n"],
      ["userinfo in Host", "Host: rig.test:80@evil.test\r\n"],
      ["a path in Host", "Host: rig.test/admin\r\n"],
      ["a fragment in Host", "Host: rig.test#\r\n"],
      ["a query in Host", "Host: rig.test?x\r\n"],
      ["a space in Host", "Host: rig test\r\n"],
      ["a port that is none", "Host: rig.test:99999\r\n"],
      ["a port just too large", "Host: rig.test:65536\r\n"],
      ["a long Host", `Host: ${"a".repeat(300)}.test\r\n`],
    ].map(
      ([what, lines]): Case => ({
        id: "★H17",
        title: `refuses ${what}`,
        bytes: `GET /public/x HTTP/1.1\r\n${lines}\r\n`,
        expect: { status: 400, closed: true, upstream: "untouched" },
      }),
    ),
    ...[101, 1_000, 2_500].map(
      (count): Case => ({
        id: "H19",
        title: `refuses ${count} header lines, the credential last`,
        bytes: (one) =>
          requestBytes({
            target: "/api/x",
            headers: [
              ...Array.from({ length: count }, (_, index) => [`a${index}`, ""] as const),
              ...Object.entries(one.bearer()),
            ],
          }),
        expect: { status: 431, closed: true, upstream: "untouched" },
      }),
    ),
    ...["__proto__", "constructor", "toString", "hasOwnProperty"].map(
      (name): Case => ({
        id: "H20",
        title: `is not troubled by a header called ${name}`,
        request: (one) => ({ target: "/api/x", headers: [[name, "1"], ...Object.entries(one.bearer())] }),
        expect: { status: [200, 400], upstream: 1 },
        also: onlyOurs,
      }),
    ),
  ],
);

runCases(
  () => rig,
  [
    {
      id: "★H16",
      title: "takes no request id from a stranger",
      request: { target: "/public/x", headers: { "X-Request-Id": FORGED, X_Request_Id: FORGED } },
      expect: { status: 200, upstream: 1 },
      also: ({ seen, first }) => {
        expect(seen[0]?.readAs("x-request-id").map(([, value]) => value)).toEqual(first?.all("x-request-id"));
      },
    },
    {
      id: "H05",
      title: "passes other fields on as they came, Latin-1 bytes included",
      request: {
        target: "/public/x",
        headers: [
          ["X-One", "a, b"],
          ["x-one", "c"],
          ["X-Empty", ""],
          ["X-Latin", "caf\xe9"],
        ],
      },
      expect: { status: [200, 400], upstream: 1 },
      also: ({ seen }) => {
        if (seen[0] === undefined) return;
        expect(seen[0].all("x-one")).toEqual(["a, b", "c"]);
        expect([seen[0].all("x-empty"), seen[0].all("x-latin")]).toEqual([[""], ["caf\xe9"]]);
      },
    },
  ],
);

describe("aliases", () => {
  // Everything that a field name may hold and that servers have been seen to fold or cut.
  const MARKS = "!#$%&'*+-.^_`|~";

  function aliases(count: number): string[] {
    let state = 42;
    const pick = (limit: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 16) % limit;
    };
    const made = new Set<string>();
    while (made.size < count) {
      const name = IDENTITY[made.size % IDENTITY.length] ?? "X-User-Id";
      const letters = [...name].map((character) => {
        if (character !== "-") return pick(2) === 0 ? character.toLowerCase() : character.toUpperCase();
        return Array.from({ length: pick(10) === 0 ? pick(3) : 1 }, () => MARKS[pick(MARKS.length)]).join("");
      });
      made.add(letters.join(""));
    }
    return [...made];
  }

  test("★H04 of 10,000 generated aliases of identity headers none reaches the upstream", async () => {
    const names = aliases(10_000);
    const mark = rig.recorder.mark();
    let sent = 0;
    for (let at = 0; at < names.length; at += 90) {
      const lines = names.slice(at, at + 90).map((name) => [name, FORGED] as const);
      const response = await rig.call({
        target: at % 180 === 0 ? "/public/x" : "/api/x",
        headers: [...lines, ["X-API-Key", rig.keys.reader]],
      });
      expect(response.status).toBe(200);
      sent += lines.length;
    }
    expect(sent).toBe(10_000);
    const seen = rig.recorder.seenSince(mark);
    expect(seen.filter((request) => request.raw.includes(FORGED))).toEqual([]);
    expect(seen.length).toBe(Math.ceil(10_000 / 90));
  }, 20_000);
});
