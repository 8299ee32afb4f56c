// What becomes of a request and its answer on the way through, seen by Node's own HTTP client and server, and by a raw
// backend where the end of a connection is the point.

import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { chunk, type Recorder, respond, startRecorder } from "../support/recorder.ts";
import { StuckPort } from "../support/stuck-port.ts";
import {
  type Description,
  describe as describeRequest,
  eventually,
  startUpstream,
  type TestUpstream,
} from "./upstream.ts";

const BODY_LIMIT = 64 * 1024;

let upstream: TestUpstream;
let raw: Recorder;
let stuck: StuckPort;
let gateway: TestGateway;
let trusting: TestGateway;

beforeAll(async () => {
  [upstream, raw, stuck] = await Promise.all([startUpstream(), startRecorder(), StuckPort.open()]);
  const short = "timeouts: { connect: 300ms, headers: 300ms, idle: 300ms }";
  const yaml = `listen: 127.0.0.1:0
limits: { body: ${BODY_LIMIT}B }
apiKeys:
  - { id: caller, value: "\${CALLER_KEY}", scopes: [read] }
  - { id: counted, value: "\${COUNTED_KEY}", limits: { rate: 1000/min, costFrom: responseHeader } }
upstreams:
  app: "${upstream.url}"
  hasty: { url: "${upstream.url}", ${short} }
  raw: { url: "${raw.url}", timeouts: { idle: 400ms } }
  based: "${upstream.url}/base/v1"
  keep: { url: "${upstream.url}", hostHeader: keep }
  fixed: { url: "${upstream.url}", hostHeader: internal.example.com }
  dead: "http://127.0.0.1:1"
  stuck: { url: "http://127.0.0.1:${stuck.port}", ${short} }
routes:
  - { match: /app/*, to: app, public: true }
  - { match: /hasty/*, to: hasty, public: true }
  - { match: /raw/*, to: raw, public: true }
  - { match: /keyed/*, to: app, auth: [apiKey], scopes: [read] }
  - { match: /strip/me/*, to: app, public: true, stripPrefix: /strip/me }
  - { match: /based/*, to: based, public: true }
  - { match: /keep/*, to: keep, public: true }
  - { match: /fixed/*, to: fixed, public: true }
  - { match: /dead/*, to: dead, public: true }
  - { match: /stuck/*, to: stuck, public: true }
  - { match: /total/*, to: app, public: true, timeouts: { headers: 5s, idle: 5s, total: 400ms } }
  - match: /edits/*
    to: app
    public: true
    headers:
      request: { set: { X-Region: north }, remove: [X-Debug] }
      response: { set: { Cache-Control: no-store, X-Frame-Options: DENY }, remove: [Server] }
`;
  const env = {
    CALLER_KEY: "a-key-of-an-existing-api-0123456789",
    COUNTED_KEY: "another-key-of-an-existing-api-0123456789",
  };
  [gateway, trusting] = await Promise.all([
    startGateway(yaml, { env }),
    startGateway(`trustedProxies: [127.0.0.0/8]\n${yaml}`, { env }),
  ]);
});
afterAll(async () => {
  await Promise.all([gateway?.stop(), trusting?.stop()]);
  stuck?.close();
  await Promise.all([upstream?.stop(), raw?.stop()]);
});
afterEach(() => {
  upstream.handler = describeRequest;
  raw.script(undefined);
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Lower-case names, as they came. */
  readonly names: readonly string[];
  readonly text: string;
}

/** One request of Node's client, without a connection pool unless the options bring one. */
function send(path: string, options: RequestOptions = {}, body?: string, one = gateway): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(`${one.url}${path}`, { agent: false, ...options });
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (data: Buffer) => chunks.push(data));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          names: response.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()),
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    outgoing.end(body);
  });
}

/** The request as the backend saw it. */
async function seenBy(
  path: string,
  options: RequestOptions = {},
  body?: string,
  one = gateway,
): Promise<Description> {
  const answer = await send(path, options, body, one);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.text) as Description;
}

const codeOf = (answer: Answer): unknown => (JSON.parse(answer.text) as { readonly code?: unknown }).code;

describe("the request", () => {
  test("arrives as it was sent: method, path, query, body", async () => {
    const seen = await seenBy(
      "/app/caf%C3%A9/a,b?x=1&y=%2F%20&x=2",
      { method: "PATCH", headers: { "Content-Type": "application/merge-patch+json" } },
      '{"a":"ü"}',
    );
    expect([seen.method, seen.url, seen.body]).toEqual([
      "PATCH",
      "/app/caf%C3%A9/a,b?x=1&y=%2F%20&x=2",
      '{"a":"ü"}',
    ]);
    expect(seen.headers["content-type"]).toBe("application/merge-patch+json");
    expect(seen.headers["content-length"]).toBe("10");
  });

  test("leaves hop-by-hop fields behind, and those that Connection names", async () => {
    const { headers } = await seenBy("/app/x", {
      headers: {
        Connection: "close, X-Only-Here, X-Forwarded-For, X-Request-Id",
        "X-Only-Here": "1",
        "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive",
        "Proxy-Authorization": "Basic Zm9vOmJhcg==",
        TE: "trailers",
        "X-Stays": "1",
      },
    });
    for (const name of ["x-only-here", "keep-alive", "proxy-connection", "proxy-authorization", "te"])
      expect([name, headers[name]]).toEqual([name, undefined]);
    expect([headers["x-stays"], headers["x-forwarded-for"]]).toEqual(["1", "127.0.0.1"]);
    expect(headers["x-request-id"]).toMatch(/^[\w-]{8,}$/);
  });

  test("loses the prefix that the route strips, and says which", async () => {
    const seen = await seenBy("/strip/me/deep/er?q=1");
    expect([seen.url, seen.headers["x-forwarded-prefix"]]).toEqual(["/deep/er?q=1", "/strip/me"]);
    expect((await seenBy("/strip/me")).url).toBe("/");
  });

  test("gets the path of the upstream's URL before its own", async () => {
    expect((await seenBy("/based/x?q=1")).url).toBe("/base/v1/based/x?q=1");
  });

  test("gets and loses the fields that the route edits", async () => {
    const { headers } = await seenBy("/edits/x", { headers: { "X-Region": "forged", "X-Debug": "1" } });
    expect([headers["x-region"], headers["x-debug"]]).toEqual(["north", undefined]);
  });

  test.each([
    ["/app/x", undefined],
    ["/keep/x", "shop.example.com:8443"],
    ["/fixed/x", "internal.example.com"],
  ])("to %s names the host that the upstream's hostHeader says", async (path, host) => {
    const { headers } = await seenBy(path, { headers: { Host: "shop.example.com:8443" } });
    expect([headers.host, headers["x-forwarded-host"]]).toEqual([
      host ?? upstream.url.slice("http://".length),
      "shop.example.com:8443",
    ]);
  });
});

describe("forwarding fields", () => {
  const claimed = {
    Host: "shop.example.com",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "public.example.com",
    "X-Forwarded-Port": "8443",
    "X-Real-IP": "203.0.113.7",
    Forwarded: "for=203.0.113.7;proto=https",
    "X-Request-Id": "given-by-the-proxy",
  };
  const names = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-real-ip",
    "forwarded",
  ];

  test("of a client that nobody trusts are replaced by what the gateway knows", async () => {
    const { headers } = await seenBy("/app/x", { headers: claimed });
    expect(names.map((name) => headers[name])).toEqual([
      "127.0.0.1",
      "http",
      "shop.example.com",
      "80",
      undefined,
      undefined,
    ]);
    expect(headers["x-request-id"]).not.toBe("given-by-the-proxy");
    expect(headers.via).toBe("1.1 gatewarden");
  });

  test("of a trusted proxy are continued", async () => {
    const answer = await send("/app/x", { headers: { ...claimed, Via: "1.1 edge" } }, undefined, trusting);
    const { headers } = JSON.parse(answer.text) as Description;
    expect(names.map((name) => headers[name])).toEqual([
      "203.0.113.7, 127.0.0.1",
      "https",
      "public.example.com",
      "8443",
      undefined,
      undefined,
    ]);
    expect([headers["x-request-id"], answer.headers["x-request-id"]]).toEqual([
      "given-by-the-proxy",
      "given-by-the-proxy",
    ]);
    expect(headers.via).toBe("1.1 edge, 1.1 gatewarden");
  });

  test("of a trusted proxy give the log lines of a failure the proxy's request id", async () => {
    await send("/dead/x", { headers: claimed }, undefined, trusting);
    const ofRequest = (type: string) =>
      trusting.waitForLog(
        (line) => line.type === type && line.requestId === "given-by-the-proxy" && line.upstream === "dead",
      );
    expect((await ofRequest("access"))?.status).toBe(502);
    expect((await ofRequest("system"))?.event).toBe("upstream_failed");
  });

  test("let a request that goes round in circles be noticed and refused", async () => {
    // The backend is a balancer that points back at the gateway.
    upstream.handler = (request, response) => {
      const again = httpRequest(`${gateway.url}${request.url}`, { headers: request.headers, agent: false });
      again.on("error", () => response.destroy());
      again.on("response", (answer) => {
        response.writeHead(answer.statusCode ?? 502, {
          "Content-Type": answer.headers["content-type"] ?? "",
        });
        answer.pipe(response);
      });
      again.end();
    };
    const before = upstream.requests;
    const answer = await send("/app/round");
    expect([answer.status, codeOf(answer)]).toEqual([502, "upstream_invalid"]);
    expect(upstream.requests - before).toBeLessThanOrEqual(5);
    const logged = await gateway.waitForLog((line) => line.reason === "proxy_loop");
    expect(logged?.event).toBe("upstream_failed");
  });
});

describe("the answer", () => {
  test("leaves hop-by-hop fields behind and keeps all others, repeated ones apart", async () => {
    upstream.handler = (_, response) => {
      response.setHeader("Connection", "keep-alive, X-Internal");
      response.setHeader("X-Internal", "1");
      response.setHeader("Proxy-Authenticate", "Basic");
      response.setHeader("Set-Cookie", ["a=1; Path=/", "b=2; HttpOnly"]);
      response.setHeader("ETag", 'W/"7"');
      response.end("body");
    };
    const answer = await send("/app/x");
    expect(answer.headers["set-cookie"]).toEqual(["a=1; Path=/", "b=2; HttpOnly"]);
    expect([answer.headers.etag, answer.headers["content-length"]]).toEqual(['W/"7"', "4"]);
    for (const name of ["x-internal", "proxy-authenticate"]) expect(answer.names).not.toContain(name);
  });

  test("limits that only API keys have are said to be counted in this process, too", () => {
    expect(gateway.logs.filter(({ event }) => event === "limits_in_process")).toHaveLength(1);
  });

  test("limit fields of the upstream pass where neither the route nor an API key brings limits", async () => {
    upstream.handler = (_, response) => {
      response.setHeader("RateLimit-Limit", "7");
      response.end("body");
    };
    const publicly = await send("/app/x");
    expect(publicly.headers["ratelimit-limit"]).toBe("7");
    const keyed = await send("/keyed/x", { headers: { "X-API-Key": "a-key-of-an-existing-api-0123456789" } });
    expect([keyed.status, keyed.headers["ratelimit-limit"]]).toEqual([200, undefined]);
  });

  test("gets and loses the fields that the route edits", async () => {
    upstream.handler = (_, response) => {
      response.setHeader("Server", "internal/1.2");
      response.setHeader("Cache-Control", "public, max-age=60");
      response.end("body");
    };
    const { headers, names } = await send("/edits/x");
    expect([headers.server, headers["cache-control"], headers["x-frame-options"]]).toEqual([
      undefined,
      "no-store",
      "DENY",
    ]);
    expect(names.filter((name) => name === "cache-control").length).toBe(1);
  });

  test.each([
    ["HEAD", 200, { "Content-Length": "1234" }, "1234"],
    ["GET", 204, {}, undefined],
    ["GET", 304, { ETag: '"7"' }, undefined],
    ["PUT", 204, {}, undefined],
  ] as const)("to %s with %i has no body, and its connection is used again", async (method, status, fields, length) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    upstream.handler = (request, response) => {
      request.resume();
      response.writeHead(status, fields).end();
    };
    const first = await send("/app/x", { method, agent });
    expect([first.status, first.text, first.headers["content-length"]]).toEqual([status, "", length]);
    upstream.handler = (_, response) => void response.end("next");
    expect((await send("/app/y", { agent })).text).toBe("next");
    expect(Object.values(agent.freeSockets).flat().length).toBe(1);
    agent.destroy();
  });

  test("may begin before the request has ended, and both go on side by side", async () => {
    upstream.handler = (request, response) => {
      response.writeHead(200, { "Content-Type": "text/plain" });
      request.pipe(response);
    };
    const outgoing = httpRequest(`${gateway.url}/app/both`, { method: "POST", agent: false });
    outgoing.write("first;");
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    response.setEncoding("utf8");
    expect(await once(response, "data")).toEqual(["first;"]);
    outgoing.write("second;");
    expect(await once(response, "data")).toEqual(["second;"]);
    outgoing.end();
    await once(response.resume(), "end");
  });

  test("that comes early and final reaches a client that is still sending", async () => {
    upstream.handler = (_, response) => {
      response.writeHead(409, { Connection: "close" }).end("enough");
    };
    const outgoing = httpRequest(`${gateway.url}/app/early`, { method: "POST", agent: false });
    outgoing.on("error", () => undefined);
    outgoing.write("the beginning");
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    const [text] = await once(response.setEncoding("utf8"), "data");
    expect([response.statusCode, text]).toEqual([409, "enough"]);
    outgoing.destroy();
    await eventually("the backend's exchange has ended", () => upstream.openExchanges === 0);
  });
});

describe("Expect: 100-continue", () => {
  const expecting = (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const outgoing = httpRequest(`${gateway.url}${path}`, {
      method: "POST",
      agent: false,
      headers: { Expect: "100-continue", "Content-Length": "5", ...headers },
    });
    let continued = false;
    outgoing.on("continue", () => {
      continued = true;
      outgoing.end("hello");
    });
    outgoing.on("error", () => undefined);
    outgoing.flushHeaders();
    return { outgoing, continued: () => continued };
  };

  test("is granted to a caller who may, and the body flows", async () => {
    const { outgoing, continued } = expecting("/keyed/x", {
      "X-API-Key": "a-key-of-an-existing-api-0123456789",
    });
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    const chunks = await response.toArray();
    expect([continued(), response.statusCode]).toEqual([true, 200]);
    expect((JSON.parse(Buffer.concat(chunks).toString()) as Description).body).toBe("hello");
  });

  test("is not granted to a caller who may not: the refusal comes instead, and no body", async () => {
    const before = upstream.requests;
    const { outgoing, continued } = expecting("/keyed/x");
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    response.resume();
    expect([continued(), response.statusCode, upstream.requests - before]).toEqual([false, 401, 0]);
    outgoing.destroy();
  });
});

describe("an upstream that fails", () => {
  test.each([
    ["refuses the connection", "/dead/x", 502, "upstream_unreachable", "connection_refused"],
    ["never accepts the connection", "/stuck/x", 504, "upstream_timeout", "connect_timeout"],
    ["never begins its answer", "/hasty/silent", 504, "upstream_timeout", "headers_timeout"],
    ["takes longer than the route's total", "/total/silent", 504, "upstream_timeout", "total_timeout"],
  ])("because it %s is answered for: %s is %i %s", async (_, path, status, code, reason) => {
    upstream.handler = (request) => void request.resume();
    const logged = gateway.logs.length;
    const answer = await send(path);
    expect([answer.status, codeOf(answer), answer.headers["content-type"]]).toEqual([
      status,
      code,
      "application/problem+json",
    ]);
    const line = await gateway.waitForLog((one) => one.event === "upstream_failed", 1_000, logged);
    expect(line?.reason).toBe(reason);
  });

  const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
  test.each([
    ["a reset in a chunked body", [`${head}Transfer-Encoding: chunked\r\n\r\n`, chunk("half"), 20], "reset"],
    ["an end in a chunked body", [`${head}Transfer-Encoding: chunked\r\n\r\n`, chunk("half"), 20], "end"],
    ["an end before the announced length", [`${head}Content-Length: 100\r\n\r\nhalf`, 20], "end"],
    ["silence in the middle", [`${head}Content-Length: 100\r\n\r\nhalf`], "nothing"],
  ] as const)("in the middle of its answer by %s leaves the client no whole answer", async (_, bytes, end) => {
    raw.script(async ({ send: sendBytes, socket }) => {
      await sendBytes(bytes);
      if (end === "reset") socket.resetAndDestroy();
      else if (end === "end") socket.end();
    });
    const response = await fetch(`${gateway.url}/raw/x`);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  test("by exceeding the total in the middle of its answer leaves the client no whole answer", async () => {
    upstream.handler = (_, response) => {
      const timer = setInterval(() => response.write("more "), 50);
      response.on("close", () => clearInterval(timer));
    };
    const started = performance.now();
    const response = await fetch(`${gateway.url}/total/endless`);
    await expect(response.text()).rejects.toThrow();
    expect(performance.now() - started).toBeLessThan(2_000);
    await eventually("the backend hears of it", () => upstream.openExchanges === 0);
  });

  describe("by closing a kept connection just as it is used again", () => {
    /** Connections carry one answer; the second request on one resets it. */
    function closeOnSecondUse(): void {
      const used = new Set<number>();
      raw.script(({ request, socket, send: sendBytes }) => {
        if (used.has(request.connection)) {
          socket.resetAndDestroy();
          return;
        }
        used.add(request.connection);
        return sendBytes(respond(200, {}, request.method === "HEAD" ? "" : "served"));
      });
    }

    test.each([
      "GET",
      "HEAD",
      "OPTIONS",
    ])("is not noticed by a %s, which is sent once more", async (method) => {
      closeOnSecondUse();
      expect((await send("/raw/first")).status).toBe(200);
      const mark = raw.mark();
      expect((await send("/raw/again", { method })).status).toBe(200);
      expect(raw.seenSince(mark).map((one) => one.method)).toEqual([method, method]);
    });

    test.each([
      ["POST", "a body"],
      ["POST", undefined],
      ["PUT", "a body"],
      ["DELETE", undefined],
      ["PATCH", "a body"],
    ])("is told to a %s with %s, which is never sent twice", async (method, body) => {
      closeOnSecondUse();
      expect((await send("/raw/first")).status).toBe(200);
      const mark = raw.mark();
      const headers = body === undefined ? { "Content-Length": "0" } : {};
      const answer = await send("/raw/again", { method, headers }, body);
      expect([answer.status, codeOf(answer)]).toEqual([502, "upstream_unreachable"]);
      expect(raw.seenSince(mark).length).toBe(1);
    });
  });
});

describe("a body", () => {
  const sized = (bytes: number) =>
    fetch(`${gateway.url}/app/in`, { method: "POST", body: Buffer.alloc(bytes, "b") });
  const chunked = (bytes: number) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let left = bytes; left > 0; left -= 16_384)
          controller.enqueue(new Uint8Array(Buffer.alloc(Math.min(16_384, left), "b")));
        controller.close();
      },
    });
    return fetch(`${gateway.url}/app/in`, { method: "POST", body, duplex: "half" } as RequestInit);
  };

  test.each([
    ["sized", sized],
    ["chunked", chunked],
  ] as const)("that is %s passes up to the limit exactly", async (_, post) => {
    const response = await post(BODY_LIMIT);
    expect(response.status).toBe(200);
    expect(((await response.json()) as Description).body.length).toBe(BODY_LIMIT);
  });

  test("that is announced one byte too long is refused before the upstream hears of it", async () => {
    const before = upstream.requests;
    const response = await sized(BODY_LIMIT + 1);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      413,
      "body_too_large",
    ]);
    expect(upstream.requests).toBe(before);
  });

  test("that grows too long is refused, and the upstream never sees it end", async () => {
    let ended = false;
    upstream.handler = (request) => {
      request.resume();
      request.on("end", () => {
        ended = true;
      });
    };
    const response = await chunked(BODY_LIMIT + 1);
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
      413,
      "body_too_large",
    ]);
    await eventually("the upstream's exchange has broken off", () => upstream.openExchanges === 0);
    expect(ended).toBe(false);
  });
});

test("after all this no gateway has logged a defect", () => {
  for (const one of [gateway, trusting]) {
    expect(one.logs.filter((line) => line.event === "defect")).toEqual([]);
    expect(one.stderr).toBe("");
  }
});
