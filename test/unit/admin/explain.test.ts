// The question of the admin port: its form, its bounds, and what is kept of it.

import { beforeEach, describe, expect, test } from "vitest";
import { createAdminApp } from "../../../src/admin/app.ts";
import { err, ok } from "../../../src/core/result.ts";
import type { AskedQuestion } from "../../../src/pipeline/asked.ts";
import type { Explanation } from "../../../src/pipeline/explanation.ts";
import { FakeGateway } from "../../support/admin.ts";

const ANSWER: Explanation = {
  version: 1,
  file: "gateway.yaml",
  verdict: {
    decision: "refuse",
    status: 404,
    code: "route_not_found",
    reason: "route_not_found",
    sentence: "no route matches",
    observed: [],
  },
  request: {
    method: "GET",
    target: "/",
    scheme: "http",
    protocol: "http",
    client: { address: "127.0.0.1", peer: "127.0.0.1", peerTrusted: false, from: "peer" },
    sizes: {
      targetBytes: { used: 1, most: 9 },
      headerBytes: { used: 1, most: 9 },
      headerCount: { used: 1, most: 9 },
    },
  },
  response: [],
  notes: [],
};

let gateway: FakeGateway;
let asked: AskedQuestion[];
let answer: () => Promise<ReturnType<typeof ok<Explanation>> | ReturnType<typeof err<string>>>;
let app: ReturnType<typeof createAdminApp>;

beforeEach(() => {
  gateway = new FakeGateway();
  asked = [];
  answer = async () => ok(ANSWER);
  app = createAdminApp({
    ...gateway.options(),
    explain: (question) => {
      asked.push(question);
      return answer();
    },
  });
});

async function ask(body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const init = { method: "POST", body: text, headers: { Host: "localhost", ...headers } };
  return await app.request("http://localhost/api/v1/explain", init);
}

async function detailOf(response: Response): Promise<unknown> {
  const { status, detail } = (await response.json()) as { readonly status: number; readonly detail: string };
  return `${status} ${detail}`;
}

describe("a question", () => {
  test("is handed on as it came, and its answer too", async () => {
    const question = {
      method: "GET",
      path: "/a",
      headers: { "X-A": "1" },
      as: { scopes: ["a"], claims: { org: { id: 1 } } },
    };
    const response = await ask(question);
    expect([response.status, await response.json()]).toEqual([200, ANSWER]);
    expect(asked).toEqual([{ ...question, headers: [["X-A", "1"]] }]);
    await ask({
      method: "GET",
      path: "/a",
      headers: [
        ["X-A", "1"],
        ["X-A", "2"],
      ],
    });
    expect(asked[1]?.headers).toEqual([
      ["X-A", "1"],
      ["X-A", "2"],
    ]);
  });

  test.each([
    ["no JSON", "400 expected a JSON object with `method` and `path`"],
    [[], "400 expected a JSON object with `method` and `path`"],
    [{ method: "GET" }, "400 `path` is missing or of another type than it has to be"],
    [{ method: "GET", path: "/a", secret: "s3cr3t" }, "400 unknown: `secret`"],
    [{ method: "GET", path: "/a", as: { scope: ["a"] } }, "400 unknown: `as.scope`"],
    [{ method: "GET", path: "/a", token: 7 }, "400 `token` is missing or of another type than it has to be"],
    [
      { method: "GET", path: "/a", nearMisses: 101 },
      "400 `nearMisses` is missing or of another type than it has to be",
    ],
  ])("is refused by name: %j", async (body, detail) => {
    expect(await detailOf(await ask(body))).toBe(detail);
    expect(asked).toEqual([]);
  });

  test("that can't be put to the file is refused with the reason", async () => {
    answer = async () => err("the file has no API key called x");
    expect(await detailOf(await ask({ method: "GET", path: "/a", key: "x" }))).toBe(
      "400 the file has no API key called x",
    );
    expect(gateway.audits).toEqual([]);
  });

  test("has 64 KiB at most", async () => {
    const response = await ask({ method: "GET", path: `/${"a".repeat(65_536)}` });
    expect(response.status).toBe(413);
    expect(asked).toEqual([]);
  });

  test("leaves an audit line without anything that was asked", async () => {
    await ask({ method: "GET", path: "/secret-path", token: "s3cr3t" });
    expect(gateway.audits).toEqual([
      { event: "explained", decision: "refuse", route: undefined, code: "route_not_found" },
    ]);
  });

  test("is refused of a web page, and with any other method", async () => {
    expect((await ask({ method: "GET", path: "/a" }, { Origin: "https://evil.example" })).status).toBe(403);
    expect(asked).toEqual([]);
    const got = await app.request("http://localhost/api/v1/explain", { headers: { Host: "localhost" } });
    expect([got.status, got.headers.get("Allow")]).toEqual([405, "POST"]);
  });
});

test("four questions are answered at a time, and one that failed makes room", async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  answer = () => promise;
  const question = { method: "GET", path: "/a" };
  const waiting = Array.from({ length: 4 }, () => ask(question));
  while (asked.length < 4) await new Promise((resolve) => setImmediate(resolve));
  const fifth = await ask(question);
  expect([fifth.status, fifth.headers.get("Retry-After")]).toEqual([503, "1"]);
  reject(new Error("broken"));
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([500, 500, 500, 500]);
  answer = async () => ok(ANSWER);
  expect((await ask(question)).status).toBe(200);
});
