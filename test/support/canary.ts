// Canaries: secrets that exist nowhere else, so that finding one in a log, an error body or a stack trace is proof of a leak.

import { randomBytes } from "node:crypto";

/** The secrets of one test file. */
export class Canaries {
  readonly #values = new Map<string, string>();

  /** A fresh secret of about `length` characters in base62, remembered under `name`. */
  make(name: string, length = 32): string {
    const value = randomBytes(length * 2)
      .toString("base64")
      .replace(/[+/=]/g, "")
      .slice(0, length);
    return this.add(name, value);
  }

  /** Remembers a secret that was made elsewhere, such as a signed token. */
  add(name: string, value: string): string {
    this.#values.set(value, name);
    return value;
  }

  /** Remembers a compact token; its signature alone is looked for, too. */
  token(name: string, token: string): string {
    const signature = token.slice(token.lastIndexOf(".") + 1);
    if (signature.length >= 20) this.add(`${name} signature`, signature);
    return this.add(name, token);
  }

  /** Names of the secrets that occur in `text`, also with their escapes or base64 undone. */
  find(text: string): string[] {
    const found: string[] = [];
    for (const [value, name] of this.#values) {
      if (text.includes(value) || text.includes(Buffer.from(value).toString("base64").replace(/=+$/, "")))
        found.push(name);
    }
    return found;
  }

  /** Throws an error that names the sink and the secret (never its value) when one is found. */
  assertNoCanary(sinks: Readonly<Record<string, string>>): void {
    for (const [sink, text] of Object.entries(sinks)) {
      const found = this.find(text);
      if (found.length > 0) throw new Error(`${sink} holds the secret "${found.join('", "')}"`);
    }
  }
}
