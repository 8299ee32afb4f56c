// What may pass between client and upstream, by field name. Compiled once per configuration; a name is judged once and
// the verdict remembered.

import { foldName } from "../core/fields.ts";
import { Remembered } from "../core/remembered.ts";

/** Never forwarded in either direction: they speak of one connection only (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "trailer",
  "proxy-authenticate",
  "proxy-authorization",
  "http2-settings",
];

/** Set by the gateway on every forwarded request, or dangerous to believe; what the client sent under them is dropped. */
const GATEWAY_OWNED = [
  "host",
  "expect",
  "forwarded",
  "via",
  "x-request-id",
  "x-identity-token",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "fastly-client-ip",
  "x-original-url",
  "x-original-uri",
  "x-original-method",
  "x-original-host",
  "x-rewrite-url",
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-middleware-subrequest",
  "x-envoy-original-path",
  "client-cert",
  "client-cert-chain",
  "remote-user",
  "remote-email",
  "remote-groups",
  "remote-name",
];

// Whole families under these beginnings are the gateway's too.
const OWNED_PREFIXES = [
  "xforwarded",
  "xgateway",
  "xgatewarden",
  "xauthrequest",
  "xenvoyoriginal",
  "xmiddleware",
];

// Names whose folded twins (`Transfer_Encoding`) some upstream may take for the real ones.
const FRAMING = [
  "content-length",
  "content-type",
  "content-encoding",
  "cookie",
  "authorization",
  "range",
  "origin",
];

/** What is done with a client's field. */
export type FieldVerdict = "keep" | "drop" | "credential" | "length";

/** Why a field of the client's is dropped. */
export type DropReason = "hop_by_hop" | "identity" | "gateway_owned" | "look_alike";

export class RequestFieldRules {
  readonly #verdicts = new Remembered<FieldVerdict>(4096);
  readonly #owned: ReadonlySet<string>;
  readonly #protected: ReadonlySet<string>;
  readonly #credentials: ReadonlySet<string>;
  readonly #identity: ReadonlySet<string>;

  /**
   * @param identityNames every identity header, whether or not this principal gets a value for it
   * @param credentialNames fields that carry credentials, lower case
   */
  constructor(identityNames: readonly string[], credentialNames: readonly string[]) {
    this.#owned = new Set([...HOP_BY_HOP, ...GATEWAY_OWNED, ...identityNames].map(foldName));
    this.#protected = new Set([...FRAMING, ...credentialNames].map(foldName));
    this.#credentials = new Set(credentialNames);
    this.#identity = new Set(identityNames.map(foldName));
  }

  /** The verdict on a field called `name` (lower case). */
  verdict(name: string): FieldVerdict {
    const known = this.#verdicts.get(name);
    if (known !== undefined) return known;
    const verdict = this.#judge(name);
    this.#verdicts.set(name, verdict);
    return verdict;
  }

  /** Why a field whose verdict is `drop` is dropped. */
  dropReason(name: string): DropReason {
    if (HOP_BY_HOP.includes(name)) return "hop_by_hop";
    const folded = foldName(name);
    const twin = folded.endsWith("bin") ? folded.slice(0, -3) : folded;
    if (this.#identity.has(folded) || this.#identity.has(twin)) return "identity";
    return this.#owns(folded) || this.#owns(twin) ? "gateway_owned" : "look_alike";
  }

  #judge(name: string): FieldVerdict {
    if (name === "content-length") return "length";
    if (this.#credentials.has(name)) return "credential";
    const folded = foldName(name);
    if (this.#owns(folded) || (folded.endsWith("bin") && this.#owns(folded.slice(0, -3)))) return "drop";
    if (this.#protected.has(folded) && !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(name)) return "drop";
    return "keep";
  }

  #owns(folded: string): boolean {
    return this.#owned.has(folded) || OWNED_PREFIXES.some((prefix) => folded.startsWith(prefix));
  }
}

const RESPONSE_DROPPED: ReadonlySet<string> = new Set(HOP_BY_HOP);

/** Whether an upstream's response field ends at the gateway. */
export function endsHere(name: string): boolean {
  return RESPONSE_DROPPED.has(name);
}

/** The field names, in lower case, that a Connection value nominates as hop-by-hop, beside its own options. */
export function nominated(
  connection: string | readonly string[] | undefined,
): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === "") return undefined;
  const value = typeof connection === "string" ? connection : connection.join(",");
  if (value === "keep-alive" || value === "close" || value === "Keep-Alive") return undefined;
  const names = new Set<string>();
  for (const token of value.split(",")) {
    const name = token.trim().toLowerCase();
    // The length frames the body; a client can't wish it away.
    if (name !== "" && name !== "content-length") names.add(name);
  }
  return names;
}
