// The lines of a text, found when they are asked for: a hostile file may have millions.

export class Lines {
  readonly #source: string;
  #starts: Uint32Array | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  /** The text of a line, counted from 0, without its end; undefined when there is none. */
  at(index: number): string | undefined {
    const starts = this.#all();
    const start = starts[index];
    if (start === undefined) return undefined;
    const next = starts[index + 1];
    const text = this.#source.slice(start, next === undefined ? undefined : next - 1);
    return text.endsWith("\r") ? text.slice(0, -1) : text;
  }

  /** Line and column, both from 1, of an offset. */
  place(at: number): { line: number; column: number } {
    const starts = this.#all();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - (starts[low] ?? 0) + 1 };
  }

  #all(): Uint32Array {
    if (this.#starts !== undefined) return this.#starts;
    let count = 1;
    for (let at = this.#source.indexOf("\n"); at !== -1; at = this.#source.indexOf("\n", at + 1)) count++;
    const starts = new Uint32Array(count);
    let index = 1;
    for (let at = this.#source.indexOf("\n"); at !== -1; at = this.#source.indexOf("\n", at + 1))
      starts[index++] = at + 1;
    this.#starts = starts;
    return starts;
  }
}
