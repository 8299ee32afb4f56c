// What the JWT authenticator is told about one issuer; compiled from the `issuers` section.

/** Where the verification keys come from. Keys of a token's own header are never used (RFC 8725 section 3.10). */
export type KeySource =
  | { readonly kind: "secret"; readonly secret: Uint8Array }
  /** A JWK Set (RFC 7517) or PEM text, read at load. */
  | { readonly kind: "jwks"; readonly keys: readonly Readonly<Record<string, unknown>>[] }
  | { readonly kind: "pem"; readonly pem: string }
  | { readonly kind: "jwksUri"; readonly url: string }
  /** OpenID Connect Discovery or RFC 8414, starting from the issuer, or one exact metadata URL. */
  | { readonly kind: "discovery"; readonly url: string | undefined };

export interface ClaimNames {
  /** Each entry is a path: claim names from the outside in. */
  readonly subject: readonly string[];
  /** Undefined: the union of `scope`, `scp`, `scopes` and `permissions`. */
  readonly scopes: readonly string[] | undefined;
  readonly roles: readonly string[];
  readonly org: readonly string[];
  readonly email: readonly string[];
  readonly tier: readonly string[];
}

export interface IssuerPolicy {
  /** Key in gateway.yaml. */
  readonly name: string;
  /** Exact `iss` value. */
  readonly issuer: string;
  /** Accepted `aud` values; undefined only where the file says `audience: none`. */
  readonly audience: readonly string[] | undefined;
  /** Accepted `alg` values; all HS* or all asymmetric. */
  readonly algorithms: readonly string[];
  readonly source: KeySource;
  /** Clock leeway in seconds, 0 to 120. */
  readonly leewaySeconds: number;
  /** Accepted `typ` header values, lower case without `application/`; undefined: `at+jwt`, `jwt` or none. */
  readonly types: readonly string[] | undefined;
  /** When given, `client_id` or `azp` must equal it. */
  readonly clientId: string | undefined;
  readonly claims: ClaimNames;
}
