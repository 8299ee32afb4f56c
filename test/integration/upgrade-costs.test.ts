// What a request costs is what the upstream says, whatever the request asks for besides: a WebSocket handshake on an
// ordinary route is answered like the plain request that it also is.

import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type TestGateway } from "../support/gateway.ts";

let upstream: Server;
let gateway: TestGateway;

beforeAll(async () => {
  const fields = { "X-Query-Cost": "40", "RateLimit-Limit": "7", "X-Request-Id": "theirs" };
  upstream = createServer((_, response) => response.writeHead(200, fields).end("data"));
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  const { port } = upstream.address() as AddressInfo;
  gateway = await startGateway(`listen: 127.0.0.1:0
upstreams: { app: "http://127.0.0.1:${port}" }
routes:
  - { match: GET /plain, to: app, public: true, limit: { rate: 100/min, costFrom: "responseHeader:X-Query-Cost" } }
  - { match: GET /upgrade, to: app, public: true, limit: { rate: 100/min, costFrom: "responseHeader:X-Query-Cost" } }
`);
});
afterAll(async () => {
  await gateway?.stop();
  upstream.closeAllConnections();
  upstream.close();
});

async function call(path: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
  const sent = request(`${gateway.url}${path}`, { headers, agent: false });
  sent.end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.resume();
  await once(answer, "end");
  return answer;
}

const HANDSHAKE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
};

test.each([
  ["a plain request", "/plain", {}],
  ["a handshake that the upstream ignores", "/upgrade", HANDSHAKE],
])("%s is charged with what the upstream says, and told by the gateway alone", async (_what, path, headers) => {
  const answers: IncomingMessage[] = [];
  for (let turn = 0; turn < 4; turn++) answers.push(await call(path, headers));
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 429]);
  const [first] = answers;
  expect(first?.headers["x-query-cost"]).toBeUndefined();
  expect(first?.headers["ratelimit-limit"]).toBe("100");
  expect(first?.headers["ratelimit-remaining"]).toBe("99");
  expect(first?.headers["x-request-id"]).not.toContain("theirs");
});
