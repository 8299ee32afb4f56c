// What the store asks of whatever lies between it and Redis: one server, a master that Sentinels name, or a cluster.

import { createHash } from "node:crypto";

/** A script with the name that the server knows it by. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

/** Prepares a script. */
export function scriptOf(text: string): Script {
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

/** What a link tells unasked. */
export interface LinkEvents {
  /** Calls can be sent. */
  ready(): void;
  /** Something that calls need was lost. */
  lost(reason: string): void;
}

/** A way to Redis that keeps itself up until it is closed. */
export interface Link {
  /** Whether calls can be sent now. */
  readonly ready: boolean;
  /** Slot of a key; only where keys are spread over several servers. */
  readonly slotOf?: (key: string) => number;
  /** Connects. Resolves when the first attempt ended, however it did; it is tried on and on in any case. */
  open(): Promise<void>;
  /** Ends every connection and timer. */
  close(): Promise<void>;
  /**
   * Runs a script where its keys live; all of them live in one slot. Starts nothing after `until` (`performance.now()`),
   * since nobody waits any more. The caller has the deadline for the answer. Rejects with what `reasonOf` understands.
   */
  evaluate(script: Script, keys: readonly string[], args: readonly string[], until: number): Promise<unknown>;
  /** A call for these keys got no answer in time. A connection on which that goes on is given up. */
  late(keys: readonly string[]): void;
  /** Learns where keys live now. Rejects when that can't be said. */
  refresh(): Promise<void>;
  /** One key on each server that has to be well. */
  probeKeys(prefix: string): readonly string[];
  /** The server is well: the next attempt to reconnect may come soon. */
  settle(): void;
  /** What stays the same as long as the server and its data do; undefined where that can't be known. */
  identity(): Promise<string | undefined>;
  /** One section of the server's INFO; undefined where there is no single server. */
  info(section: "memory"): Promise<string | undefined>;
}
