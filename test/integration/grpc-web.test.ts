// gRPC-Web with the clients and servers that people use: connect-web on one side, connect-node over HTTP/1.1 on the other.

import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exchange } from "../support/raw-client.ts";
import { respond } from "../support/recorder.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";
import { ECHO_ROUTES, type EchoBackend, echoUpstreams, startEchoBackend } from "./echo-backend.ts";
import { EchoService } from "./echo-service.ts";
import { eventually } from "./upstream.ts";

const ORIGIN = "https://app.example.com";
let backend: EchoBackend;
let rig: Rig;

beforeAll(async () => {
  backend = await startEchoBackend();
  rig = await startRig({
    upstreams: echoUpstreams(backend.url),
    routes: `${ECHO_ROUTES}  - { match: grpc test.v1.Text/Call, to: app, public: true }`,
    sections: `cors: { origins: ["${ORIGIN}"] }`,
  });
});
afterAll(async () => {
  await rig?.stop();
  await backend?.stop();
});

/** A client whose calls carry these header fields. */
function client(headers: Readonly<Record<string, string>> = {}): Client<typeof EchoService> {
  const transport = createGrpcWebTransport({
    baseUrl: rig.gateway.url,
    interceptors: [
      (next) => (request) => {
        for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
        return next(request);
      },
    ],
  });
  return createClient(EchoService, transport);
}

const reader = (): Client<typeof EchoService> => client(rig.bearer());

/** The error that a call ends with. */
async function failure(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    return ConnectError.from(error);
  }
  throw new Error("the call did not fail");
}

const message = create(StringValueSchema, { value: "hello" });

describe("a call that is let through", () => {
  test("a unary call arrives with the caller's identity and comes back with header and trailer", async () => {
    let header = new Headers();
    let trailer = new Headers();
    const answer = await reader().say(message, {
      onHeader: (fields) => {
        header = fields;
      },
      onTrailer: (fields) => {
        trailer = fields;
      },
    });
    expect(answer.value).toBe("hello of user-1");
    expect([header.get("x-backend"), trailer.get("x-served-by")]).toEqual(["echo", "echo backend"]);
    expect(header.get("x-request-id")).toMatch(/^[\w-]{8,}$/);
  });

  test("an API key is as good as a token", async () => {
    const answer = await client({ "X-API-Key": rig.keys.reader }).say(message);
    expect(answer.value).toBe("hello of reader-subject");
  });

  test("a message of a megabyte passes both ways", async () => {
    const value = "m".repeat(1_048_576);
    expect((await reader().say({ value })).value).toBe(`${value} of user-1`);
  });

  test("the messages of a stream arrive one by one, each before the next was sent", async () => {
    const seen: string[] = [];
    for await (const { value } of reader().count({ value: "4" })) {
      seen.push(value);
      // Only now does the backend go on: a gateway that collects messages would never get here.
      backend.release();
    }
    expect(seen).toEqual(["1", "2", "3", "4"]);
  });

  test("a stream that the caller leaves is cancelled at the backend", async () => {
    const before = backend.cancelled;
    const abort = new AbortController();
    const error = await failure(
      (async () => {
        for await (const _ of reader().count({ value: "10" }, { signal: abort.signal })) abort.abort();
      })(),
    );
    expect(error.code).toBe(Code.Canceled);
    await eventually("the backend's handler hears of it", () => backend.cancelled > before, 1_000);
  });

  test("the caller's deadline is the backend's, too", async () => {
    const error = await failure(
      (async () => {
        for await (const _ of reader().count({ value: "10" }, { timeoutMs: 150 }));
      })(),
    );
    expect(error.code).toBe(Code.DeadlineExceeded);
  });

  test("the backend's own error arrives with message, metadata and details", async () => {
    const error = await failure(reader().fail(message));
    expect([error.code, error.rawMessage]).toEqual([Code.FailedPrecondition, "nicht möglich: 100 %"]);
    expect(error.metadata.get("x-hint")).toBe("later");
    expect(error.findDetails(StringValueSchema).map(({ value }) => value)).toEqual(["about hello"]);
  });
});

describe("a call that is refused", () => {
  const refusals: readonly (readonly [string, Code, string, () => Promise<unknown>])[] = [
    ["without a credential", Code.Unauthenticated, "credentials_missing", () => client().say(message)],
    [
      "with a bad token",
      Code.Unauthenticated,
      "token_invalid",
      () => client({ Authorization: "Bearer a.b.c" }).say(message),
    ],
    ["without the scope", Code.PermissionDenied, "scope_insufficient", () => reader().admin(message)],
    ["of a method without a route", Code.Unimplemented, "route_not_found", () => reader().absent(message)],
    ["to an upstream that is down", Code.Unavailable, "upstream_unreachable", () => reader().down(message)],
  ];

  test.each(refusals)("%s is the client's error code %i with the word %s", async (_, code, word, call) => {
    const before = backend.calls.length;
    const error = await failure(call());
    expect([error.code, error.rawMessage.split(":")[0]]).toEqual([code, word]);
    expect(error.metadata.get("x-request-id")).toMatch(/^[\w-]{8,}$/);
    expect(backend.calls.length).toBe(before);
  });

  test("over the limit is ResourceExhausted, with the seconds to wait", async () => {
    const one = client(rig.bearer({ sub: "eager" }));
    await one.limited(message);
    await one.limited(message);
    const error = await failure(one.limited(message));
    expect([error.code, error.rawMessage.split(":")[0]]).toEqual([Code.ResourceExhausted, "rate_limited"]);
    expect(Number(error.metadata.get("retry-after"))).toBeGreaterThan(0);
  });

  test("a stream is refused before its first message", async () => {
    const before = backend.calls.length;
    const error = await failure(
      (async () => {
        for await (const _ of client().count({ value: "3" }));
      })(),
    );
    expect(error.code).toBe(Code.Unauthenticated);
    expect(backend.calls.length).toBe(before);
  });
});

describe("for a browser", () => {
  const call = (method: string, headers: Readonly<Record<string, string>>) =>
    fetch(`${rig.gateway.url}/test.v1.EchoService/Say`, { method, headers });

  test("the preflight of a call is answered at the edge, without credentials", async () => {
    const wanted = "authorization,content-type,grpc-timeout,x-grpc-web,x-user-agent";
    const response = await call("OPTIONS", {
      Origin: ORIGIN,
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": wanted,
    });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(response.headers.get("access-control-allow-methods")).toContain("POST");
    const allowed = (response.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(", ");
    expect(allowed).toEqual(expect.arrayContaining(wanted.split(",")));
  });

  test("a preflight of another origin gets no permission", async () => {
    const response = await call("OPTIONS", {
      Origin: "https://evil.example.com",
      "Access-Control-Request-Method": "POST",
    });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test.each([
    ["a refusal", () => ({})],
    ["an answer", () => rig.bearer()],
  ] as const)("%s may be read, its status fields included", async (_, headers) => {
    const response = await fetch(`${rig.gateway.url}/test.v1.EchoService/Say`, {
      method: "POST",
      headers: {
        Origin: ORIGIN,
        "Content-Type": "application/grpc-web+proto",
        "X-Grpc-Web": "1",
        ...headers(),
      },
      body: new Uint8Array([0, 0, 0, 0, 0]),
    });
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    expect(response.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    const exposed = (response.headers.get("access-control-expose-headers") ?? "").toLowerCase();
    for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id"])
      expect(exposed.split(/,\s*/)).toContain(name);
  });
});

test("the base64 of gRPC-Web-Text passes untouched both ways", async () => {
  // Two separately padded runs, as the protocol allows: decoding and encoding again would not give them back.
  const request = "AAAAAAMKAUE=AAAAAAA=";
  const answer = "AAAAAAMKAUI=gAAAAA9ncnBjLXN0YXR1czowDQo=";
  const type = "application/grpc-web-text+proto";
  rig.recorder.script(respond(200, { "Content-Type": type }, answer));
  const { responses } = await exchange(
    rig.port,
    requestBytes({
      method: "POST",
      target: "/test.v1.Text/Call",
      headers: { "Content-Type": type, Accept: type, "X-Grpc-Web": "1" },
      body: request,
    }),
  );
  rig.recorder.script(undefined);
  expect(rig.recorder.last?.body.toString()).toBe(request);
  expect(rig.recorder.last?.header("accept")).toBe(type);
  expect([responses[0]?.header("content-type"), responses[0]?.text]).toEqual([type, answer]);
});
