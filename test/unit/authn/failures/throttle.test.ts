import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { formatKey } from "../../../../src/authn/api-key/format.ts";
import type { DecidingCredentials } from "../../../../src/authn/credentials.ts";
import { LocalFailureCounter } from "../../../../src/authn/failures/local-counter.ts";
import type { FailurePolicy } from "../../../../src/authn/failures/policy.ts";
import type { FailureCounter } from "../../../../src/authn/failures/ports.ts";
import { FailureThrottle } from "../../../../src/authn/failures/throttle.ts";
import { type Denial, deny } from "../../../../src/core/denial.ts";
import type { GatewayEvent } from "../../../../src/core/events.ts";
import { gatewayRequest } from "../../../support/requests.ts";

const POLICY: FailurePolicy = { limit: 3, windowMs: 10_000, backoffMs: 1_000, longestMs: 4_000 };
const OWN = formatKey("live");
const BAD_KEY = deny("api_key_invalid", "key_unknown");
const BAD_TOKEN = deny("token_invalid", "jwt_signature");

let now = 0;
let events: GatewayEvent[] = [];
const clock = { steadyMs: () => now };
beforeEach(() => {
  now = 1_000_000;
  events = [];
});

/** A throttle that is asked in short words. */
class Asked {
  readonly throttle: FailureThrottle;

  constructor(counter: FailureCounter = new LocalFailureCounter(POLICY.windowMs, clock)) {
    this.throttle = new FailureThrottle(POLICY, { clock, emit: (event) => events.push(event), counter });
  }

  before(credentials: DecidingCredentials, clientAddress = "192.0.2.1"): Denial | undefined {
    return this.throttle.beforeAuthentication(chain(credentials), gatewayRequest({ clientAddress }));
  }

  after(denial: Denial, credentials: DecidingCredentials = {}, clientAddress = "192.0.2.1"): Denial {
    return this.throttle.afterRejection(chain(credentials), gatewayRequest({ clientAddress }), denial);
  }
}

function chain(credentials: DecidingCredentials) {
  return { deciding: () => credentials };
}

const told = (denial: Denial | undefined): string =>
  denial === undefined ? "" : `${denial.reason} ${denial.retryAfterSeconds ?? ""}`.trim();

describe("what counts as a failure", () => {
  test.each<readonly [counts: boolean, denial: Denial]>([
    [true, BAD_KEY],
    [true, deny("api_key_invalid", "key_checksum")],
    [true, deny("api_key_invalid", "key_address")],
    [true, BAD_TOKEN],
    [true, deny("credentials_malformed", "bearer_empty")],
    [false, deny("api_key_invalid", "key_expired")],
    [false, deny("api_key_invalid", "key_disabled")],
    [false, deny("token_expired", "jwt_expired")],
    [false, deny("credentials_missing")],
    [false, deny("credentials_ambiguous", "two_kinds")],
    [false, deny("keys_unavailable", "jwt_keys_missing")],
  ])("%s: %o", (counts, denial) => {
    const asked = new Asked();
    for (let count = 0; count < 3; count++) expect(asked.after(denial)).toBe(denial);
    expect(events.length).toBe(counts ? 1 : 0);
    expect(asked.before({ apiKey: "weak" }) !== undefined).toBe(counts);
  });
});

test("the failure that reaches the limit is still answered for itself, the next request meets the block", () => {
  const asked = new Asked();
  for (let count = 0; count < 3; count++) expect(asked.after(BAD_KEY, { apiKey: "weak" })).toBe(BAD_KEY);
  expect(events).toEqual([
    {
      kind: "credential_failures",
      dimension: "address",
      client: "192.0.2.1",
      failures: 3,
      blockedForSeconds: 1,
    },
  ]);
  now += 1;
  expect(asked.before({ apiKey: "weak" })).toEqual({
    code: "too_many_failures",
    reason: "address_blocked",
    retryAfterSeconds: 1,
  });
  expect(asked.throttle.refusals).toEqual({ address: 1, credential: 0 });
});

test("a blocked address: what could be a guess waits, what can't be one is looked at", () => {
  const asked = new Asked();
  for (let count = 0; count < 3; count++) asked.after(BAD_TOKEN);
  expect(told(asked.before({ apiKey: "weak" }))).toBe("address_blocked 1");
  expect(told(asked.before({ apiKey: "weak", jwt: "token" }))).toBe("address_blocked 1");
  for (const credentials of [{}, { jwt: "token" }, { apiKey: OWN }, { apiKey: OWN, jwt: "token" }])
    expect(asked.before(credentials)).toBeUndefined();
  expect(told(asked.after(BAD_TOKEN, { jwt: "token" }))).toBe("address_blocked 1");
  expect(told(asked.after(BAD_KEY, { apiKey: OWN }))).toBe("address_blocked 1");
  expect(asked.before({ apiKey: "weak" }, "192.0.2.2")).toBeUndefined();
  expect(asked.after(BAD_KEY, { apiKey: "weak" }, "192.0.2.2")).toBe(BAD_KEY);
});

test("expired and disabled keys get the answer of unknown ones while something is blocked", () => {
  const asked = new Asked();
  for (let count = 0; count < 3; count++) asked.after(BAD_TOKEN);
  for (const reason of ["key_expired", "key_disabled", "key_unknown"])
    expect(told(asked.after(deny("api_key_invalid", reason), { apiKey: OWN }))).toBe("address_blocked 1");
});

test("a blocked prefix: bad keys with it are refused from any address, and nothing is refused unseen", () => {
  const asked = new Asked();
  const guess = (end: string) => ({ apiKey: `legacy-0123456789-${end}` });
  for (const end of ["a", "b", "c"])
    expect(asked.after(BAD_KEY, guess(end), `192.0.2.${end.charCodeAt(0)}`)).toBe(BAD_KEY);
  expect(events).toEqual([
    { kind: "credential_failures", dimension: "credential", failures: 3, blockedForSeconds: 1 },
  ]);
  expect(asked.before(guess("d"), "192.0.2.9")).toBeUndefined();
  expect(told(asked.after(BAD_KEY, guess("d"), "192.0.2.9"))).toBe("credential_blocked 1");
  expect(asked.after(BAD_KEY, { apiKey: "another-0123456789" }, "192.0.2.9")).toBe(BAD_KEY);
  expect(asked.throttle.refusals).toEqual({ address: 0, credential: 1 });
});

test("who hides behind a blocked prefix is still counted by address", () => {
  const asked = new Asked();
  const guess = { apiKey: "legacy-0123456789" };
  for (const address of ["192.0.2.7", "192.0.2.8", "192.0.2.9"]) asked.after(BAD_KEY, guess, address);
  for (let count = 0; count < 3; count++) asked.after(BAD_KEY, guess, "192.0.2.1");
  expect(events.map((event) => event.kind === "credential_failures" && event.client)).toEqual([
    undefined,
    "192.0.2.1",
  ]);
});

test("the wait is that of the longer block, in whole seconds, rounded up", () => {
  const asked = new Asked();
  const guess = { apiKey: "legacy-0123456789" };
  for (let count = 0; count < 3; count++) asked.after(BAD_KEY, guess);
  now += 1_000;
  asked.after(BAD_KEY, guess);
  now += 500;
  expect(told(asked.after(BAD_KEY, guess))).toBe("address_blocked 2");
});

test("what is refused while something is blocked is not counted there", () => {
  const counted: string[] = [];
  const local = new LocalFailureCounter(POLICY.windowMs, clock);
  const asked = new Asked({
    count(dimension, id) {
      counted.push(dimension);
      return local.count(dimension, id);
    },
  });
  for (let count = 0; count < 10; count++) asked.after(BAD_TOKEN);
  expect(counted).toEqual(["address", "address", "address"]);
  // The prefix isn't blocked, so failures with it still tell something new.
  asked.after(BAD_KEY, { apiKey: "legacy-0123456789" });
  expect(counted.slice(3)).toEqual(["credential"]);
});

test("a shared counter that answers late delays nothing, and its block begins when it has answered", async () => {
  let answer: (failures: number) => void = () => undefined;
  const asked = new Asked({
    count: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  expect(asked.after(BAD_TOKEN)).toBe(BAD_TOKEN);
  expect(asked.before({ apiKey: "weak" })).toBeUndefined();
  now += 40;
  answer(3);
  await Promise.resolve();
  expect(told(asked.before({ apiKey: "weak" }))).toBe("address_blocked 1");
});

describe("whatever comes", () => {
  const step = fc.record({
    gap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 20_000 })),
    address: fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8:0:0:0:0:0:1"),
    what: fc.constantFrom("own", "token", "weak", "bad key", "bad own", "bad token"),
  });

  test("a good credential that can't be guessed passes, weak keys wait no longer than the longest block, and each block was earned", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        now = 0;
        events = [];
        const asked = new Asked();
        const failures = new Map<string, number>();
        for (const { gap, address, what } of steps) {
          now += gap;
          if (what === "own" || what === "token") {
            const good = what === "own" ? { apiKey: OWN } : { jwt: "token" };
            expect(asked.before(good, address)).toBeUndefined();
            continue;
          }
          const credentials: DecidingCredentials =
            what === "bad token" ? { jwt: "x" } : { apiKey: what === "bad own" ? OWN : "weak" };
          const before = asked.before(credentials, address);
          const wait = before?.retryAfterSeconds ?? 0;
          expect(wait).toBeLessThanOrEqual(POLICY.longestMs / 1_000);
          if (wait > 0) {
            expect(failures.get(address)).toBeGreaterThanOrEqual(POLICY.limit);
            now += wait * 1_000;
            expect(asked.before(credentials, address)).toBeUndefined();
          } else if (what !== "weak") {
            failures.set(address, (failures.get(address) ?? 0) + 1);
            asked.after(what === "bad token" ? BAD_TOKEN : BAD_KEY, credentials, address);
          }
        }
        for (const event of events)
          if (event.kind === "credential_failures")
            expect(event.blockedForSeconds).toBeLessThanOrEqual(POLICY.longestMs / 1_000);
      }),
    );
  });

  test("no event tells more than the address and numbers", () => {
    const asked = new Asked();
    const guess = { apiKey: "legacy-0123456789" };
    for (let count = 0; count < 3; count++) asked.after(BAD_KEY, guess, "2001:db8:0:0:0:0:0:1");
    expect(events.map(({ kind: _, ...facts }) => facts)).toEqual([
      { dimension: "address", client: "2001:db8:0:0::/64", failures: 3, blockedForSeconds: 1 },
      { dimension: "credential", failures: 3, blockedForSeconds: 1 },
    ]);
  });
});
