// Signs short-lived tokens with a shared secret, for the demo issuer of a fresh checkout.

import { SignJWT } from "jose/jwt/sign";

/** What a demo token says. */
export interface DemoClaims {
  readonly issuer: string;
  readonly audience: string;
  readonly subject: string;
  readonly scopes: readonly string[];
}

/** An HS256 access token (RFC 9068 in form) that ends after `ttlSeconds`. */
export async function signDemoToken(claims: DemoClaims, secret: string, ttlSeconds: number): Promise<string> {
  return await new SignJWT({ scope: claims.scopes.join(" ") })
    .setProtectedHeader({ alg: "HS256", typ: "at+jwt" })
    .setIssuer(claims.issuer)
    .setAudience(claims.audience)
    .setSubject(claims.subject)
    .setIssuedAt()
    .setExpirationTime(`${ttlSeconds}s`)
    .sign(new TextEncoder().encode(secret));
}
