// What the store is told when it is back: what it may have forgotten, and what was admitted without it. Only then may
// decisions be asked of it again, or the same window would be admitted twice.

import { argsAt, type BoundLimit, scriptKeys } from "./bound-limit.ts";
import type { KnownCounter } from "./known-counter.ts";
import type { KnownCounters } from "./known-counters.ts";
import { ANSWER_LENGTH, MODE } from "./script.ts";
import { wholeNumbers } from "./script-calls.ts";

/** A store that answers again but isn't used for decisions yet. */
export interface Comeback {
  /** It is certainly the server of before, with all that it knew. */
  readonly sameServer: boolean;
  /** Runs the script; undefined when it gave no answer in time. Keys of one call lie in one slot. */
  run(keys: readonly string[], args: readonly string[]): Promise<readonly unknown[] | undefined>;
  slotOf?(key: string): number;
  /** Resolves when every other instance has come as far, or had its time. */
  barrier(phase: number): Promise<void>;
}

// Most statements in one call, and in all calls at one time: a call of one place may hold but a few.
const LARGEST_CALL = 100;

/** One thing to tell about one counter. */
interface Statement {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  /** Takes how many units counted then. */
  readonly told: (used: number) => void;
}

/**
 * Tells it all, in two phases. First what was seen of the counters over all instances: what was seen last is what counted,
 * to the unit, whatever a failover or a restart lost. When all have said so, what each admitted by itself.
 * Rejects when the store gives no answer. From `onLastPhase` on nothing should be admitted without the store.
 */
export async function tellStore(
  known: KnownCounters,
  comeback: Comeback,
  now: () => number,
  onLastPhase: () => void,
): Promise<void> {
  if (!comeback.sameServer) {
    await tell(known, comeback, (key, counter) => seenStatement(key, counter, now()));
  }
  await comeback.barrier(1);
  onLastPhase();
  const untold = (key: string, counter: KnownCounter) => untoldStatement(known, key, counter, now);
  await tell(known, comeback, untold);
  await comeback.barrier(2);
  // What was admitted all the same, while the others were waited for.
  await tell(known, comeback, untold);
}

async function tell(
  known: KnownCounters,
  comeback: Comeback,
  statementOf: (key: string, counter: KnownCounter) => Statement | undefined,
): Promise<void> {
  for await (const entries of known.partsInTurns()) {
    const places = new Map<number, Statement[]>();
    for (const [key, counter] of entries) {
      const statement = statementOf(key, counter);
      if (statement === undefined) continue;
      const place = comeback.slotOf?.(key) ?? 0;
      const list = places.get(place);
      if (list === undefined) places.set(place, [statement]);
      else list.push(statement);
    }
    await sendAll(comeback, places.values());
  }
}

/** Sends what each place is told, as much at a time as one call could hold. */
async function sendAll(comeback: Comeback, lists: Iterable<readonly Statement[]>): Promise<void> {
  let sending: Promise<void>[] = [];
  let size = 0;
  for (const list of lists) {
    for (let from = 0; from < list.length; from += LARGEST_CALL) {
      const part = list.slice(from, from + LARGEST_CALL);
      if (size + part.length > LARGEST_CALL) {
        await Promise.all(sending);
        sending = [];
        size = 0;
      }
      sending.push(send(comeback, part));
      size += part.length;
    }
  }
  await Promise.all(sending);
}

async function send(comeback: Comeback, statements: readonly Statement[]): Promise<void> {
  const keys = statements.flatMap((statement) => statement.keys);
  const reply = await comeback.run(
    keys,
    statements.flatMap((statement) => statement.args),
  );
  const length = 1 + statements.length * (1 + ANSWER_LENGTH);
  const numbers = reply && wholeNumbers(reply, length);
  if (numbers === undefined) throw new Error("the store was lost again");
  for (const [index, { told }] of statements.entries()) {
    told(numbers[2 + index * (1 + ANSWER_LENGTH)] as number);
  }
}

function statement(
  mode: number,
  { limit, key, units }: { readonly limit: BoundLimit; readonly key: string; readonly units: number },
  more: readonly string[],
  told: Statement["told"],
): Statement {
  return { keys: scriptKeys(limit, key), args: [String(mode + 1), ...argsAt(limit, units), ...more], told };
}

function seenStatement(key: string, counter: KnownCounter, now: number): Statement | undefined {
  const { limit, seen, seenAt } = counter;
  counter.reopen();
  if (seen === 0 || counter.seenUntil <= now) return undefined;
  const age = now - seenAt;
  // What was lent counted then, and may have been spent since.
  const lastUse = Math.max(0, age - (limit.leased ? limit.leaseMicros : 0));
  return statement(MODE.floor, { limit, key, units: seen }, [age, lastUse].map(String), () => undefined);
}

function untoldStatement(
  known: KnownCounters,
  key: string,
  counter: KnownCounter,
  now: () => number,
): Statement | undefined {
  const { limit, untold } = counter;
  if (untold === 0) return undefined;
  // More than the whole limit closes it no further.
  const units = Math.min(untold, limit.measure.cap);
  return statement(MODE.charge, { limit, key, units }, [], (used) => {
    known.told(counter, untold);
    counter.saw(used, now());
  });
}
