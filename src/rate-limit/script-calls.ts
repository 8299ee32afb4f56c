// Calls of the limiter's script: gathers what is asked in one turn of the event loop into as few calls as possible, and
// hands every part of the answer back. Knows that the answer is a list of whole numbers, and nothing of limits.

/** Where `LIMITER_SCRIPT` runs. */
export interface ScriptPort {
  /** Whether a call has a chance now. */
  readonly available: boolean;
  /** It has none because the store moves, and other instances may still be asking the one of before. */
  readonly left?: boolean;
  /** Runs the script; undefined when it gave no answer in time. Never rejects. All keys of a call lie in one slot. */
  run(keys: readonly string[], args: readonly string[]): Promise<readonly unknown[] | undefined>;
  /** The part of a cluster that a key lies in; absent when all keys lie together. */
  slotOf?(key: string): number;
}

/** One decision, as the script takes it. */
export interface Question {
  readonly keys: readonly string[];
  readonly args: readonly string[];
  /** Numbers that the answer to it holds. */
  readonly length: number;
}

interface Asked {
  readonly question: Question;
  /** Takes the numbers from `at` on; undefined when there was no sound answer. */
  readonly answer: (numbers: readonly number[] | undefined, at: number) => void;
}

// Bounds how long one call keeps the server busy: a decision takes it about 8 µs.
const LARGEST_BATCH = 100;
const ONE_PLACE = 0;

/** The script with its questions gathered. */
export class ScriptCalls {
  readonly #port: ScriptPort;
  #waiting = new Map<number, Asked[]>();
  #scheduled = false;

  constructor(port: ScriptPort) {
    this.#port = port;
  }

  get available(): boolean {
    return this.#port.available;
  }

  get left(): boolean {
    return this.#port.left === true;
  }

  /** The place of a key: questions about keys of one place can be one decision. */
  placeOf(key: string): number {
    return this.#port.slotOf?.(key) ?? ONE_PLACE;
  }

  /** Asks; `answer` is called once, never at once. */
  ask(question: Question, answer: Asked["answer"]): void {
    const place = this.placeOf(question.keys[0] as string);
    let batch = this.#waiting.get(place);
    if (batch === undefined) {
      batch = [];
      this.#waiting.set(place, batch);
    }
    batch.push({ question, answer });
    if (batch.length >= LARGEST_BATCH) {
      this.#waiting.delete(place);
      this.#send(batch);
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    }
  }

  #flush(): void {
    this.#scheduled = false;
    const waiting = this.#waiting;
    // A map that is cleared keeps what it held reachable from its successor's past, until the next full collection.
    this.#waiting = new Map();
    for (const batch of waiting.values()) this.#send(batch);
  }

  #send(batch: readonly Asked[]): void {
    const keys: string[] = [];
    const args: string[] = [];
    let length = 1;
    for (const { question } of batch) {
      for (const key of question.keys) keys.push(key);
      for (const arg of question.args) args.push(arg);
      length += question.length;
    }
    const give = (reply: readonly unknown[] | undefined): void => {
      const numbers = reply === undefined ? undefined : wholeNumbers(reply, length);
      let at = 1;
      for (const { question, answer } of batch) {
        answer(numbers, at);
        at += question.length;
      }
    };
    this.#port.run(keys, args).then(give, () => give(undefined));
  }
}

/** `reply` if it consists of exactly `length` whole numbers, none of them negative. */
export function wholeNumbers(reply: readonly unknown[], length: number): readonly number[] | undefined {
  if (reply.length !== length) return undefined;
  for (const value of reply) if (!Number.isSafeInteger(value) || (value as number) < 0) return undefined;
  return reply as readonly number[];
}
