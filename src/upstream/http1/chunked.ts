// Takes the chunked transfer coding off a body, piece by piece (RFC 9112 section 7.1). Extensions and trailer fields are
// checked, bounded and dropped.

import { InvalidAnswer, TOKEN } from "./response-head.ts";

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER_START = 6;
const TRAILER_NAME = 7;
const TRAILER = 8;
const TRAILER_LF = 9;
const LAST_LF = 10;
const DONE = 11;

// 13 hexadecimal digits: the largest size stays below 2^53.
const MOST_SIZE_DIGITS = 13;
/** Bytes of extensions in one chunk, and of all trailer fields together. */
const MOST_IGNORED_BYTES = 16 * 1024;
const CR = 13;
const LF = 10;
const COLON = 0x3a;
const SEMICOLON = 0x3b;
const TOKEN_BYTES = Uint8Array.from({ length: 256 }, (_, byte) =>
  TOKEN.test(String.fromCharCode(byte)) ? 1 : 0,
);

export class ChunkedBody {
  #state = SIZE;
  #left = 0;
  #digits = 0;
  #ignored = 0;

  get done(): boolean {
    return this.#state === DONE;
  }

  /** Begins the next body. */
  reset(): void {
    this.#state = SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#ignored = 0;
  }

  /**
   * Reads `bytes` from `from` to `to` and hands pieces of the body to `onData`, until the body is complete, the bytes
   * are used up or `onData` answers false.
   * @returns where it stopped
   * @throws InvalidAnswer
   */
  read(bytes: Buffer, from: number, to: number, onData: (start: number, end: number) => boolean): number {
    let at = from;
    while (at < to && this.#state !== DONE) {
      if (this.#state === DATA) {
        const end = Math.min(to, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.#state = DATA_CR;
        const start = at;
        at = end;
        if (!onData(start, end)) return at;
      } else {
        this.#step(bytes[at] as number);
        at += 1;
      }
    }
    return at;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case SIZE:
        this.#size(byte);
        return;
      case EXTENSION:
        if (byte === CR) this.#state = SIZE_LF;
        else this.#ignore(byte);
        return;
      case SIZE_LF:
        expectByte(byte, LF);
        this.#ignored = 0;
        this.#digits = 0;
        this.#state = this.#left === 0 ? TRAILER_START : DATA;
        return;
      case DATA_CR:
        expectByte(byte, CR);
        this.#state = DATA_LF;
        return;
      case DATA_LF:
        expectByte(byte, LF);
        this.#state = SIZE;
        return;
      case TRAILER_START:
        if (byte === CR) this.#state = LAST_LF;
        else {
          this.#ignoreName(byte);
          this.#state = TRAILER_NAME;
        }
        return;
      case TRAILER_NAME:
        if (byte === COLON) {
          this.#ignore(byte);
          this.#state = TRAILER;
        } else this.#ignoreName(byte);
        return;
      case TRAILER:
        if (byte === CR) this.#state = TRAILER_LF;
        else this.#ignore(byte);
        return;
      case TRAILER_LF:
        expectByte(byte, LF);
        this.#state = TRAILER_START;
        return;
      default:
        expectByte(byte, LF);
        this.#state = DONE;
    }
  }

  #size(byte: number): void {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      this.#digits += 1;
      if (this.#digits > MOST_SIZE_DIGITS) throw new InvalidAnswer("a chunk is too large");
      this.#left = this.#left * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw new InvalidAnswer("a chunk has no size");
    if (byte === CR) this.#state = SIZE_LF;
    else if (byte === SEMICOLON) this.#state = EXTENSION;
    else throw new InvalidAnswer("a chunk's size is no number");
  }

  /** A line without a name is no trailer: perhaps the next answer, which must not be swallowed. */
  #ignoreName(byte: number): void {
    if (TOKEN_BYTES[byte] !== 1) throw new InvalidAnswer("a trailer has no name");
    this.#ignore(byte);
  }

  #ignore(byte: number): void {
    if ((byte < 0x20 && byte !== 9) || byte === 0x7f) throw new InvalidAnswer("a forbidden character");
    this.#ignored += 1;
    if (this.#ignored > MOST_IGNORED_BYTES) throw new InvalidAnswer("extensions or trailers are too long");
  }
}

function expectByte(byte: number, expected: number): void {
  if (byte !== expected) throw new InvalidAnswer("a line of the chunked coding does not end where it has to");
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const letter = byte | 0x20;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
