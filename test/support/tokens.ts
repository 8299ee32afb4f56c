// Keys and tokens for tests, made with node:crypto alone, so that what is verified was never written by the code under test.

import {
  constants,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signBytes,
} from "node:crypto";

export type Claims = Record<string, unknown>;
export type Jwk = Record<string, unknown>;

/** A key that signs test tokens. `jwk` is its public half as it stands in a JWK Set (an `oct` key for HMAC). */
export interface SigningKey {
  readonly alg: string;
  readonly kid: string;
  readonly jwk: Jwk;
  /** The private key, or the HMAC secret. */
  readonly signer: KeyObject | Buffer;
  /** SPKI PEM of the public half; empty for HMAC. */
  readonly pem: string;
}

const CURVES: Record<string, string> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

function keyPair(alg: string, rsaBits: number): { publicKey: KeyObject; privateKey: KeyObject } {
  const namedCurve = CURVES[alg];
  if (namedCurve !== undefined) return generateKeyPairSync("ec", { namedCurve });
  if (alg === "EdDSA" || alg === "Ed25519") return generateKeyPairSync("ed25519");
  return generateKeyPairSync("rsa", { modulusLength: rsaBits });
}

/**
 * Makes a fresh key for `alg` (RS*, PS*, ES*, EdDSA, Ed25519, HS*). RSA takes about 100 ms: make it once per file.
 * The JWK carries `kid`, `alg` and `use`; take members off with a spread where a test needs less.
 */
export function makeKey(
  alg: string,
  kid = `${alg}-${randomBytes(4).toString("hex")}`,
  rsaBits = 2048,
): SigningKey {
  if (alg.startsWith("HS")) {
    const secret = randomBytes(64);
    return {
      alg,
      kid,
      signer: secret,
      pem: "",
      jwk: { kty: "oct", k: secret.toString("base64url"), kid, alg },
    };
  }
  const { publicKey, privateKey } = keyPair(alg, rsaBits);
  return {
    alg,
    kid,
    signer: privateKey,
    pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    jwk: { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" },
  };
}

/** Signature over `input` as `alg` (default: the key's own) makes it; ECDSA as raw R||S (RFC 7518 section 3.4). */
export function signature(input: string, key: SigningKey, alg = key.alg): Buffer {
  const data = Buffer.from(input);
  const hash = `sha${alg.slice(2)}`;
  if (Buffer.isBuffer(key.signer)) return createHmac(hash, key.signer).update(data).digest();
  if (alg === "EdDSA" || alg === "Ed25519") return signBytes(null, data, key.signer);
  if (alg.startsWith("ES")) return signBytes(hash, data, { key: key.signer, dsaEncoding: "ieee-p1363" });
  if (!alg.startsWith("PS")) return signBytes(hash, data, key.signer);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return signBytes(hash, data, { key: key.signer, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
}

/** Base64url without padding, of text or bytes. */
export function base64url(value: string | Uint8Array): string {
  return Buffer.from(value).toString("base64url");
}

/** A token with exactly these two JSON texts (or bytes), correctly signed: for malformed JSON, duplicates, odd numbers. */
export function signRaw(header: string | Uint8Array, payload: string | Uint8Array, key: SigningKey): string {
  const input = `${base64url(header)}.${base64url(payload)}`;
  return `${input}.${base64url(signature(input, key))}`;
}

/** A signed token. `header` is laid over `{alg, kid}`; a member set to undefined is left out. */
export function signToken(claims: Claims, key: SigningKey, header: Claims = {}): string {
  return signRaw(JSON.stringify({ alg: key.alg, kid: key.kid, ...header }), JSON.stringify(claims), key);
}

/** J01: unsigned tokens in every spelling of `none`, with and without a signature and the last dot. */
export function forgeUnsigned(claims: Claims): string[] {
  const tokens: string[] = [];
  for (const alg of ["none", "None", "nOnE", "NONE", "", undefined, null, ["none"]]) {
    const input = `${base64url(JSON.stringify({ alg, typ: "JWT" }))}.${base64url(JSON.stringify(claims))}`;
    tokens.push(`${input}.`, input, `${input}.${base64url(randomBytes(256))}`);
  }
  return tokens;
}

/** J02: HS256 tokens whose secret is the issuer's public key, in every form in which a verifier might hold it. */
export function forgeHmacFromPublicKey(claims: Claims, key: SigningKey): string[] {
  const pem = key.pem;
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const number = typeof key.jwk.n === "string" ? key.jwk.n : String(key.jwk.x);
  const secrets = [
    pem,
    pem.trimEnd(),
    der,
    JSON.stringify(key.jwk),
    Buffer.from(number, "base64url"),
    number,
  ];
  return secrets.map((secret) => {
    const signer = Buffer.from(secret);
    return signToken(claims, { ...key, alg: "HS256", signer });
  });
}

/** J05 and J06: tokens of a stranger's key that offer this very key in their own header. */
export function forgeHeaderKeys(claims: Claims, stranger: SigningKey, kid: string, url: string): string[] {
  const der = stranger.pem.replace(/-----[^-]+-----|\s/g, "");
  const headers: Claims[] = [
    { jwk: stranger.jwk },
    { jku: url },
    { x5u: url },
    { x5c: [der] },
    { jku: "http://169.254.169.254/latest/keys" },
    { jku: "file:///etc/passwd" },
  ];
  return headers.flatMap((header) => [
    signToken(claims, stranger, { ...header, kid }),
    signToken(claims, stranger, header),
  ]);
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Other last characters that a lax decoder reads as the same bytes; none when the length leaves no unused bits. */
function lastCharacters(part: string): string[] {
  const unused = part.length % 4 === 2 ? 4 : part.length % 4 === 3 ? 2 : 0;
  const value = ALPHABET.indexOf(part.slice(-1));
  const others: string[] = [];
  for (let bits = 1; bits < 1 << unused; bits++) others.push(part.slice(0, -1) + ALPHABET[value ^ bits]);
  return others;
}

/** J30: every other spelling of a valid token that some decoder takes for the same bytes. */
export function forgeSpellings(token: string): string[] {
  const parts = token.split(".");
  const spellings: string[] = [` ${token}`, `${token} `, `${token}\n`, `${token}.`, `.${token}`];
  for (const [index, part] of parts.entries()) {
    const middle = part.length >> 1;
    const variants = ["=", "==", " ", "\t", "\n", "\r\n", "\u0000", "!", "\u00e9"].flatMap((extra) => [
      part + extra,
      part.slice(0, middle) + extra + part.slice(middle),
    ]);
    if (/[-_]/.test(part)) variants.push(part.replace(/-/g, "+").replace(/_/g, "/"));
    for (const variant of [...variants, ...lastCharacters(part)]) {
      spellings.push(parts.map((other, position) => (position === index ? variant : other)).join("."));
    }
  }
  return spellings;
}

/** J32: a valid ECDSA or RSA token with its signature replaced by each of the known bad ones. */
export function forgeSignatures(token: string, key: SigningKey): string[] {
  const input = token.slice(0, token.lastIndexOf("."));
  const good = Buffer.from(token.slice(token.lastIndexOf(".") + 1), "base64url");
  const zeros = Buffer.alloc(good.length);
  const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
  const bad = [
    zeros,
    Buffer.alloc(0),
    Buffer.concat([good, zeros.subarray(0, 1)]),
    Buffer.concat([zeros.subarray(0, 1), good]),
    good.subarray(0, -1),
    Buffer.alloc(good.length, 0xff),
    Buffer.from(good.map((byte, index) => (index === 0 ? byte ^ 1 : byte))),
    Buffer.concat([order, order]),
    Buffer.concat([order, good.subarray(32)]),
  ];
  if (key.alg.startsWith("ES") && !Buffer.isBuffer(key.signer)) {
    bad.push(
      signBytes(`sha${key.alg.slice(2)}`, Buffer.from(input), { key: key.signer, dsaEncoding: "der" }),
    );
  }
  return bad.map((bytes) => `${input}.${base64url(bytes)}`);
}
