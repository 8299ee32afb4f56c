// Path confusion: one canonical path decides and is forwarded; whatever needs guessing is refused.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, runCases } from "../support/cases.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    routes: `
  - { match: /strip/*, to: app, public: true, stripPrefix: /strip }
`,
  });
});
afterAll(() => rig?.stop());

/** A bare GET of exactly this target; written as Latin-1, so that a target may hold any byte. */
function get(target: string, headers: Readonly<Record<string, string>> = {}): Buffer {
  return requestBytes({ target, headers });
}

function refused(id: string, targets: readonly string[]): Case[] {
  return targets.map((target) => ({
    id,
    title: `refuses ${JSON.stringify(target.slice(0, 60))}`,
    bytes: get(target),
    expect: { status: 400, upstream: "untouched" },
  }));
}

const REFUSED: readonly (readonly [string, readonly string[]])[] = [
  [
    "★P01",
    [
      "/public/../admin/x",
      "/public/./x",
      "/public/..",
      "/../admin/x",
      "/public/x/.",
      "/public/a/../../admin/x",
    ],
  ],
  [
    "★P02",
    [
      "/public/%2e%2e/admin/x",
      "/public/.%2E/admin/x",
      "/public/%2E./admin/x",
      "/public/%2e/x",
      "/%2e%2e/admin/x",
    ],
  ],
  [
    "★P03",
    [
      "/public/..%2fadmin/x",
      "/public/%2e%2e%2fadmin/x",
      "/public/..%2Fadmin/x",
      "/public/x%2f..%2f..%2fadmin",
    ],
  ],
  ["★P04", ["/admin%2fx", "/public%2f..%2fadmin/x", "/api%2Fx", "/%2fadmin/x", "/%2Fadmin"]],
  [
    "★P05",
    [
      "/public/..%5cadmin/x",
      "/public/..\\admin\\x",
      "/admin%5cx",
      "/public\\..\\admin",
      "/public/%5C..%5cadmin",
    ],
  ],
  [
    "★P06",
    [
      "/public/..;/admin/x",
      "/admin;v=1/x",
      "/admin/x;.css",
      "/admin%3b/x",
      "/public/.;/admin",
      "/public/..%3B/admin/x",
      "/;/admin/x",
    ],
  ],
  [
    "★P07",
    [
      "//admin/x",
      "///admin//x",
      "/public//../admin/x",
      "/public//admin/x",
      "//rig.test/admin/x",
      "/public//",
    ],
  ],
  [
    "P11",
    [
      "/admin%252fx",
      "/public/%252e%252e/admin/x",
      "/public/%25%32%65%25%32%65/admin",
      "/public/%25252e%25252e/x",
      "/public/%255c..%255cadmin",
    ],
  ],
  [
    "★P12",
    [
      "/admin%00/x",
      "/public/%00/../admin/x",
      "/admin%0a/x",
      "/admin%09",
      "/public/%7f",
      "/public/%1f",
      "/public/x%0d%0aX-User-Id:%20admin",
      "/public/%c2%85x",
    ],
  ],
  [
    "P13",
    [
      "/admin/%c0%ae%c0%ae/x",
      "/public/%ff/x",
      "/public/%ed%a0%80",
      "/public/%f4%90%80%80",
      "/public/%e2%80",
      "/public/\xe9",
    ],
  ],
  ["P14", ["/admin%zz/x", "/admin%/x", "/admin%2", "/public/%u002e", "/public/%%32%65", "/public/x?a=%zz"]],
  ["★P15", ["/admin/x#/public", "/public/x#/../admin", "/public/x%23/../admin", "/public/x?a#b"]],
  [
    "★P17",
    [
      "http://evil.test/admin/x",
      "http://rig.test/public/../admin/x",
      "http:/admin/x",
      "gopher://x/",
      "ftp://rig.test/public/x",
      "http://rig.test@evil.test/public/x",
      "http://rig.test:81/public/x",
      "public/x",
      "@evil.test/public/x",
      "http://",
      "*",
    ],
  ],
  [
    "P19",
    [
      "/{x}/../admin",
      '/"/../admin',
      "/<>/x",
      "/public/`x",
      "/public/^/x",
      "/public/{x}",
      "/public/a|b",
      "/public/a b".replace(" ", "\x0b"),
    ],
  ],
];

for (const [id, targets] of REFUSED) runCases(() => rig, refused(id, targets));

const admin = (one: Rig): Readonly<Record<string, string>> => one.bearer({ scope: "admin" });

/** The target is judged as the path it stands for, and that very path is what the upstream gets. */
const JUDGED: readonly (readonly [string, string, string])[] = [
  ["★P10", "/%61dmin/x", "/admin/x"],
  ["★P10", "/adm%69n/x", "/admin/x"],
  ["★P10", "/%61%64%6d%69%6e/%78", "/admin/x"],
  ["P11", "/admin/%2561b", "/admin/%2561b"],
  ["★P12", "/admin/a%20b", "/admin/a%20b"],
  ["P13", "/admin/%ef%bc%8e%ef%bc%8e/", "/admin/%EF%BC%8E%EF%BC%8E/"],
  ["★P16", "/admin/x?/public/", "/admin/x?/public/"],
  ["★P16", "/admin/x?a=/public/../", "/admin/x?a=/public/../"],
];

for (const [id, target, forwarded] of JUDGED) {
  runCases(
    () => rig,
    [
      {
        id,
        title: `demands the admin scope for ${target}`,
        bytes: get(target),
        expect: { status: 401, code: "credentials_missing", upstream: "untouched" },
      },
      {
        id,
        title: `sends ${target} on as ${forwarded}`,
        request: (one) => ({ target, headers: admin(one) }),
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) => expect(seen[0]?.target).toBe(forwarded),
      },
    ],
  );
}

runCases(
  () => rig,
  [
    ...[
      "/ADMIN/x",
      "/Admin/x",
      "/aDmin",
      "/PUBLIC/x",
      "/nothing",
      "/",
      "/administer",
      "/publicx",
      "/adm%C4%B1n/x",
    ].map(
      (target): Case => ({
        id: "★P08",
        title: `knows no route for ${target}`,
        bytes: get(target),
        expect: { status: 404, code: "route_not_found", upstream: "untouched" },
      }),
    ),
    {
      id: "★P08",
      title: "keeps the case of the rest of a path",
      request: (one) => ({ target: "/admin/X", headers: admin(one) }),
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.target).toBe("/admin/X"),
    },
    {
      id: "★P16",
      title: "takes a query right after the prefix for no part of the path",
      bytes: get("/public?/admin"),
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => expect(seen[0]?.target).toBe("/public?/admin"),
    },
    {
      id: "★P17",
      title: "accepts the absolute form of its own authority and forwards the origin form",
      bytes: get("http://rig.test/public/x?y=1"),
      expect: { status: 200, upstream: 1 },
      also: ({ seen }) => {
        expect(seen[0]?.target).toBe("/public/x?y=1");
        expect(seen[0]?.all("host").length).toBe(1);
      },
    },
    {
      id: "★P17",
      title: "demands credentials for an absolute form, too",
      bytes: get("HTTP://rig.test/admin/x"),
      expect: { status: [400, 401], upstream: "untouched" },
    },
    {
      id: "P20",
      title: "refuses a path of 16 KiB",
      bytes: get(`/public/${"a".repeat(16_000)}`),
      expect: { status: [414, 431], upstream: "untouched" },
    },
    {
      id: "P20",
      title: "refuses 1,500 climbing segments at once",
      bytes: get(`/public/${"a/../".repeat(1_500)}x`),
      expect: { status: 400, upstream: "untouched" },
      also: ({ elapsedMs }) => expect(elapsedMs).toBeLessThan(1_000),
    },
  ],
);

describe("through the socket", () => {
  const parts = [
    "/",
    "..",
    "%2e",
    "%2f",
    ";",
    "%5c",
    "admin",
    "public",
    "%61",
    "%25",
    ".",
    "x",
    "?",
    "%00",
    "\\",
    "#",
  ];

  test("★P21 of 400 random targets on the wire none touches /admin without an admin", async () => {
    const before = rig.recorder.touchedAdmin.length;
    let state = 20_261_121;
    const pick = (count: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 16) % count;
    };
    const statuses = new Map<number, number>();
    for (let round = 0; round < 50; round++) {
      const targets = Array.from(
        { length: 8 },
        () =>
          `/public/${Array.from({ length: 1 + pick(5) }, () => parts[pick(parts.length)]).join(pick(2) === 0 ? "/" : "")}`,
      );
      const answers = await Promise.all(targets.map((target) => rig.call({ target })));
      for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    expect(rig.recorder.touchedAdmin.slice(before)).toEqual([]);
    expect([...statuses.keys()].sort()).toEqual([200, 400]);
    expect(statuses.get(200)).toBeGreaterThan(20);
  });
});

runCases(
  () => rig,
  [
    ...[
      ["/strip/a/b?c=d", "/a/b?c=d"],
      ["/strip?x", "/?x"],
      ["/strip", "/"],
      ["/strip/", "/"],
      ["/%73trip/a", "/a"],
      ["/strip/strip/a", "/strip/a"],
    ].map(
      ([target = "", forwarded]): Case => ({
        id: "P22",
        title: `sends ${target} on as ${forwarded}`,
        bytes: get(target),
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) => expect(seen[0]?.target).toBe(forwarded),
      }),
    ),
    ...[
      "/strip/../admin",
      "/strip/..%2fadmin",
      "/strip//admin",
      "/strip/%2e%2e/admin",
      "/strip\\admin",
      "/strip;/admin",
    ].map(
      (target): Case => ({
        id: "P22",
        title: `refuses ${target} before anything is cut off`,
        bytes: get(target),
        expect: { status: 400, upstream: "untouched" },
      }),
    ),
    {
      id: "P22",
      title: "takes /stripx for no path below /strip",
      bytes: get("/stripx/admin"),
      expect: { status: 404, upstream: "untouched" },
    },
    ...[
      "/public/../healthz",
      "/./healthz",
      "/healthz/../readyz",
      "/x/%2e%2e/healthz",
      "/healthz/.",
      "//healthz",
    ].map(
      (target): Case => ({
        id: "★P01",
        title: `finds no health answer behind ${target}`,
        bytes: get(target),
        expect: { status: 400, code: "request_target_invalid", upstream: "untouched" },
      }),
    ),
  ],
);
