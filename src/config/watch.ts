// Tells when a file has changed, however that was done: edited in place, replaced by a rename, or reached through symbolic
// links of which one was swapped, as Kubernetes does it. It asks for the state of the files again and again, since events of
// the file system are missing on some of them and name the wrong file after a swap.

import { stat } from "node:fs/promises";

/** How often files are looked at. */
export interface WatchTimings {
  readonly everyMs: number;
  /** How long a file must not have changed before it counts as written to its end. */
  readonly settledMs: number;
}

const TIMINGS: WatchTimings = { everyMs: 250, settledMs: 100 };

/** Looks at files until it is stopped. */
export class FileWatch {
  readonly #files: () => readonly string[];
  readonly #changed: () => Promise<unknown>;
  readonly #timings: WatchTimings;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #known = "";

  /**
   * @param files the files to look at, asked for anew each time
   * @param changed called once the files differ from what they were at its last call, one call at a time; never rejects
   */
  constructor(
    files: () => readonly string[],
    changed: () => Promise<unknown>,
    timings: Partial<WatchTimings> = {},
  ) {
    this.#files = files;
    this.#changed = changed;
    this.#timings = { ...TIMINGS, ...timings };
  }

  /** Takes the files as they are now for known, and begins to look. */
  async start(): Promise<void> {
    this.#known = await this.#look();
    this.#again(this.#timings.everyMs);
  }

  /** The state of the files, for `knows`. */
  look(): Promise<string> {
    return this.#look();
  }

  /** Somebody read the files after they were in this state, so that it is no news. */
  knows(state: string): void {
    this.#known = state;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #again(inMs: number): void {
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#check(), inMs).unref();
  }

  async #check(): Promise<void> {
    const found = await this.#look();
    if (found === this.#known) {
      this.#again(this.#timings.everyMs);
      return;
    }
    // Whoever writes in place does it in steps, and half a file may be a valid one.
    await new Promise((resolve) => setTimeout(resolve, this.#timings.settledMs).unref());
    if (this.#stopped) return;
    if ((await this.#look()) === found) {
      this.#known = found;
      await this.#changed();
    }
    this.#again(0);
  }

  async #look(): Promise<string> {
    return (await Promise.all(this.#files().map(stateOf))).join("\n");
  }
}

/** What changes with the content: which file it is, how long, and when it was written. */
async function stateOf(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return "absent";
  }
}
