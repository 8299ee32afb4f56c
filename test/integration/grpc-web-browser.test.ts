// gRPC-Web in a real browser: a page of another origin loads connect-web and calls the service through the gateway, so
// that preflights, exposed fields and streams meet the browser's own rules. Needs Chromium on PATH.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Rig, startRig } from "../support/rig.ts";
import { ECHO_ROUTES, type EchoBackend, echoUpstreams, startEchoBackend } from "./echo-backend.ts";

const CHROMIUM = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
  .find(existsSync);
const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));
const SERVICE = new URL("echo-service.ts", import.meta.url);
const ANSWER_WITHIN_MS = 30_000;

const IMPORTS = Object.fromEntries(
  [
    ["@bufbuild/protobuf", ""],
    ["@bufbuild/protobuf", "codegenv2"],
    ["@bufbuild/protobuf", "wire"],
    ["@bufbuild/protobuf", "wkt"],
    ["@connectrpc/connect", ""],
    ["@connectrpc/connect", "protocol"],
    ["@connectrpc/connect", "protocol-connect"],
    ["@connectrpc/connect", "protocol-grpc-web"],
    ["@connectrpc/connect-web", ""],
  ].map(([name, part = ""]) => [
    join(name ?? "", part),
    `/modules/${join(name ?? "", "dist/esm", part, "index.js")}`,
  ]),
);

/** What the page does, as the text of a module. */
function script(gateway: string, token: string): string {
  return `
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { EchoService } from "/echo-service.js";

const client = (authorization) => createClient(EchoService, createGrpcWebTransport({
  baseUrl: ${JSON.stringify(gateway)},
  interceptors: [(next) => (request) => {
    if (authorization) request.header.set("Authorization", authorization);
    return next(request);
  }],
}));
const reader = client("Bearer ${token}");
const outcome = async (call) => {
  try { return (await call).value; }
  catch (error) {
    const { code, rawMessage, metadata } = ConnectError.from(error);
    return { code: Code[code], message: rawMessage, requestId: metadata.has("x-request-id"),
      details: ConnectError.from(error).findDetails(StringValueSchema).map((detail) => detail.value) };
  }
};
const result = {};
try {
  result.said = await outcome(reader.say({ value: "hello" }));
  result.anonymous = await outcome(client().say({ value: "hello" }));
  result.denied = await outcome(reader.admin({ value: "hello" }));
  result.failed = await outcome(reader.fail({ value: "it" }));
  result.streamed = [];
  for await (const { value } of reader.count({ value: "3" })) {
    result.streamed.push(value);
    await fetch("/release", { method: "POST" });
  }
} catch (error) { result.broken = String(error); }
await fetch("/result", { method: "POST", body: JSON.stringify(result) });
`;
}

let backend: EchoBackend;
let page: Server;
let rig: Rig;
let profile: string;
let browser: ChildProcess | undefined;
const result = Promise.withResolvers<Readonly<Record<string, unknown>>>();

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? "/";
  if (path === "/release") {
    request.resume();
    backend.release();
    response.end();
  } else if (path === "/result") {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    result.resolve(JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>);
    response.end();
  } else if (path === "/") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(
      `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script><script type="module" src="/page.js"></script>`,
    );
  } else {
    const text = await moduleText(path);
    response.writeHead(text === undefined ? 404 : 200, { "Content-Type": "text/javascript; charset=utf-8" });
    response.end(text);
  }
}

async function moduleText(path: string): Promise<string | undefined> {
  if (path === "/page.js") return script(rig.gateway.url, rig.token());
  if (path === "/echo-service.js") return stripTypeScriptTypes(await readFile(SERVICE, "utf8"));
  return path.startsWith("/modules/") && !path.includes("..")
    ? readFile(join(MODULES, path.slice("/modules/".length)), "utf8")
    : undefined;
}

beforeAll(async () => {
  if (CHROMIUM === undefined) return;
  profile = await mkdtemp(join(tmpdir(), "gatewarden-browser-"));
  backend = await startEchoBackend();
  page = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => result.reject(error));
  }).listen(0, "127.0.0.1");
  await once(page, "listening");
  const origin = `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
  rig = await startRig({
    upstreams: echoUpstreams(backend.url),
    routes: ECHO_ROUTES,
    sections: `cors: { origins: ["${origin}"] }`,
  });
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-dev-shm-usage",
  ];
  // A group of its own, so that the browser's helper processes end with it.
  browser = spawn(CHROMIUM, [...flags, `--user-data-dir=${profile}`, origin], {
    stdio: "ignore",
    detached: true,
  });
  browser.on("error", (error) => result.reject(error));
  browser.on("exit", (code) => result.reject(new Error(`the browser ended with ${code}`)));
  setTimeout(() => result.reject(new Error("the page did not answer")), ANSWER_WITHIN_MS).unref();
});

afterAll(async () => {
  if (browser?.pid !== undefined && browser.exitCode === null && browser.signalCode === null) {
    const gone = once(browser, "exit");
    process.kill(-browser.pid, "SIGKILL");
    await gone;
  }
  await rig?.stop();
  await backend?.stop();
  page?.closeAllConnections();
  page?.close();
  if (profile !== undefined)
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

test.skipIf(CHROMIUM === undefined)(
  "a page of another origin calls, streams, and reads every refusal",
  async () => {
    expect(await result.promise).toEqual({
      said: "hello of user-1",
      anonymous: {
        code: "Unauthenticated",
        message: expect.stringMatching(/^credentials_missing/) as string,
        requestId: true,
        details: [],
      },
      denied: {
        code: "PermissionDenied",
        message: expect.stringMatching(/^scope_insufficient/) as string,
        requestId: true,
        details: [],
      },
      failed: {
        code: "FailedPrecondition",
        message: "nicht möglich: 100 %",
        requestId: true,
        details: ["about it"],
      },
      streamed: ["1", "2", "3"],
    });
  },
  ANSWER_WITHIN_MS + 5_000,
);
