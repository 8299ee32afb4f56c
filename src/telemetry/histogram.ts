// A histogram that costs next to nothing to add to: fixed buckets, one array, no allocation.

/** Upper bounds in milliseconds, ascending. */
export type Bounds = readonly number[];

/** How many observations there were up to each bound. */
export interface HistogramReading {
  /** Upper bound in seconds, and the observations at or below it. */
  readonly buckets: readonly (readonly [seconds: number, count: number])[];
  readonly count: number;
  readonly sumSeconds: number;
}

const MS_PER_SECOND = 1_000;

export class Histogram {
  readonly #bounds: Bounds;
  // One cell for each bound, one for what is above the last, and the sum: an element of such an array is never boxed.
  readonly #cells: Float64Array;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#cells = new Float64Array(bounds.length + 2);
  }

  /** Adds one observation. */
  observe(ms: number): void {
    const bounds = this.#bounds;
    const cells = this.#cells;
    let index = 0;
    // Most observations fall into the first buckets, so a search by halves would be slower.
    while (index < bounds.length && ms > (bounds[index] as number)) index++;
    cells[index] = (cells[index] as number) + 1;
    cells[bounds.length + 1] = (cells[bounds.length + 1] as number) + ms;
  }

  /** The state of this moment. */
  read(): HistogramReading {
    let count = 0;
    const buckets = this.#bounds.map((bound, index) => {
      count += this.#cells[index] as number;
      return [bound / MS_PER_SECOND, count] as const;
    });
    return {
      buckets,
      count: count + (this.#cells[this.#bounds.length] as number),
      sumSeconds: (this.#cells[this.#bounds.length + 1] as number) / MS_PER_SECOND,
    };
  }
}
