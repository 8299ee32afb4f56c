// A memory for what was worked out of strings that come from outside. It is bounded in number and in length, because
// whoever sends the strings chooses both.

/** What is never longer in honest traffic. */
const LONGEST_NAME = 64;

export class Remembered<V> {
  readonly #known = new Map<string, V>();
  readonly #most: number;
  readonly #longest: number;

  /**
   * @param most entries kept; what comes later is not remembered
   * @param longest characters of a string that is worth it
   */
  constructor(most: number, longest: number = LONGEST_NAME) {
    this.#most = most;
    this.#longest = longest;
  }

  get(text: string): V | undefined {
    return this.#known.get(text);
  }

  /** Whether `set` would keep it. */
  takes(text: string): boolean {
    return this.#known.size < this.#most && text.length <= this.#longest;
  }

  set(text: string, value: V): void {
    if (this.takes(text)) this.#known.set(text, value);
  }
}
