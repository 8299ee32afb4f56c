// What is known about one upstream, compiled from the `upstreams` section.

export interface UpstreamTimeouts {
  /** Milliseconds until a connection has to stand. */
  readonly connectMs: number;
  /** Milliseconds from the request's last byte to the answer's header section. */
  readonly headersMs: number;
  /** Milliseconds without a byte of the answer's body. */
  readonly idleMs: number;
  /** Milliseconds for the whole exchange; 0: no bound. */
  readonly totalMs: number;
}

export interface UpstreamPolicy {
  readonly name: string;
  /** `http://host:port` or `https://host:port`. */
  readonly origin: string;
  /** Path put before every forwarded path; empty or `/v1` without a last slash. */
  readonly basePath: string;
  readonly timeouts: UpstreamTimeouts;
  /** `keep`: the client's Host; `target`: the upstream's own; else this very value. */
  readonly hostHeader: "keep" | "target" | { readonly value: string };
}
