// Methods: the one on the request line decides, and nothing can claim another.

import { afterAll, beforeAll, expect } from "vitest";
import { type Case, runCases } from "../support/cases.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    routes: `
  - { match: GET /only-get/*, to: app, auth: [jwt], scopes: [read] }
  - { match: POST /only-post/*, to: app, auth: [jwt], scopes: [read] }
  - { match: GET /cors/*, to: app, auth: [jwt], scopes: [read], cors: { origins: ["https://app.example.com"] } }
`,
  });
});
afterAll(() => rig?.stop());

const CLAIMS = [
  "X-HTTP-Method-Override",
  "X-Method-Override",
  "X-HTTP-Method",
  "X_HTTP_Method_Override",
] as const;

runCases(
  () => rig,
  [
    {
      id: "★M01",
      title: "asks of HEAD what it asks of GET",
      request: { method: "HEAD", target: "/only-get/x" },
      expect: { status: 401, upstream: "untouched" },
      also: ({ first, rest }) => expect([first?.body.length, rest.length]).toEqual([0, 0]),
    },
    {
      id: "★M01",
      title: "refuses HEAD to a caller without the scope",
      request: (one) => ({ method: "HEAD", target: "/only-get/x", headers: one.bearer({ scope: "other" }) }),
      expect: { status: 403, upstream: "untouched" },
    },
    {
      id: "★M01",
      title: "passes the length of an answer to HEAD and no body",
      request: (one) => ({ method: "HEAD", target: "/only-get/x", headers: one.bearer() }),
      answer: "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
      expect: { status: 200, upstream: 1 },
      also: ({ first, rest, seen }) => {
        expect([first?.header("content-length"), rest.length, seen[0]?.method]).toEqual(["1234", 0, "HEAD"]);
      },
    },
    ...CLAIMS.flatMap((name): Case[] => [
      {
        id: "★M02",
        title: `finds no route by the method that ${name} claims`,
        request: (one) => ({ target: "/only-post/x", headers: { ...one.bearer(), [name]: "POST" } }),
        expect: { status: 405, code: "method_not_allowed", upstream: "untouched" },
        also: ({ first }) => expect(first?.header("allow")).toBe("POST"),
      },
      {
        id: "★M02",
        title: `takes ${name} off the request`,
        request: { target: "/public/x", headers: { [name]: "DELETE" } },
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) => expect(seen[0]?.raw.toString().toLowerCase()).not.toContain("method"),
      },
    ]),
    {
      id: "★M02",
      title: "does not read _method from the query",
      request: (one) => ({ target: "/only-post/x?_method=POST", headers: one.bearer() }),
      expect: { status: 405, upstream: "untouched" },
    },
    ...["FOO", "get", "GeT", "G(T", "X".repeat(200), "GET\t"].map(
      (method): Case => ({
        id: "M04",
        title: `refuses the method ${JSON.stringify(method.slice(0, 12))}`,
        bytes: requestBytes({ method, target: "/public/x" }),
        expect: { status: [400, 405, 501], closed: true, upstream: "untouched" },
      }),
    ),
    {
      id: "M04",
      title: "refuses the preface of HTTP/2",
      bytes: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      expect: { status: [400, 505], closed: true, upstream: "untouched" },
    },
    ...["PURGE", "PROPFIND", "M-SEARCH", "SEARCH", "ACL", "DELETE", "POST"].map(
      (method): Case => ({
        id: "M05",
        title: `refuses ${method} where only GET is listed`,
        bytes: requestBytes({ method, target: "/only-get/x" }),
        expect: { status: 405, code: "method_not_allowed", upstream: "untouched" },
        also: ({ first }) => expect(first?.header("allow")).toBe("GET, HEAD"),
      }),
    ),
    ...["TRACE", "CONNECT"].map(
      (method): Case => ({
        id: "M05",
        title: `never forwards ${method}`,
        bytes: requestBytes({ method, target: method === "CONNECT" ? "rig.test:80" : "/public/x" }),
        expect: { status: [0, 400, 404, 405, 501], upstream: "untouched" },
      }),
    ),
    {
      id: "★M06",
      title: "judges an OPTIONS that is no preflight like any other method",
      request: { method: "OPTIONS", target: "/admin/x" },
      expect: { status: 401, upstream: "untouched" },
    },
    {
      id: "★M06",
      title: "lets no preflight past the guard of a route without CORS",
      request: {
        method: "OPTIONS",
        target: "/admin/x",
        headers: { Origin: "https://app.example.com", "Access-Control-Request-Method": "GET" },
      },
      expect: { status: [401, 403, 404, 405], upstream: "untouched" },
    },
    {
      id: "★M06",
      title: "answers a preflight at the edge where the route has CORS",
      request: {
        method: "OPTIONS",
        target: "/cors/x",
        headers: { Origin: "https://app.example.com", "Access-Control-Request-Method": "GET" },
      },
      expect: { status: [200, 204], upstream: "untouched" },
      also: ({ first }) =>
        expect(first?.header("access-control-allow-origin")).toBe("https://app.example.com"),
    },
    ...["GET", "DELETE"].map(
      (method): Case => ({
        id: "M07",
        title: `neither drops the body of ${method} in silence nor leaves it behind`,
        request: { method, target: "/public/x", body: "GET /admin/x HTTP/1.1\r\nHost: h\r\n\r\n" },
        expect: { status: [200, 400], upstream: 1 },
        also: ({ seen }) => {
          expect(seen[0]?.method).toBe(method);
          expect(seen[0]?.body.toString()).toBe("GET /admin/x HTTP/1.1\r\nHost: h\r\n\r\n");
        },
      }),
    ),
  ],
);

runCases(
  () => rig,
  [
    ...["GET", "HEAD", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"].map(
      (method): Case => ({
        id: "M07",
        title: `forwards ${method} with an empty body`,
        request: { method, target: "/public/x", body: "" },
        expect: { status: 200, upstream: 1 },
        also: ({ seen }) => expect([seen[0]?.method, seen[0]?.body.length]).toEqual([method, 0]),
      }),
    ),
    {
      id: "M07",
      title: "serves a client of HTTP/1.0 without chunks and ends the connection",
      bytes: "GET /public/x HTTP/1.0\r\n\r\n",
      answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      expect: { status: 200, closed: true, upstream: 1 },
      also: ({ first }) => expect([first?.all("transfer-encoding"), first?.text]).toEqual([[], "ok"]),
    },
  ],
);
