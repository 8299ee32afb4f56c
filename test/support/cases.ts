// Runs attack cases that are written as data: one test each, and after each the questions that every case must pass.

import { expect, test } from "vitest";
import type { DenialCode } from "../../src/core/denial.ts";
import type { Bytes, Exchange, ExchangeOptions, RawResponse } from "./raw-client.ts";
import type { Answer, SeenRequest } from "./recorder.ts";
import { FORGED, type RequestSpec, type Rig, requestBytes } from "./rig.ts";

/** A value, or how to make it once the rig runs. */
export type Lazy<T> = T | ((rig: Rig) => T);

/** What a case must bring about. */
export interface Expectation {
  /** Status of the first answer; several when each is right; 0 stands for a connection that ends without an answer. */
  readonly status: number | readonly number[];
  /** `code` of the problem document. */
  readonly code?: DenialCode;
  /** The gateway ends the connection. */
  readonly closed?: boolean;
  /**
   * Requests that reach the upstream; `untouched`: not a byte, nor a connection. Where several statuses are right, the
   * request may also have been refused before it got there.
   */
  readonly upstream: "untouched" | number;
  /** Word for the failed check that exactly one log line holds. */
  readonly reason?: string;
}

/** What came of a case. */
export interface Outcome extends Exchange {
  readonly rig: Rig;
  readonly first: RawResponse | undefined;
  /** Requests that the upstream got. */
  readonly seen: readonly SeenRequest[];
}

/** One case. `bytes` are sent as they are, `request` is written out well-formed. */
export interface Case {
  /** Of the catalogue, with its star where it has one: `★P03`. */
  readonly id: string;
  readonly title: string;
  readonly bytes?: Lazy<Bytes>;
  readonly request?: Lazy<RequestSpec>;
  readonly options?: ExchangeOptions;
  /** Answer of the upstream; the echo unless given. */
  readonly answer?: Answer;
  readonly expect: Expectation;
  /** The case puts a secret where no gateway can know it for one, so the log is not searched. */
  readonly skipQuiet?: boolean;
  readonly also?: (outcome: Outcome) => void | Promise<void>;
}

const ALIVE_WITHIN_MS = 1_000;

function resolve<T>(value: Lazy<T>, rig: Rig): T {
  return typeof value === "function" ? (value as (rig: Rig) => T)(rig) : value;
}

/** The same process answers a clean request on a new connection within a second. Ends any script of the upstream. */
export async function expectAlive(rig: Rig): Promise<void> {
  rig.recorder.script(undefined);
  expect(rig.gateway.alive(), "the gateway's process still runs").toBe(true);
  const response = await rig.call("/public/alive", { timeoutMs: ALIVE_WITHIN_MS });
  expect([response.status, response.complete], "a clean request afterwards").toEqual([200, true]);
}

/** Whether the gateway, not the upstream, made this answer. */
function ownAnswer(response: RawResponse): boolean {
  return response.header("x-recorder") === undefined && response.status >= 400;
}

function judgeStatus(outcome: Outcome, wanted: Expectation): void {
  const statuses = typeof wanted.status === "number" ? [wanted.status] : wanted.status;
  expect(statuses, `answer: ${outcome.raw.toString("latin1", 0, 300)}`).toContain(outcome.first?.status ?? 0);
  if (wanted.code !== undefined && outcome.first !== undefined) {
    expect(outcome.first.json.code).toBe(wanted.code);
  }
  if (wanted.closed === true) expect(outcome.end, "the connection ends").not.toBe("open");
}

async function judgeLog(rig: Rig, from: number, reason: string): Promise<void> {
  const speaks = (line: Readonly<Record<string, unknown>>): boolean => line.reason === reason;
  await rig.gateway.waitForLog(speaks, 1_000, from);
  const lines = rig.gateway.logs.slice(from).filter((line) => line.type === "decision" && speaks(line));
  expect(lines.length, `decision lines with reason ${reason}`).toBe(1);
  expect(lines[0]?.requestId).toEqual(expect.any(String));
}

async function run(rig: Rig, one: Case): Promise<void> {
  const { recorder, gateway, canaries } = rig;
  const mark = recorder.mark();
  const logs = gateway.logs.length;
  const admin = recorder.touchedAdmin.length;
  recorder.script(one.answer);
  const request = one.request === undefined ? undefined : resolve(one.request, rig);
  const bytes = request === undefined ? resolve(one.bytes ?? "", rig) : requestBytes(request);
  const result = await rig.exchange(bytes, {
    heads: [request?.method === "HEAD"],
    untilClose: one.expect.closed === true,
    timeoutMs: 2_000,
    ...one.options,
  });
  const seen = recorder.seenSince(mark);
  const outcome: Outcome = { ...result, rig, first: result.responses[0], seen };
  judgeStatus(outcome, one.expect);
  if (one.expect.upstream === "untouched") {
    expect(recorder.since(mark), "what reached the upstream").toEqual({
      requests: 0,
      connections: 0,
      bytes: 0,
    });
  } else {
    const most = one.expect.upstream;
    const least = typeof one.expect.status === "number" ? most : 0;
    expect(seen.length, "requests at the upstream").toBeGreaterThanOrEqual(least);
    expect(seen.length, "requests at the upstream").toBeLessThanOrEqual(most);
  }
  expect(recorder.touchedAdmin.slice(admin), "requests that an upstream takes for /admin").toEqual([]);
  expect(
    seen.some((sight) => sight.raw.includes(FORGED)),
    "a forged value at the upstream",
  ).toBe(false);
  if (one.expect.reason !== undefined) await judgeLog(rig, logs, one.expect.reason);
  await one.also?.(outcome);
  canaries.assertNoCanary({
    "error body": result.responses
      .filter(ownAnswer)
      .map((own) => `${own.start}${own.headers.join()}${own.text}`)
      .join(),
  });
  await expectAlive(rig);
  if (one.skipQuiet !== true) rig.assertQuiet(logs);
}

/** Makes one test of each case; the id comes first in its title. */
export function runCases(rig: () => Rig, cases: readonly Case[]): void {
  for (const one of cases) test(`${one.id} ${one.title}`, () => run(rig(), one));
}
