// The shape of one entry of `issuers` in gateway.yaml.

import * as z from "zod";
import { DURATION, DURATION_HINT } from "../../core/units.ts";
import { notYet, SECRET_FILE, VARIABLE, variable } from "../../core/wording.ts";

const filled = z.string().min(1, "expected at least one character");
const claim = filled
  .max(256)
  .describe("Claim: a name, `outer.inner`, or a JSON pointer such as `/outer/inner`")
  .meta({ examples: ["realm_access.roles", "/https:~1~1example.com~1org"] });

export const issuerShape = {
  issuer: filled
    .max(2048)
    .describe("Exact `iss` value of the tokens")
    .meta({ examples: ["https://login.example.com/"] }),
  discovery: filled
    .describe("URL of the metadata document, where it isn't at the usual place below the issuer")
    .meta({ examples: ["https://login.example.com/.well-known/openid-configuration"] })
    .optional(),
  jwksUri: filled
    .describe("URL of the issuer's key set")
    .meta({ examples: ["https://login.example.com/keys"] })
    .optional(),
  jwks: filled
    .describe("File with a JWK Set or a PEM public key, relative to this file")
    .meta({ examples: ["keys/corp.jwks.json"] })
    .optional(),
  secret: filled
    .describe(`Shared secret for HS256, HS384 or HS512; as ${VARIABLE} or ${SECRET_FILE}`)
    .meta({ examples: [variable("JWT_SECRET"), variable("file:secrets/jwt")] })
    .optional(),
  audience: z
    .union([filled, z.array(filled).min(1)], "expected the audience, a list of audiences, or none")
    .describe("Accepted `aud` values; `none` says that audiences are not checked")
    .meta({ examples: ["my-api", ["my-api", "other-api"]] })
    .optional(),
  algorithms: z
    .array(z.string())
    .min(1)
    .describe("Accepted signature algorithms")
    .meta({ examples: [["RS256", "ES256"]] })
    .optional(),
  leeway: z
    .string(DURATION_HINT)
    .regex(DURATION, DURATION_HINT)
    .describe("Tolerated clock difference, at most 120s; 30s unless said")
    .meta({ default: "30s", examples: ["10s"] })
    .optional(),
  typ: z
    .union([filled, z.array(filled).min(1)], "expected a media type such as at+jwt, or a list of them")
    .describe("Accepted `typ` header values")
    .meta({ examples: ["at+jwt", ["at+jwt", "JWT"]] })
    .optional(),
  clientId: filled
    .describe("When given, the token's client has to be this one")
    .meta({ examples: ["web-app"] })
    .optional(),
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
    .meta({ examples: [{ roles: "realm_access.roles", org: "org_id" }] })
    .optional(),
  allowHttp: z
    .boolean()
    .describe("Keys may come over plain http from hosts other than this machine")
    .meta({ default: false, examples: [true] })
    .optional(),
  introspection: z.never(notYet("introspection")).optional(),
  requireDpop: z.never(notYet("requireDpop")).optional(),
};
