// gRPC-Web: refusals that a browser's client understands, and frames that pass untouched.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, runCases } from "../support/cases.ts";
import { exchange } from "../support/raw-client.ts";
import { chunk } from "../support/recorder.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({
    upstreams: `
  dead: { url: "http://127.0.0.1:1", timeouts: { connect: 300ms } }`,
    routes: `
  - match: grpc pkg.Service/Method
    to: app
    auth: [jwt]
    scopes: [read]
    cors: { origins: ["https://app.example.com"], methods: [POST], headers: [content-type, x-grpc-web, authorization], expose: [grpc-status, grpc-message, grpc-status-details-bin] }
  - { match: grpc pkg.Service/Dead, to: dead, public: true }
  - { match: grpc pkg.Service/Open, to: app, public: true }
  - { match: grpc pkg.Service/Limited, to: app, public: true, limit: 1/h per route }
`,
  });
});
afterAll(() => rig?.stop());

const WEB = "application/grpc-web+proto";
const MESSAGE = Buffer.from([0, 0, 0, 0, 3, 0x0a, 0x01, 0x41]);
const TRAILERS = Buffer.concat([Buffer.from([0x80, 0, 0, 0, 15]), Buffer.from("grpc-status:0\r\n")]);

function refused(
  id: string,
  title: string,
  target: string,
  grpc: number,
  more: Partial<Case> & { headers?: (one: Rig) => Record<string, string> } = {},
): Case {
  return {
    id,
    title: `answers ${title} with grpc-status ${grpc} in the head and no body`,
    request: (one) => ({
      method: "POST",
      target,
      headers: { "Content-Type": WEB, "X-Grpc-Web": "1", ...more.headers?.(one) },
      body: MESSAGE,
    }),
    expect: { status: 200, upstream: "untouched" },
    ...more,
    also: async (outcome) => {
      const { first } = outcome;
      expect([first?.header("grpc-status"), first?.header("content-type"), first?.body.length]).toEqual([
        String(grpc),
        WEB,
        0,
      ]);
      expect(first?.header("grpc-message")).toMatch(/^[\x20-\x7e]+$/);
      await more.also?.(outcome);
    },
  };
}

runCases(
  () => rig,
  [
    refused("★G01", "a caller without credentials", "/pkg.Service/Method", 16, {
      also: ({ first }) => expect(first?.header("www-authenticate")).toMatch(/^Bearer/),
    }),
    refused("★G01", "a bad token", "/pkg.Service/Method", 16, {
      headers: () => ({ Authorization: "Bearer a.b.c" }),
    }),
    refused("★G01", "a missing scope", "/pkg.Service/Method", 7, {
      headers: (one) => one.bearer({ scope: "other" }),
    }),
    refused("★G01", "an unknown method", "/pkg.Service/Nothing", 12),
    refused("★G01", "an upstream that is down", "/pkg.Service/Dead", 14),
    refused("★G01", "an upstream that is too slow", "/pkg.Service/Open", 4, {
      answer: () => undefined,
      expect: { status: 200, upstream: 1 },
    }),
    {
      id: "★G01",
      title: "lets the first call of a limited method pass",
      request: {
        method: "POST",
        target: "/pkg.Service/Limited",
        headers: { "Content-Type": WEB },
        body: MESSAGE,
      },
      expect: { status: 200, upstream: 1 },
    },
    refused("★G01", "a used-up limit", "/pkg.Service/Limited", 8, {
      also: ({ first }) => expect(Number(first?.header("retry-after"))).toBeGreaterThan(0),
    }),
    {
      id: "★G02",
      title: "lets a browser read the status of its own refusals",
      request: {
        method: "POST",
        target: "/pkg.Service/Method",
        headers: { "Content-Type": WEB, Origin: "https://app.example.com" },
        body: MESSAGE,
      },
      expect: { status: 200, upstream: "untouched" },
      also: ({ first }) => {
        expect(first?.header("grpc-status")).toBe("16");
        expect(first?.all("access-control-allow-origin")).toEqual(["https://app.example.com"]);
        const exposed = (first?.header("access-control-expose-headers") ?? "").toLowerCase();
        for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin"])
          expect(exposed).toContain(name);
      },
    },
    {
      id: "★G02",
      title: "answers the preflight of a call without credentials",
      request: {
        method: "OPTIONS",
        target: "/pkg.Service/Method",
        headers: {
          Origin: "https://app.example.com",
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "content-type,x-grpc-web,authorization",
        },
      },
      expect: { status: [200, 204], upstream: "untouched" },
      also: ({ first }) =>
        expect(first?.header("access-control-allow-origin")).toBe("https://app.example.com"),
    },
    ...["application/grpc-web-text", "application/grpc-web-text+proto", "application/grpc-web"].map(
      (type): Case => ({
        id: "G05",
        title: `mirrors the media type ${type} in a refusal`,
        request: {
          method: "POST",
          target: "/pkg.Service/Method",
          headers: { "Content-Type": type },
          body: "AAAAAAA=",
        },
        expect: { status: 200, upstream: "untouched" },
        also: ({ first }) =>
          expect([first?.header("grpc-status"), first?.header("content-type"), first?.body.length]).toEqual([
            "16",
            type,
            0,
          ]),
      }),
    ),
    ...["1S", "99999999H", "-1S", "1x"].map(
      (timeout): Case => ({
        id: "G07",
        title: `is not troubled by grpc-timeout ${timeout}`,
        request: {
          method: "POST",
          target: "/pkg.Service/Open",
          headers: { "Content-Type": WEB, "grpc-timeout": timeout },
          body: MESSAGE,
        },
        expect: { status: [200, 400], upstream: 1 },
        also: ({ seen }) => expect(seen[0]?.header("grpc-timeout")).toBe(timeout),
      }),
    ),
    ...["/pkg.Service/method", "/PKG.Service/Method", "/pkg.Service/Method2", "/pkg/Service/Method"].map(
      (target) => refused("G10", `the path ${target}`, target, 12),
    ),
    refused("G10", "a doubled slash", "/pkg.Service//Method", 3),
    refused("G10", "an encoded dot as the dot that it is", "/pkg%2eService/Method", 16),
  ],
);

describe("an answer in frames", () => {
  const body = Buffer.concat([MESSAGE, TRAILERS]);

  test("★G04 arrives byte for byte, wherever the upstream splits it", async () => {
    const wrong: number[] = [];
    for (let split = 1; split < body.length; split++) {
      rig.recorder.script([
        `HTTP/1.1 200 OK\r\nContent-Type: ${WEB}\r\nTransfer-Encoding: chunked\r\n\r\n`,
        chunk(body.subarray(0, split)),
        1,
        chunk(body.subarray(split)),
        "0\r\n\r\n",
      ]);
      const bytes = requestBytes({
        method: "POST",
        target: "/pkg.Service/Open",
        headers: { "Content-Type": WEB },
        body: MESSAGE,
      });
      const { responses } = await exchange(rig.port, bytes);
      if (!responses[0]?.body.equals(body) || !responses[0].complete) wrong.push(split);
      if (!rig.recorder.last?.body.equals(MESSAGE)) wrong.push(-split);
    }
    rig.recorder.script(undefined);
    expect(wrong).toEqual([]);
  });
});
