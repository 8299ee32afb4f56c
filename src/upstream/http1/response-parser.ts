// Turns the bytes of one connection into answers: heads, pieces of bodies, ends. Knows nothing of sockets.

import { ChunkedBody } from "./chunked.ts";
import {
  CHUNKED,
  InvalidAnswer,
  parseResponseHead,
  type ResponseHead,
  UNTIL_CLOSE,
} from "./response-head.ts";

/** What the parser finds. After `stop` was called nothing more is reported. */
export interface ParserEvents {
  onHead(head: ResponseHead): void;
  /** A view of the bytes that were given; whoever needs it longer than this call copies or keeps the memory. */
  onBody(piece: Buffer): void;
  /**
   * The answer is complete.
   * @param persistent its connection may carry another request
   */
  onComplete(head: ResponseHead, persistent: boolean): void;
}

export const LARGEST_HEAD_BYTES = 64 * 1024;
const END = "\r\n\r\n";

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const CHUNKS = 3;
const REST = 4;
const STOPPED = 5;

export class ResponseParser {
  readonly #events: ParserEvents;
  readonly #chunked = new ChunkedBody();
  #state = IDLE;
  #method = "";
  #head: ResponseHead | undefined;
  /** The part of a head that came before the rest. */
  #held: Buffer | undefined;
  #left = 0;
  #persistent = true;

  constructor(events: ParserEvents) {
    this.#events = events;
  }

  /** No answer is expected now; any byte would be one that nobody asked for. */
  get idle(): boolean {
    return this.#state === IDLE;
  }

  /** The answer to a request of this method comes next. */
  expect(method: string): void {
    this.#method = method;
    this.#state = HEAD;
    this.#persistent = true;
  }

  /** Reports nothing more. */
  stop(): void {
    this.#state = STOPPED;
    this.#held = undefined;
  }

  /**
   * Reads the first `length` bytes.
   * @throws InvalidAnswer when they break the protocol, or when bytes follow that belong to no answer
   */
  read(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      switch (this.#state) {
        case HEAD:
          at = this.#readHead(bytes, at, length);
          break;
        case BODY:
          at = this.#readSized(bytes, at, length);
          break;
        case CHUNKS:
          at = this.#readChunks(bytes, at, length);
          break;
        case REST:
          this.#events.onBody(bytes.subarray(at, length));
          return;
        case STOPPED:
          return;
        default:
          throw new InvalidAnswer("bytes that belong to no answer");
      }
    }
  }

  /** The connection has ended in order: completes an answer that lasts until then. */
  end(): void {
    if (this.#state === REST) this.#complete();
  }

  #readHead(bytes: Buffer, from: number, to: number): number {
    if (this.#held === undefined) {
      const end = bytes.indexOf(END, from, "latin1");
      // What stands behind the bytes just read is left from earlier ones.
      if (end !== -1 && end + END.length <= to) {
        if (end - from > LARGEST_HEAD_BYTES) throw new InvalidAnswer("the head is too large");
        this.#onHead(bytes.toString("latin1", from, end + 2));
        return end + END.length;
      }
    }
    return this.#readHeldHead(this.#held, bytes.subarray(from, to), from);
  }

  /** A head that comes in pieces: they are put together until its last line is there. */
  #readHeldHead(held: Buffer | undefined, piece: Buffer, from: number): number {
    const known = held?.length ?? 0;
    const all = held === undefined ? Buffer.from(piece) : Buffer.concat([held, piece]);
    const end = all.indexOf(END, Math.max(0, known - END.length + 1), "latin1");
    if (end > LARGEST_HEAD_BYTES || (end === -1 && all.length > LARGEST_HEAD_BYTES + END.length - 1)) {
      throw new InvalidAnswer("the head is too large");
    }
    if (end === -1) {
      if (!mayBecomeHttp(all)) throw new InvalidAnswer("the answer does not begin with HTTP/1.0 or HTTP/1.1");
      this.#held = all;
      return from + piece.length;
    }
    this.#held = undefined;
    this.#onHead(all.toString("latin1", 0, end + 2));
    return from + end + END.length - known;
  }

  #onHead(text: string): void {
    const head = parseResponseHead(text, this.#method);
    if (head.status === 101) throw new InvalidAnswer("the protocol was switched though nobody asked for it");
    this.#head = head;
    // An interim answer may be the one that says so (RFC 9112 section 9.6).
    this.#persistent &&= head.persistent;
    const interim = head.status < 200;
    if (!interim) {
      this.#left = head.bodyLength;
      if (head.bodyLength === CHUNKED) {
        this.#chunked.reset();
        this.#state = CHUNKS;
      } else this.#state = head.bodyLength === UNTIL_CLOSE ? REST : BODY;
    }
    this.#events.onHead(head);
    if (!interim && this.#state === BODY && this.#left === 0) this.#complete();
  }

  #readSized(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#left);
    this.#left -= end - from;
    this.#events.onBody(bytes.subarray(from, end));
    if (this.#left === 0 && this.#state === BODY) this.#complete();
    return end;
  }

  #readChunks(bytes: Buffer, from: number, to: number): number {
    const at = this.#chunked.read(bytes, from, to, (start, end) => {
      this.#events.onBody(bytes.subarray(start, end));
      return this.#state === CHUNKS;
    });
    if (this.#state !== CHUNKS) return to;
    if (this.#chunked.done) this.#complete();
    return at;
  }

  #complete(): void {
    const head = this.#head as ResponseHead;
    this.#head = undefined;
    this.#state = IDLE;
    this.#events.onComplete(head, this.#persistent);
  }
}

const BEGINNING = "HTTP/1.";

/** Another protocol is told by its first bytes; it may never send an empty line. */
function mayBecomeHttp(bytes: Buffer): boolean {
  const length = Math.min(bytes.length, BEGINNING.length);
  return bytes.toString("latin1", 0, length) === BEGINNING.slice(0, length);
}
