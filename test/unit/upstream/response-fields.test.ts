import { describe, expect, test } from "vitest";
import { parseResponseHead } from "../../../src/upstream/http1/response-head.ts";
import { type ResponseFieldsPolicy, responseFields } from "../../../src/upstream/response-fields.ts";
import { namesOf, valuesOf } from "../../support/requests.ts";

const POLICY: ResponseFieldsPolicy = {
  edits: { set: [], remove: [] },
  replaced: new Set(),
  keepPrivate: false,
  own: [],
};

function build(
  upstream: Readonly<Record<string, string | string[] | undefined>>,
  policy: Partial<ResponseFieldsPolicy> = {},
  status = 200,
): string[] {
  const lines = Object.entries(upstream).flatMap(([name, value]) =>
    [value ?? []].flat().map((one) => `${name}: ${one}\r\n`),
  );
  const head = parseResponseHead(`HTTP/1.1 ${status} Any\r\n${lines.join("")}`, "GET");
  return responseFields(head, { ...POLICY, ...policy });
}

test("the upstream's fields pass, repeated lines apart and in order", () => {
  expect(build({ "content-type": "text/plain", "set-cookie": ["a=1", "b=2, c"], date: "x" })).toEqual([
    "content-type",
    "text/plain",
    "set-cookie",
    "a=1",
    "set-cookie",
    "b=2, c",
    "date",
    "x",
  ]);
});

describe("not passed on are", () => {
  test.each([
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "trailer",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
  ])("%s", (name) => {
    expect(namesOf(build({ [name]: "chunked", "x-stay": "1" }))).toEqual(["x-stay"]);
  });

  test("fields that the upstream nominates in Connection", () => {
    expect(namesOf(build({ connection: ["close", "X-Hop"], "x-hop": "1", "x-stay": "1" }))).toEqual([
      "x-stay",
    ]);
  });

  test("fields that the gateway speaks for", () => {
    const policy = { replaced: new Set(["x-request-id"]), own: ["X-Request-Id", "ours"] };
    expect(valuesOf(build({ "x-request-id": "theirs" }, policy), "x-request-id")).toEqual(["ours"]);
  });

  test("the length of an answer that has no body", () => {
    expect(build({ "content-length": "0" }, {}, 204)).toEqual([]);
    expect(build({ "content-length": "5" }, {}, 304)).toEqual(["content-length", "5"]);
    expect(build({ "content-length": "0" })).toEqual(["content-length", "0"]);
  });
});

test("a nominated length stays, since it frames the body", () => {
  expect(build({ connection: "content-length", "content-length": "5" })).toEqual(["content-length", "5"]);
});

describe("Cache-Control of an answer to a key", () => {
  test("is private where the upstream says nothing", () => {
    expect(valuesOf(build({}, { keepPrivate: true }), "cache-control")).toEqual(["private"]);
  });
  test("is the upstream's where it says something", () => {
    expect(valuesOf(build({ "cache-control": "max-age=5" }, { keepPrivate: true }), "cache-control")).toEqual(
      ["max-age=5"],
    );
  });
  test("is private where the upstream's is taken away", () => {
    const edits = { set: [], remove: ["cache-control"] };
    expect(
      valuesOf(build({ "cache-control": "max-age=5" }, { keepPrivate: true, edits }), "cache-control"),
    ).toEqual(["private"]);
  });
});

test("edits of the route have the last word", () => {
  const edits = {
    set: [
      ["Server", "none"],
      ["X-Own", "edited"],
    ],
    remove: ["x-powered-by"],
  } as const;
  const sent = build(
    { server: ["a", "b"], "x-powered-by": "c", "x-stay": "1" },
    { edits, own: ["X-Own", "1"] },
  );
  expect(sent).toEqual(["x-stay", "1", "Server", "none", "X-Own", "edited"]);
});
