// The signature algorithms that can be configured, and what each one demands of its key (RFC 7518 section 3.1, RFC 8037,
// RFC 9864). `none` isn't among them, so it can't be configured either.

interface AlgorithmEntry {
  readonly keyType: "oct" | "RSA" | "EC" | "OKP";
  readonly curve?: string;
  /** Least length of an HMAC secret: that of the hash (RFC 7518 section 3.2). */
  readonly secretBytes?: number;
  readonly hash?: string;
}

const ALGORITHMS: ReadonlyMap<string, AlgorithmEntry> = new Map([
  ["HS256", { keyType: "oct", secretBytes: 32, hash: "SHA-256" }],
  ["HS384", { keyType: "oct", secretBytes: 48, hash: "SHA-384" }],
  ["HS512", { keyType: "oct", secretBytes: 64, hash: "SHA-512" }],
  ["RS256", { keyType: "RSA" }],
  ["RS384", { keyType: "RSA" }],
  ["RS512", { keyType: "RSA" }],
  ["PS256", { keyType: "RSA" }],
  ["PS384", { keyType: "RSA" }],
  ["PS512", { keyType: "RSA" }],
  ["ES256", { keyType: "EC", curve: "P-256" }],
  ["ES384", { keyType: "EC", curve: "P-384" }],
  ["ES512", { keyType: "EC", curve: "P-521" }],
  ["EdDSA", { keyType: "OKP", curve: "Ed25519" }],
  ["Ed25519", { keyType: "OKP", curve: "Ed25519" }],
]);

/** RSA moduli outside this range are refused: weak below (RFC 7518 section 3.3), needlessly slow above. */
export const RSA_BITS = { least: 2048, most: 8192 } as const;

/** The hash of an HMAC algorithm as Web Crypto names it; undefined for every other algorithm. */
export function hmacHash(algorithm: string): string | undefined {
  return ALGORITHMS.get(algorithm)?.hash;
}

/** The number of bytes that `secret` would need for the strongest HMAC algorithm listed, when it is shorter; else undefined. */
export function weakSecret(algorithms: readonly string[], secret: Uint8Array): number | undefined {
  const needed = Math.max(0, ...algorithms.map((name) => ALGORITHMS.get(name)?.secretBytes ?? 0));
  return secret.length < needed ? needed : undefined;
}

/** What is wrong with a list of accepted algorithms, as a sentence; undefined when it can be used (RFC 8725 section 3.1). */
export function algorithmsFault(algorithms: readonly string[]): string | undefined {
  if (algorithms.length === 0) return "no algorithm is accepted";
  const unknown = algorithms.find((name) => !ALGORITHMS.has(name));
  if (unknown !== undefined) return `the algorithm "${unknown}" is not supported`;
  const symmetric = algorithms.filter((name) => hmacHash(name) !== undefined);
  return symmetric.length === 0 || symmetric.length === algorithms.length
    ? undefined
    : "HS* can't stand beside other algorithms: a public key could then be taken for a secret";
}

/** Whether the list, which has no fault, is of HMAC algorithms. */
export function isSymmetric(algorithms: readonly string[]): boolean {
  return algorithms.some((name) => hmacHash(name) !== undefined);
}

/** What of a JWK decides which algorithms it fits. */
export interface KeyShape {
  readonly kty: string;
  readonly crv?: string | undefined;
  readonly alg?: string | undefined;
}

// RFC 9864 gives "EdDSA" with this curve a name of its own; issuers publish and sign with either.
function sameAlgorithm(one: string, other: string): boolean {
  const plain = (name: string) => (name === "EdDSA" ? "Ed25519" : name);
  return plain(one) === plain(other);
}

/** Those of `allowed` that a key may be used with: type and curve fit, and so does its own `alg` if it names one. */
export function fittingAlgorithms(key: KeyShape, allowed: readonly string[]): string[] {
  return allowed.filter((name) => {
    const entry = ALGORITHMS.get(name);
    if (entry === undefined || entry.keyType !== key.kty || entry.curve !== key.crv) return false;
    return key.alg === undefined || sameAlgorithm(key.alg, name);
  });
}
