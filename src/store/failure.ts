// Why a call to Redis failed, as one word of a bounded set: never a message, which may quote keys, a URL or a password.

/** A failure that is known by its reason. */
export class StoreFailure extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(`the store failed: ${reason}`);
    this.name = "StoreFailure";
    this.reason = reason;
  }
}

// The first words of the server's error answers, Redis and Sentinel and Cluster alike.
const ANSWERS = new Set(
  (
    "ASK BUSY BUSYKEY CLUSTERDOWN CROSSSLOT ERR IDONTKNOW INPROG INVALIDOBJ LOADING MASTERDOWN MISCONF MOVED NOAUTH " +
    "NOGOODSLAVE NOMASTER NOPERM NOREPLICAS NOSCRIPT OOM READONLY TRYAGAIN UNBLOCKED UNKILLABLE WRONGPASS WRONGTYPE"
  ).split(" "),
);
const SYSTEM = /\bE(?:CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH|NOTFOUND|PIPE|TIMEDOUT|AI_AGAIN)\b/;
const MOST_REASONS = 64;

/** The kind of an error in lower case, such as `econnrefused`, `readonly` or `cert_has_expired`. */
export function reasonOf(error: unknown): string {
  if (error instanceof StoreFailure) return error.reason;
  if (!(error instanceof Error)) return "error";
  const code = "code" in error ? error.code : undefined;
  if (typeof code === "string" && /^[A-Z][A-Z0-9_]{1,49}$/.test(code)) return code.toLowerCase();
  const { message } = error;
  const word = /^[A-Z]{2,20}(?= |$)/.exec(message)?.[0] ?? "";
  if (ANSWERS.has(word)) return word.toLowerCase();
  const system = SYSTEM.exec(message)?.[0];
  if (system !== undefined) return system.toLowerCase();
  if (/time(?:d )?out/i.test(message)) return "timeout";
  if (message.includes("isn't writeable")) return "not_connected";
  return /certificate|altnames/i.test(message) ? "certificate" : "connection_lost";
}

/** Counts failures by reason. */
export class FailureCounts {
  readonly #counts = new Map<string, number>();

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  add(reason: string): void {
    const known = this.#counts.has(reason) || this.#counts.size < MOST_REASONS;
    const key = known ? reason : "other";
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }
}
