// Proves that a target does the work before its speed counts: right identity upstream, 401, 403 and 429.

import type { CredentialSet, Fixtures } from "./fixtures.ts";
import { LOAD_PATH } from "./load/wrk.ts";
import { countKeys } from "./redis.ts";
import type { Credential } from "./target.ts";
import { ECHO_HEADER } from "./upstream/nginx.ts";

/** Limit that a target must be started with for `checkAnswers`. */
export const CHECK_LIMIT = 5;

/** Sends good, forged, unscoped and too many requests; throws on the first wrong answer. */
export async function checkAnswers(port: number, credential: Credential, fixtures: Fixtures): Promise<void> {
  if (credential === "none") {
    await expectStatus(port, {}, 200, "a plain request");
    return;
  }
  const set = fixtures.credentials[credential];
  await expectStatus(port, {}, 401, "a request without a credential");
  for (const [why, value] of Object.entries(set.refused)) {
    await expectStatus(port, { [set.header]: value }, 401, `a credential ${why}`);
  }
  await expectStatus(port, { [set.header]: set.unscoped }, 403, "a credential without the scope");
  await checkIdentity(port, set);
  await checkLimit(port, set);
}

/** Proves that limits were counted in Redis and that, right after the load, they still are; throws otherwise. */
export async function checkShared(
  port: number,
  credential: Credential,
  fixtures: Fixtures,
  redisUrl: string,
): Promise<void> {
  if (credential === "none") return;
  if (!((await countKeys(redisUrl)) > 0))
    throw new Error("Redis holds no counter: the limits are not shared");
  const set = fixtures.credentials[credential];
  const response = await fetch(`http://127.0.0.1:${port}${LOAD_PATH}`, {
    headers: { [set.header]: set.good[4] ?? "" },
  });
  await response.arrayBuffer();
  const mode = response.headers.get("ratelimit-mode");
  if (mode !== null) throw new Error(`the limits are not taken from Redis but in mode ${mode}`);
}

async function checkIdentity(port: number, set: CredentialSet): Promise<void> {
  for (const n of [0, 1]) {
    const headers = { [set.header]: set.good[n] ?? "", "X-User-Id": "attacker", [ECHO_HEADER]: "1" };
    const body = await expectStatus(port, headers, 200, "a good credential");
    const seen: unknown = JSON.parse(body);
    const user = typeof seen === "object" && seen !== null && "user" in seen ? seen.user : undefined;
    if (user !== `caller-${n}`)
      throw new Error(`the upstream saw user ${JSON.stringify(user)}, not caller-${n}`);
  }
}

/** Uses a caller of its own, so that no earlier request counts. */
async function checkLimit(port: number, set: CredentialSet): Promise<void> {
  const headers = { [set.header]: set.good[2] ?? "" };
  for (let n = 1; n <= CHECK_LIMIT; n++)
    await expectStatus(port, headers, 200, `request ${n} within the limit`);
  await expectStatus(port, headers, 429, "the request past the limit");
  await expectStatus(port, { [set.header]: set.good[3] ?? "" }, 200, "another caller's request");
}

async function expectStatus(
  port: number,
  headers: Readonly<Record<string, string>>,
  status: number,
  what: string,
): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${LOAD_PATH}`, {
    headers,
    signal: AbortSignal.timeout(5_000),
  });
  const body = await response.text();
  if (response.status !== status)
    throw new Error(`${what} was answered with ${response.status}, not ${status}`);
  return body;
}
