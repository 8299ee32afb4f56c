// The words for single steps of an explanation: why a route was missed, and what was made of credentials.

import type { AuthenticatorReport } from "../authn/examination.ts";
import { sentenceOf } from "../core/reasons.ts";
import type { ExplainedAuthentication } from "../pipeline/explanation.ts";
import type { Miss } from "../routing/explain.ts";

/** One line below a step. */
export interface Line {
  readonly text: string;
  readonly mark?: "yes" | "no" | "none" | undefined;
  /** Set apart at the end of the line. */
  readonly note?: string;
}

/** Why a match isn't the one. */
export function missText(miss: Miss): string {
  switch (miss.kind) {
    case "less_specific":
      return `which matches too, but the other one's ${miss.by} ${miss.by === "conditions" ? "are" : "is"} more specific`;
    case "method":
      return `whose methods are ${miss.methods.join(", ")}`;
    case "host":
      return `which is for ${miss.hosts.join(", ")}`;
    case "header":
    case "query": {
      const what = miss.kind === "header" ? `the header ${miss.name}` : `the query parameter ${miss.name}`;
      return miss.got === "nothing"
        ? `which needs ${what}${miss.expected === undefined ? "" : ` = ${miss.expected}`}`
        : `which needs ${what} = ${miss.expected ?? ""}, not another value`;
    }
    case "path":
      return pathText(miss);
  }
}

function pathText({ segment, expected, got }: Extract<Miss, { kind: "path" }>): string {
  if (expected === undefined)
    return `whose path ends before ${got === "" ? "the last slash" : `segment ${segment}, ${got ?? ""}`}`;
  if (expected === "/") return "whose path ends with a slash";
  if (got === undefined) return `whose path goes on with ${expected}`;
  return `whose segment ${segment} is ${expected}, not ${got === "" ? "empty" : got}`;
}

const VERDICTS: Readonly<Record<AuthenticatorReport["verdict"], string>> = {
  accepted: "accepted",
  refused: "refused",
  not_sent: "not sent",
  not_looked_at: "not looked at",
};

/** What came, what was made of it, and who the caller is. */
export function authenticationLines(authentication: ExplainedAuthentication): readonly Line[] {
  const { assumed, seen, alternatives, outcome, denial, principal, optional, addressBlockedSeconds } =
    authentication;
  const lines: Line[] = [];
  if (assumed !== undefined) lines.push({ text: `taken for ${assumed}` });
  if (outcome === "refused" && denial !== undefined) lines.push({ text: denial.sentence });
  else if (outcome === "anonymous")
    lines.push({ text: optional ? "anonymous: none came, and none is needed" : "anonymous" });
  else if (outcome === "not_reached") lines.push({ text: "not reached" });
  else if (principal !== undefined && assumed === undefined)
    lines.push({ text: `${principal.method}: ${principal.subject}` });
  for (const { where, masked, token, verified } of seen) {
    const says =
      token === undefined
        ? ""
        : `: ${[
            `iss ${token.issuer ?? "none"}`,
            `sub ${token.subject ?? "none"}`,
            `kid ${token.keyId ?? "none"}`,
            `alg ${token.algorithm ?? "none"}`,
            `exp ${token.expiresAt ?? "none"}`,
          ].join(", ")}`;
    lines.push({
      text: `${where} ${masked}${says}`,
      ...(token === undefined ? {} : { note: verified ? "verified" : "unverified" }),
    });
  }
  for (const { authenticators, decides } of alternatives) {
    for (const { name, verdict, reason, code } of authenticators) {
      const why =
        reason === undefined || code === undefined ? "" : `: ${sentenceOf({ code, reason })} (${reason})`;
      const elsewhere =
        verdict === "not_looked_at" && !decides && outcome !== "refused"
          ? ", another alternative decides"
          : "";
      lines.push({
        text: `${name} ${VERDICTS[verdict]}${why}${elsewhere}`,
        mark: verdict === "accepted" ? "yes" : verdict === "refused" ? "no" : "none",
      });
    }
  }
  if (principal !== undefined) {
    lines.push({
      text: `subject ${principal.subject}${principal.issuer === undefined ? "" : ` of ${principal.issuer}`}`,
    });
    const facts = [
      ...(principal.scopes.length === 0 ? [] : [`scopes ${principal.scopes.join(" ")}`]),
      ...(principal.roles.length === 0 ? [] : [`roles ${principal.roles.join(" ")}`]),
      ...(principal.tier === undefined ? [] : [`tier ${principal.tier}`]),
      ...(principal.org === undefined ? [] : [`org ${principal.org}`]),
      ...(principal.claims.length === 0 ? [] : [`claims ${principal.claims.join(" ")}`]),
    ];
    if (facts.length > 0) lines.push({ text: facts.join("; ") });
  }
  if (addressBlockedSeconds > 0)
    lines.push({
      text: `the address is blocked for ${addressBlockedSeconds} s after failed credentials`,
      mark: "no",
    });
  return lines;
}
