// All metrics of one gateway in the text format of Prometheus. Labels come from the file and from closed lists, so their
// number is bounded by the file.

import { CONTENT_TYPE, exposition, type Family } from "./exposition.ts";
import { limitFamilies } from "./metrics-limits.ts";
import { ProcessMetrics } from "./metrics-process.ts";
import type { MetricsSource } from "./metrics-source.ts";
import { stateFamilies } from "./metrics-state.ts";
import { trafficFamilies } from "./metrics-traffic.ts";

export type {
  IssuerKeys,
  LimitStats,
  MetricsSource,
  OpenNow,
  ReloadFigures,
  StoreStats,
} from "./metrics-source.ts";

/** The metrics of one gateway. */
export class Metrics {
  readonly contentType = CONTENT_TYPE;
  readonly #families: readonly Family[];
  readonly #process = new ProcessMetrics();
  #scrape: Promise<readonly Buffer[]> | undefined;

  constructor(source: MetricsSource) {
    this.#families = [...stateFamilies(source), ...trafficFamilies(source), ...limitFamilies(source)];
  }

  /** All metrics as they are now, as UTF-8 in pieces. Whoever asks while they are written gets the same pieces. */
  scrape(): Promise<readonly Buffer[]> {
    this.#scrape ??= this.#write().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
  }

  /** All metrics as they are now. */
  async text(): Promise<string> {
    return Buffer.concat(await this.scrape()).toString();
  }

  async #write(): Promise<readonly Buffer[]> {
    const pieces = await exposition(this.#families);
    return [...pieces, Buffer.from(await this.#process.text())];
  }
}
