// Questions to the user at a terminal.

import { createInterface, type Interface } from "node:readline/promises";
import type { Readable, Writable } from "node:stream";

const MOST_TRIES = 5;

/** Asks; every answer is undefined when the user broke off, or gave no usable one in five tries. */
export interface Ask {
  /** @param fault says what is wrong with an answer; undefined when nothing is */
  text(
    question: string,
    usual: string,
    fault: (answer: string) => string | undefined,
  ): Promise<string | undefined>;
  /** One answer, as a list. */
  list(
    question: string,
    usual: string,
    fault: (answer: string) => string | undefined,
  ): Promise<readonly string[] | undefined>;
  yes(question: string, usual: boolean): Promise<boolean | undefined>;
  /** Lets go of the terminal. */
  end(): void;
}

/** Undefined when `input` is no terminal, where nobody would answer. */
export function questions(input: Readable & { isTTY?: boolean }, output: Writable): Ask | undefined {
  if (input.isTTY !== true) return undefined;
  return new Questions(createInterface({ input, output }), output);
}

class Questions implements Ask {
  readonly #lines: Interface;
  readonly #output: Writable;
  readonly #closed: Promise<undefined>;

  constructor(lines: Interface, output: Writable) {
    this.#lines = lines;
    this.#output = output;
    // An end of input, or Ctrl-C, leaves a question unanswered for ever.
    this.#closed = new Promise((resolve) => lines.once("close", () => resolve(undefined)));
  }

  async text(
    question: string,
    usual: string,
    fault: (answer: string) => string | undefined,
  ): Promise<string | undefined> {
    const prompt = usual === "" ? `${question}: ` : `${question} [${usual}]: `;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const line = await Promise.race([this.#lines.question(prompt), this.#closed]);
      if (line === undefined) return undefined;
      const answer = line.trim() === "" ? usual : line.trim();
      const wrong = fault(answer);
      if (wrong === undefined) return answer;
      this.#output.write(`  ${wrong}\n`);
    }
    return undefined;
  }

  async list(
    question: string,
    usual: string,
    fault: (answer: string) => string | undefined,
  ): Promise<readonly string[] | undefined> {
    const answer = await this.text(question, usual, fault);
    return answer === undefined ? undefined : [answer];
  }

  async yes(question: string, usual: boolean): Promise<boolean | undefined> {
    const fault = (answer: string): string | undefined =>
      /^(?:y|yes|n|no)$/i.test(answer) ? undefined : "yes or no?";
    const answer = await this.text(`${question} (yes/no)`, usual ? "yes" : "no", fault);
    return answer === undefined ? undefined : /^y/i.test(answer);
  }

  end(): void {
    this.#lines.close();
  }
}
