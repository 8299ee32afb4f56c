// How the requests of one route are sent and answered, without what sends them: compiled at load next to the route itself.

import type { GatewayRequest } from "../core/request.ts";
import type { UpstreamPolicy, UpstreamTimeouts } from "../upstream/policy.ts";
import type { FieldEdits, RequestFieldsPolicy } from "../upstream/request-fields.ts";

export interface ForwardPlan {
  readonly upstream: UpstreamPolicy;
  readonly timeouts: UpstreamTimeouts;
  readonly request: RequestFieldsPolicy;
  readonly responseEdits: FieldEdits;
  /** Names that the gateway speaks for on this route's answers, lower case. */
  readonly replaced: ReadonlySet<string>;
  readonly stripPrefix: string;
}

/** Path and query as they go on the wire. The path was canonical before, and every cut and join keeps it so. */
export function upstreamPath(
  plan: Pick<ForwardPlan, "stripPrefix" | "upstream">,
  request: Pick<GatewayRequest, "target">,
): string {
  const { path, search } = request.target;
  let rest = path;
  if (plan.stripPrefix !== "" && path.startsWith(plan.stripPrefix)) {
    const cut = path.slice(plan.stripPrefix.length);
    // Cut at a segment's end only: `/api` is no prefix of `/apix`.
    if (cut === "" || cut.startsWith("/")) rest = cut === "" ? "/" : cut;
  }
  return plan.upstream.basePath + rest + search;
}

/** Port that the client addressed. */
export function portOf(request: GatewayRequest): string {
  const { authority, scheme } = request;
  const colon = authority.lastIndexOf(":");
  if (colon > authority.lastIndexOf("]") && colon !== -1) return authority.slice(colon + 1);
  return scheme === "https" ? "443" : "80";
}
