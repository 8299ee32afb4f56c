// Operational events. Rooms below the composition root never log: they emit one of these, typed and free of secrets.

/** What made the gateway read its file again. */
export type ReloadTrigger = "file" | "signal" | "admin" | "program";

export type GatewayEvent =
  | { readonly kind: "keys_refreshed"; readonly issuer: string; readonly keys: number }
  | {
      readonly kind: "keys_refresh_failed";
      readonly issuer: string;
      readonly reason: string;
      readonly stale: boolean;
    }
  | { readonly kind: "key_ignored"; readonly issuer: string; readonly reason: string }
  /** Another configuration is in force. */
  | {
      readonly kind: "config_applied";
      readonly trigger: ReloadTrigger;
      /** SHA-256 of the file's text. */
      readonly hash: string;
      readonly routes: number;
    }
  /** The file was not taken, and the configuration before it stays in force. */
  | {
      readonly kind: "config_rejected";
      readonly trigger: ReloadTrigger;
      readonly code: string;
      readonly message: string;
      readonly line?: number;
      readonly column?: number;
      /** Mistakes, or tests that failed. */
      readonly errors: number;
    }
  | { readonly kind: "store_unreachable"; readonly store: string; readonly reason: string }
  | { readonly kind: "store_recovered"; readonly store: string }
  /** The store deletes counters when its memory runs out, so limits may let more through than they say. */
  | { readonly kind: "store_evicts"; readonly store: string; readonly policy: string }
  /** A block of the failed-credential throttle began. */
  | {
      readonly kind: "credential_failures";
      readonly dimension: "address" | "credential";
      /** IPv4 address or IPv6 /64 that is blocked; only where the dimension is the address. */
      readonly client?: string;
      /** Failures in the trailing window. */
      readonly failures: number;
      readonly blockedForSeconds: number;
    }
  | {
      readonly kind: "upstream_failed";
      readonly upstream: string;
      readonly reason: string;
      readonly requestId: string;
    }
  /** The upstream's answer should tell what the request cost; the field holds no whole number, or stands there twice. */
  | {
      readonly kind: "cost_invalid";
      readonly upstream: string;
      readonly field: string;
      readonly requestId: string;
    }
  | {
      readonly kind: "tunnel_failed";
      readonly upstream: string;
      readonly reason: string;
      readonly requestId: string;
    };

export type Emit = (event: GatewayEvent) => void;
