// TLS towards upstreams: who is believed to be the upstream, and that nothing else changes; over real sockets.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createServer,
  getCACertificates,
  type SecureVersion,
  type Server,
  setDefaultCACertificates,
  type TLSSocket,
} from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { until } from "../../support/served.ts";
import { all, digest, reply, TransportRig } from "../../support/transports.ts";

let rig: TransportRig;
beforeEach(async () => {
  rig = await new TransportRig().start();
});
afterEach(async () => {
  expect(await rig.end()).toEqual([]);
});

let folder: string;
let trusted: string[];

/** Makes a certificate; signed by the authority of the test unless it is its own. */
function certify(name: string, names: string, signed = true): void {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];
  const files = ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.pem`)];
  const alternatives = names === "" ? [] : ["-addext", `subjectAltName=${names}`];
  const authority = signed ? ["-CA", join(folder, "root.pem"), "-CAkey", join(folder, "root.key")] : [];
  execFileSync(
    "openssl",
    ["req", "-x509", ...curve, ...files, "-days", "2", "-subj", `/CN=${name}`, ...alternatives, ...authority],
    { stdio: "ignore" },
  );
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "http-transport-"));
  certify("root", "", false);
  certify("right", "DNS:localhost,IP:127.0.0.1");
  certify("other", "DNS:other.test,IP:127.0.0.2");
  certify("unknown", "DNS:localhost,IP:127.0.0.1", false);
  trusted = getCACertificates("default");
  setDefaultCACertificates([...trusted, readFileSync(join(folder, "root.pem"), "utf8")]);
});
afterAll(() => {
  setDefaultCACertificates(trusted);
  rmSync(folder, { recursive: true, force: true });
});

interface Secure {
  readonly port: number;
  readonly sockets: TLSSocket[];
  /** Server name, whether the session was resumed, and the protocol of each connection. */
  readonly seen: (readonly [name: string | false, resumed: boolean, protocol: string | false | null])[];
  requests: number;
}

const servers: Server[] = [];
const accepted: Socket[] = [];
afterEach(async () => {
  for (const socket of accepted.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) {
    server.close();
    await once(server, "close");
  }
});

async function secure(
  name: string,
  maxVersion: SecureVersion = "TLSv1.3",
  answer: Buffer = reply("secret"),
): Promise<Secure> {
  const sockets: TLSSocket[] = [];
  const seen: Secure["seen"] = [];
  const server = createServer(
    {
      cert: readFileSync(join(folder, `${name}.pem`)),
      key: readFileSync(join(folder, `${name}.key`)),
      maxVersion,
      ALPNProtocols: ["h2", "http/1.1"],
    },
    (socket) => {
      sockets.push(socket);
      // The type lacks what a server knows of its client: the name that it asked for.
      const asked = (socket as TLSSocket & { readonly servername: string | false }).servername;
      seen.push([asked, socket.isSessionReused(), socket.alpnProtocol]);
      socket.on("error", () => undefined);
      socket.on("data", () => {
        upstream.requests += 1;
        socket.write(answer);
      });
    },
  );
  server.on("connection", (socket: Socket) => accepted.push(socket));
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  const upstream: Secure = { port: (server.address() as AddressInfo).port, sockets, seen, requests: 0 };
  return upstream;
}

test.each<SecureVersion>([
  "TLSv1.2",
  "TLSv1.3",
])("%s names the configured host, whatever the request says, and resumes its session", async (version) => {
  const upstream = await secure("right", version);
  const transport = rig.to(`https://localhost:${upstream.port}`);
  for (let connection = 0; connection < 3; connection++) {
    const got = await rig.send(transport, "/first", { host: "other.test" }).done;
    expect([got.code, got.text]).toEqual(["", "secret"]);
    await sleep(20);
    upstream.sockets.at(-1)?.end();
    await sleep(20);
  }
  // Before TLS 1.3 a server forgets the name of a session that it resumes.
  const again = version === "TLSv1.2" ? false : "localhost";
  expect(upstream.seen).toEqual([
    ["localhost", false, "http/1.1"],
    [again, true, "http/1.1"],
    [again, true, "http/1.1"],
  ]);
});

test("carries many requests on one connection", async () => {
  const upstream = await secure("right");
  const transport = rig.to(`https://localhost:${upstream.port}`, { connections: 1 });
  for (let request = 0; request < 5; request++)
    expect((await rig.send(transport, "/x").done).text).toBe("secret");
  expect([upstream.requests, upstream.sockets.length]).toEqual([5, 1]);
});

test("verifies an address where an address is configured, and names none", async () => {
  const upstream = await secure("right");
  expect((await rig.send(rig.to(`https://127.0.0.1:${upstream.port}`), "/x").done).text).toBe("secret");
  expect(upstream.seen).toEqual([[false, false, "http/1.1"]]);
});

test.each<readonly [what: string, name: string, host: string, version: SecureVersion, code: string]>([
  ["another name", "other", "localhost", "TLSv1.2", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ["another name", "other", "localhost", "TLSv1.3", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ["another address", "other", "127.0.0.1", "TLSv1.3", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ["the right name by nobody known", "unknown", "localhost", "TLSv1.3", "DEPTH_ZERO_SELF_SIGNED_CERT"],
  ["the right name by nobody known", "unknown", "localhost", "TLSv1.2", "DEPTH_ZERO_SELF_SIGNED_CERT"],
])("refuses a certificate for %s (%s, %s, %s) again and again", async (_, name, host, version, code) => {
  const upstream = await secure(name, version);
  const transport = rig.to(`https://${host}:${upstream.port}`);
  // What the server gave with the first handshake must not make the second one pass.
  for (let attempt = 0; attempt < 3; attempt++) {
    const got = await rig.send(transport, "/x", { host: "other.test" }).done;
    expect([got.events, got.code]).toEqual([["error"], code]);
    await sleep(10);
  }
  const together = Array.from({ length: 6 }, () => rig.send(transport, "/x"));
  await all(together);
  expect(together.map(({ events }) => events.join())).toEqual(new Array(6).fill("error"));
  expect(upstream.requests).toBe(0);
  expect(upstream.seen.filter(([, resumed]) => resumed)).toEqual([]);
});

test("keeps every byte of a long answer right, with pauses", async () => {
  const long = randomBytes(8 * 1024 * 1024);
  const upstream = await secure("right", "TLSv1.3", reply(long));
  let pieces = 0;
  const got = await rig.send(rig.to(`https://localhost:${upstream.port}`), "/x", {
    onData(one) {
      pieces += 1;
      if (pieces % 16 === 0) {
        one.control.pause();
        setTimeout(() => one.control.resume(), 1);
      }
      return pieces % 5 !== 0;
    },
  }).done;
  expect([got.code, digest(got.pieces)]).toEqual(["", digest(long)]);
});

test("can be given up in the middle of much that came at once", async () => {
  const upstream = await secure("right", "TLSv1.3", reply(randomBytes(4 * 1024 * 1024)));
  const transport = rig.to(`https://localhost:${upstream.port}`, { connections: 1 });
  for (let round = 1; round <= 10; round++) {
    const one = rig.send(transport, "/x", {
      onData(receiver) {
        if (receiver.pieces.length === round * 3) receiver.abort();
        return true;
      },
    });
    await until(() => one.over);
  }
  await until(() => upstream.requests === 10);
});

test("fails the request once where the upstream speaks none", async () => {
  const upstream = await rig.raw((socket) => socket.on("data", () => socket.write(reply("plain"))));
  const got = await rig.send(rig.to(`https://127.0.0.1:${upstream.port}`), "/x").done;
  expect([got.events, got.unanswered]).toEqual([["error"], false]);
  expect(got.code).toMatch(/^(?:ERR_SSL|EPROTO)/);
});

test("fails the request once where the upstream ends the handshake or never begins it", async () => {
  const ending = await rig.raw((socket) => socket.once("data", () => socket.end()));
  const ended = await rig.send(rig.to(`https://127.0.0.1:${ending.port}`), "/x").done;
  expect([ended.events, ended.code]).toEqual([["error"], "ECONNRESET"]);
  const silent = await rig.raw((socket) => socket.resume());
  const origin = `https://127.0.0.1:${silent.port}`;
  const waited = await rig.send(rig.to(origin, { connectMs: 100 }), "/x").done;
  expect([waited.events, waited.code]).toEqual([["error"], "CONNECT_TIMEOUT"]);
  await until(() => silent.open === 0);
});
