// The parts of an explanation that tell who the caller is, what the route asks of him, and what his limits say.

import type { Examination } from "../authn/examination.ts";
import { addressAllowed } from "../authz/addresses.ts";
import { holdsRoles, requirementHolds } from "../authz/authorize.ts";
import { type AddressRange, formatAddress } from "../core/address.ts";
import type { DenialCode } from "../core/denial.ts";
import type { Principal } from "../core/principal.ts";
import { sentenceOf } from "../core/reasons.ts";
import type { GatewayRequest } from "../core/request.ts";
import type { Peek, PeekedLimit } from "../rate-limit/limiter.ts";
import { subjectText } from "../rate-limit/policy.ts";
import type { CompiledRoute, Decision } from "./decision.ts";
import type {
  ExplainedAuthentication,
  ExplainedAuthorization,
  ExplainedLimit,
  ExplainedLimits,
  ExplainedPrincipal,
  Met,
} from "./explanation.ts";

/** @param assumed whom the question said to take the caller for */
export function explainAuthentication(
  decision: Decision,
  examination: Examination | undefined,
  assumed: string | undefined,
  addressBlockedSeconds: number,
): ExplainedAuthentication {
  const { seen = [], optional = false, firstMatch = false, alternatives = [], outcome } = examination ?? {};
  const enforced =
    decision.kind === "refuse" && decision.principal === undefined ? decision.denial : undefined;
  const refused = outcome?.kind === "rejected" ? (enforced ?? outcome.denial) : undefined;
  const throttled = enforced?.code === "too_many_failures" ? enforced : undefined;
  const unmet = assumed !== undefined && enforced?.code === "credentials_missing" ? enforced : undefined;
  const denial = throttled ?? refused ?? unmet;
  const principal = decision.principal ?? (outcome?.kind === "authenticated" ? outcome.principal : undefined);
  return {
    ...(assumed === undefined ? {} : { assumed }),
    seen,
    optional,
    firstMatch,
    alternatives,
    outcome:
      denial !== undefined
        ? "refused"
        : principal === undefined
          ? "not_reached"
          : principal.method === "anonymous"
            ? "anonymous"
            : "authenticated",
    ...(denial === undefined
      ? {}
      : { denial: { code: denial.code, reason: denial.reason, sentence: sentenceOf(denial) } }),
    ...(principal === undefined || principal.method === "anonymous"
      ? {}
      : { principal: explainPrincipal(principal) }),
    addressBlockedSeconds,
  };
}

function explainPrincipal(principal: Principal): ExplainedPrincipal {
  const { method, subject, issuer, clientId, keyId, scopes, roles, tier, org, claims, expiresAtMs } =
    principal;
  return {
    method,
    subject,
    ...(issuer === undefined ? {} : { issuer }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(keyId === undefined ? {} : { keyId }),
    scopes: scopes.values,
    roles,
    ...(tier === undefined ? {} : { tier }),
    ...(org === undefined ? {} : { org }),
    claims: Object.keys(claims),
    ...(expiresAtMs === undefined || !Number.isFinite(expiresAtMs)
      ? {}
      : { expiresAt: new Date(expiresAtMs).toISOString() }),
  };
}

/** Every condition by itself, whether or not one before it refused already. `principal` is undefined when nobody is known. */
export function explainAuthorization(
  { authz, ips }: CompiledRoute,
  request: GatewayRequest,
  principal: Principal | undefined,
  parameters: Readonly<Record<string, string>>,
): ExplainedAuthorization {
  const { scopes, roles, require } = authz;
  const met = (test: (known: Principal) => boolean): Met =>
    principal === undefined ? "unknown" : test(principal) ? "yes" : "no";
  const anyRule = ips.allow.length > 0 || ips.deny.length > 0;
  return {
    ...(anyRule
      ? {
          ips: {
            met: addressAllowed(ips, request.clientAddress) ? ("yes" as const) : ("no" as const),
            allow: ips.allow.map(cidrText),
            deny: ips.deny.map(cidrText),
          },
        }
      : {}),
    ...(scopes === undefined
      ? {}
      : { scopes: { met: met((known) => known.scopes.meets(scopes)), ...heldScopes(scopes, principal) } }),
    ...(roles === undefined
      ? {}
      : {
          roles: {
            met: met((known) => holdsRoles(known, roles)),
            mode: roles.mode,
            needed: roles.roles.map((role) => ({ role, held: principal?.roles.includes(role) === true })),
          },
        }),
    require: require.map((requirement) => {
      const { expected, text } = requirement;
      const parameter =
        expected.kind === "parameter"
          ? { name: expected.name, value: parameters[expected.name] ?? "" }
          : undefined;
      return {
        text,
        met: met((known) => requirementHolds(requirement, known, parameters)),
        ...(parameter === undefined ? {} : { parameter }),
      };
    }),
  };
}

type ScopesHeld = Omit<NonNullable<ExplainedAuthorization["scopes"]>, "met">;

function heldScopes(
  { mode, scopes }: NonNullable<CompiledRoute["authz"]["scopes"]>,
  principal: Principal | undefined,
): ScopesHeld {
  const needed = scopes.map((scope) => {
    const heldBy = principal?.scopes.coverOf(scope);
    return { scope, ...(heldBy === undefined ? {} : { heldBy }) };
  });
  const missing = principal === undefined ? [] : needed.filter(({ heldBy }) => heldBy === undefined);
  return { mode, needed, missing: missing.map(({ scope }) => scope) };
}

function cidrText({ bytes, prefix }: AddressRange): string {
  return `${formatAddress(bytes)}/${prefix}`;
}

/** What the limits say that were looked at. */
export function explainLimits({ result, limits }: Peek, decision: Decision): ExplainedLimits {
  const denied = decision.kind === "refuse" && !LIMIT_CODES.has(decision.denial.code);
  const onlyRefused = decision.kind === "refuse" && decision.principal === undefined;
  return {
    kind: denied || onlyRefused ? "refusal" : "request",
    result: result.kind,
    limits: limits.map(explainLimit),
  };
}

const LIMIT_CODES: ReadonlySet<DenialCode> = new Set<DenialCode>(["rate_limited", "limiter_unavailable"]);

function explainLimit({ policy, key, cap, enforced, state, source }: PeekedLimit): ExplainedLimit {
  return {
    name: policy.name,
    units: policy.limit,
    windowSeconds: policy.windowMs / 1_000,
    ...(policy.burst === undefined ? {} : { burst: policy.burst }),
    per: subjectText(policy.subject),
    cost: policy.cost,
    algorithm: policy.algorithm ?? "slidingWindow",
    sync: policy.sync ?? "exact",
    enforced,
    key,
    source,
    ...(state === undefined ? {} : { state: { most: cap, ...state } }),
  };
}
