// The shape of `auth` in gateway.yaml: which credentials a route takes.

import * as z from "zod";

const name = z.string();
const together = z.strictObject({
  all: z
    .array(name)
    .min(1)
    .describe("Every one of these has to come")
    .meta({ examples: [["apiKey", "jwt"]] }),
});
const HINT =
  "expected a list such as [jwt, apiKey], or {all: [apiKey, jwt]}; to open a route write `public: true` and no `auth`";

/** `auth`: a list means any one of its entries; `{all: [...]}` every one. */
export const authOption = z
  .union([z.array(z.union([name, together], HINT)).min(1), together], HINT)
  .describe("Credentials that the route takes: `jwt`, `jwt:ISSUER`, `apiKey`")
  .meta({ examples: [["jwt", "apiKey"], ["jwt:corp"], { all: ["apiKey", "jwt"] }] });

/** `credentials`: what happens when several credentials that the route takes come at once. */
export const credentialsOption = z
  .enum(["single", "firstMatch"])
  .describe(
    "`single` (default) refuses requests with two different credentials; `firstMatch` takes the first listed",
  );
