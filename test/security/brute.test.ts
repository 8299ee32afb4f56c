// Guessing: whoever sends bad credentials in numbers is slowed down, learns nothing while blocked, and locks nobody out.

import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { formatKey } from "../../src/authn/api-key/format.ts";
import { expectAlive } from "../support/cases.ts";
import { makeKey, signToken } from "../support/issuer.ts";
import type { RawResponse } from "../support/raw-client.ts";
import { type HeaderSpec, type Rig, startRig } from "../support/rig.ts";

const OWN_KEY = formatKey("live");
const HASH = createHash("sha256").update(OWN_KEY).digest("hex");
const GRPC = { "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1" };
const ORIGIN = "https://app.example.com";
// macOS has no loopback address but 127.0.0.1.
const withAddresses = describe.runIf(process.platform !== "darwin");
const stranger = makeKey("ES256", "stranger");

let rig: Rig;
const start = (failedCredentials: string): Promise<Rig> =>
  startRig({
    sections: failedCredentials,
    keyEntries: `
  - { id: own, hash: "sha256:${HASH}", scopes: [read] }`,
    routes: `
  - match: grpc pkg.Service/Method
    to: app
    auth: [jwt, apiKey]
    cors: { origins: ["${ORIGIN}"], methods: [POST], headers: [content-type, x-grpc-web, x-api-key] }
`,
  });
afterEach(async () => {
  await expectAlive(rig);
  rig.assertQuiet();
});

const ask = (from: string, headers: HeaderSpec, target = "/api/x"): Promise<RawResponse> =>
  rig.call({ target, headers }, { localAddress: from });
const withKey = (key: string): HeaderSpec => ({ "X-API-Key": key });
const withToken = (token: string): HeaderSpec => ({ Authorization: `Bearer ${token}` });
/** A key that nobody has and whose beginning nobody else has. */
const guess = (): string => rig.canaries.add("a guess", randomBytes(18).toString("hex"));
/** A token that says of itself what a good one says. */
const forged = (subject: string): string =>
  rig.canaries.token("a forged token", signToken(rig.claims({ sub: subject }), stranger));

/** Statuses of `count` calls, each with its own headers, 10 at a time. */
async function statuses(
  count: number,
  from: (index: number) => string,
  headers: (index: number) => HeaderSpec,
) {
  const found: number[] = [];
  for (let index = 0; index < count; index += 10) {
    const some = Array.from({ length: Math.min(10, count - index) }, (_, more) =>
      ask(from(index + more), headers(index + more)),
    );
    found.push(...(await Promise.all(some)).map(({ status }) => status));
  }
  return found;
}

/** The first `count` lines about blocks since log line `from`; fewer after two seconds. */
async function blocks(count: number, from: number): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const found = () => rig.gateway.logs.slice(from).filter((line) => line.event === "credential_failures");
  await rig.gateway.waitForLog(() => found().length >= count, 2_000, from);
  return found();
}

withAddresses("with the defaults", () => {
  beforeAll(async () => {
    rig = await start("");
  });
  afterAll(() => rig?.stop());

  test("B02 after 300 wrong keys an address gets 429, and those whose credential can't be guessed pass from there", async () => {
    const from = "127.0.0.2";
    const mark = rig.recorder.mark();
    const found = await statuses(
      300,
      () => from,
      () => withKey(guess()),
    );
    expect(new Set(found)).toEqual(new Set([401]));
    const refused = await ask(from, withKey(guess()));
    expect([refused.status, refused.json.code, refused.header("retry-after")]).toEqual([
      429,
      "too_many_failures",
      "1",
    ]);
    expect(refused.json.retryAfter).toBe(1);
    expect(refused.header("www-authenticate")).toBeUndefined();
    // The right key is answered like a wrong one, body and all.
    const right = await ask(from, withKey(rig.keys.reader));
    const text = ({ json }: RawResponse): unknown => ({ ...json, requestId: "" });
    expect([right.status, text(right)]).toEqual([429, text(refused)]);
    expect(rig.recorder.since(mark).requests).toBe(0);
    expect((await ask(from, withKey(OWN_KEY))).status).toBe(200);
    expect((await ask(from, rig.bearer())).status).toBe(200);
    expect((await ask("127.0.0.3", withKey(rig.keys.reader))).status).toBe(200);
    expect((await ask(from, {})).status).toBe(401);
    expect((await ask(from, {}, "/public/x")).status).toBe(200);
    await sleep(1_000);
    expect((await ask(from, withKey(rig.keys.reader))).status).toBe(200);
    expect(await blocks(1, 0)).toEqual([
      {
        level: "warn",
        time: expect.any(String),
        type: "security",
        event: "credential_failures",
        dimension: "address",
        client: from,
        failures: 300,
        blockedForSeconds: 1,
      },
    ]);
  });

  test("gRPC callers get the status that means the same, readable by a browser, and WebSockets get no tunnel", async () => {
    const from = "127.0.0.4";
    await statuses(
      300,
      () => from,
      () => withKey(guess()),
    );
    const headers = { ...GRPC, Origin: ORIGIN, "X-API-Key": guess() };
    const call = { method: "POST", target: "/pkg.Service/Method", headers, body: "" };
    const refused = await rig.call(call, { localAddress: from });
    expect([refused.status, refused.header("grpc-status"), refused.header("retry-after")]).toEqual([
      200,
      "8",
      "1",
    ]);
    expect(refused.header("grpc-message")).toMatch(/^too_many_failures: /);
    expect(refused.header("access-control-expose-headers")).toContain("grpc-status");
    // A handshake meets the same decision.
    const upgrade = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      "X-API-Key": guess(),
    };
    expect((await ask(from, upgrade)).status).toBe(429);
  });

  test("★J38 a flood of bad tokens from the address of good users harms none of them", async () => {
    const from = "127.0.0.5";
    const mark = rig.recorder.mark();
    const fetches = rig.issuerA.fetches.jwks;
    for (let round = 0; round < 40; round++) {
      const flood = Array.from({ length: 20 }, (_, index) =>
        ask(from, withToken(rig.token({ sub: "x" }, { kid: `k-${round}-${index}` }))),
      );
      const good = await Promise.all([ask(from, rig.bearer({ sub: "x" })), ask(from, withKey(OWN_KEY))]);
      expect(good.map(({ status }) => status)).toEqual([200, 200]);
      for (const { status } of await Promise.all(flood)) expect([401, 429]).toContain(status);
    }
    const after = await statuses(
      30,
      () => from,
      () => withToken(forged("x")),
    );
    expect(after).toContain(429);
    expect(rig.recorder.since(mark).requests).toBe(80);
    expect(rig.issuerA.fetches.jwks - fetches).toBeLessThanOrEqual(1);
  });
});

withAddresses("with small numbers", () => {
  beforeAll(async () => {
    rig = await start("failedCredentials: { limit: 20/10s, backoff: 500ms, longest: 1200ms }");
  });
  afterAll(() => rig?.stop());

  test("B02 a block doubles as long as guessing goes on, up to its longest, and always ends", async () => {
    const from = "127.0.1.1";
    const logs = rig.gateway.logs.length;
    await statuses(
      20,
      () => from,
      () => withKey(guess()),
    );
    for (const ms of [500, 1_000, 1_200]) {
      // What is refused doesn't extend the block.
      expect(
        (
          await statuses(
            5,
            () => from,
            () => withKey(guess()),
          )
        ).every((one) => one === 429),
      ).toBe(true);
      await sleep(ms);
      expect((await ask(from, withKey(rig.keys.reader))).status).toBe(200);
      // Of 20 failures in ten seconds there are still enough for the next block, which begins with this one.
      expect((await ask(from, withKey(guess()))).status).toBe(401);
    }
    const lengths = (await blocks(4, logs)).map(({ blockedForSeconds }) => blockedForSeconds);
    expect(lengths).toEqual([0.5, 1, 1.2, 1.2]);
  });

  test("what is no guess is not counted", async () => {
    const from = "127.0.1.2";
    const old = rig.token({ exp: 1_000 });
    const calls: readonly HeaderSpec[] = [
      {},
      withKey(rig.keys.expired),
      withKey(rig.keys.disabled),
      withToken(old),
      { ...rig.bearer(), "X-API-Key": guess() },
    ];
    const found = await statuses(
      100,
      () => from,
      (index) => calls[index % calls.length] ?? {},
    );
    expect(found.filter((status) => status === 429)).toEqual([]);
    expect((await ask(from, withKey(rig.keys.reader))).status).toBe(200);
  });

  test("guesses for one key prefix from many addresses get 429, and its holder passes from anywhere", async () => {
    const prefix = rig.keys.reader.slice(0, 6);
    const logs = rig.gateway.logs.length;
    const from = (index: number): string => `127.0.2.${1 + index}`;
    const one = (): string => rig.canaries.add("a guess", prefix + randomBytes(17).toString("hex"));
    const found = await statuses(20, from, () => withKey(one()));
    expect(new Set(found)).toEqual(new Set([401]));
    const refused = await ask("127.0.2.101", withKey(one()));
    expect([refused.status, refused.json.code]).toEqual([429, "too_many_failures"]);
    expect((await ask("127.0.2.102", withKey(rig.keys.reader))).status).toBe(200);
    expect((await ask("127.0.2.103", withKey(guess()))).status).toBe(401);
    const [block, ...more] = await blocks(1, logs);
    expect([block?.dimension, block?.failures, more.length]).toEqual(["credential", 20, 0]);
    expect(block).not.toHaveProperty("client");
    expect(JSON.stringify(block)).not.toContain(prefix);
  });

  test("forged tokens of one subject from many addresses get 429, and that subject passes from anywhere", async () => {
    const subject = `subject-${randomBytes(8).toString("hex")}`;
    const logs = rig.gateway.logs.length;
    const from = (index: number): string => `127.0.3.${1 + index}`;
    await statuses(20, from, () => withToken(forged(subject)));
    expect((await ask("127.0.3.101", withToken(forged(subject)))).json.code).toBe("too_many_failures");
    expect((await ask("127.0.3.102", withToken(forged("somebody else")))).status).toBe(401);
    expect((await blocks(1, logs)).map(({ dimension }) => dimension)).toEqual(["credential"]);
    // Claimed and not yet proved, so nobody's name in the log.
    expect(rig.gateway.stdout.join("\n")).not.toContain(subject);
    expect((await ask("127.0.3.103", rig.bearer({ sub: subject }))).status).toBe(200);
  });
});

withAddresses("switched off", () => {
  beforeAll(async () => {
    rig = await start("failedCredentials: false");
  });
  afterAll(() => rig?.stop());

  test("each bad credential is answered for itself", async () => {
    const found = await statuses(
      400,
      () => "127.0.4.1",
      () => withKey(guess()),
    );
    expect(new Set(found)).toEqual(new Set([401]));
  });
});
