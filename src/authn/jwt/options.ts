// The shape of one entry of `issuers` in gateway.yaml.

import * as z from "zod";
import { DURATION, DURATION_HINT } from "../../core/units.ts";
import { notYet, SECRET_FILE, VARIABLE } from "../../core/wording.ts";

const filled = z.string().min(1, "expected at least one character");
const claim = filled
  .max(256)
  .describe("Claim: a name, `outer.inner`, or a JSON pointer such as `/outer/inner`");

export const issuerShape = {
  issuer: filled.max(2048).describe("Exact `iss` value of the tokens"),
  discovery: filled
    .describe("URL of the metadata document, where it isn't at the usual place below the issuer")
    .optional(),
  jwksUri: filled.describe("URL of the issuer's key set").optional(),
  jwks: filled.describe("File with a JWK Set or a PEM public key, relative to this file").optional(),
  secret: filled
    .describe(`Shared secret for HS256, HS384 or HS512; as ${VARIABLE} or ${SECRET_FILE}`)
    .optional(),
  audience: z
    .union([filled, z.array(filled).min(1)], "expected the audience, a list of audiences, or none")
    .describe("Accepted `aud` values; `none` says that audiences are not checked")
    .optional(),
  algorithms: z.array(z.string()).min(1).describe("Accepted signature algorithms").optional(),
  leeway: z
    .string(DURATION_HINT)
    .regex(DURATION, DURATION_HINT)
    .describe("Tolerated clock difference, at most 120s; 30s unless said")
    .optional(),
  typ: z
    .union([filled, z.array(filled).min(1)], "expected a media type such as at+jwt, or a list of them")
    .describe("Accepted `typ` header values")
    .optional(),
  clientId: filled.describe("When given, the token's client has to be this one").optional(),
  claims: z
    .strictObject({
      subject: claim.optional(),
      scopes: claim.optional(),
      roles: claim.optional(),
      org: claim.optional(),
      email: claim.optional(),
      tier: claim.optional(),
    })
    .describe("Where the token holds what")
    .optional(),
  allowHttp: z
    .boolean()
    .describe("Keys may come over plain http from hosts other than this machine")
    .optional(),
  introspection: z.never(notYet("introspection")).optional(),
  requireDpop: z.never(notYet("requireDpop")).optional(),
};
