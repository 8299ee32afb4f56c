// The backend of EchoService over HTTP/1.1, as an unmodified API would run it: it trusts the identity headers and knows
// nothing of tokens.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import { type StringValue, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { EchoService } from "./echo-service.ts";

/** A running backend. */
export interface EchoBackend {
  readonly url: string;
  /** Calls that reached a handler, by method. */
  readonly calls: readonly string[];
  /** Calls of `Count` that were cancelled. */
  readonly cancelled: number;
  /** Lets every `Count` under way give its next message. */
  release(): void;
  stop(): Promise<void>;
}

const text = (value: string): StringValue => create(StringValueSchema, { value });

/** Starts the backend on a free port. */
export async function startEchoBackend(): Promise<EchoBackend> {
  const calls: string[] = [];
  let waiting: (() => void)[] = [];
  let cancelled = 0;
  const handle = (input: StringValue, context: HandlerContext): StringValue => {
    calls.push(context.method.name);
    context.responseHeader.set("x-backend", "echo");
    context.responseTrailer.set("x-served-by", "echo backend");
    return text(`${input.value} of ${context.requestHeader.get("x-user-id") ?? "nobody"}`);
  };
  async function* count(input: StringValue, context: HandlerContext): AsyncGenerator<StringValue> {
    calls.push(context.method.name);
    context.signal.addEventListener("abort", () => {
      cancelled++;
    });
    for (let index = 1; index <= Number(input.value) && !context.signal.aborted; index++) {
      yield text(String(index));
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        context.signal.addEventListener("abort", () => resolve());
      });
    }
  }
  const adapter = connectNodeAdapter({
    routes: (router) =>
      router.service(EchoService, {
        say: handle,
        admin: handle,
        limited: handle,
        down: handle,
        absent: handle,
        count,
        fail(input, context) {
          calls.push(context.method.name);
          const detail = { desc: StringValueSchema, value: { value: `about ${input.value}` } };
          throw new ConnectError("nicht möglich: 100 %", Code.FailedPrecondition, { "x-hint": "later" }, [
            detail,
          ]);
        },
      }),
  });
  const server = createServer(adapter).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    get cancelled() {
      return cancelled;
    },
    release() {
      const released = waiting;
      waiting = [];
      for (const next of released) next();
    },
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Routes of the rig for the service, in front of the upstreams `echo` and `dead`; methods not listed have none. */
export const ECHO_ROUTES = `
  - { match: grpc test.v1.EchoService/Say, to: echo, auth: [jwt, apiKey], scopes: [read] }
  - { match: grpc test.v1.EchoService/Fail, to: echo, auth: [jwt, apiKey], scopes: [read] }
  - { match: grpc test.v1.EchoService/Count, to: echo, auth: [jwt, apiKey], scopes: [read] }
  - { match: grpc test.v1.EchoService/Admin, to: echo, auth: [jwt], scopes: [admin] }
  - { match: grpc test.v1.EchoService/Limited, to: echo, auth: [jwt], scopes: [read], limit: 2/h per user }
  - { match: grpc test.v1.EchoService/Down, to: dead, auth: [jwt], scopes: [read] }
`;

/** Upstreams that the routes name. */
export function echoUpstreams(url: string): string {
  return `
  echo: { url: "${url}" }
  dead: { url: "http://127.0.0.1:1", timeouts: { connect: 300ms } }
`;
}
