// A refusal of the admin port as problem+json (RFC 9457).

import { catalogueEntry, type Denial } from "../core/denial.ts";

export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What every answer of the admin port carries: it is for one reader, now, and for no page of another site. */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** Renders a refusal. */
export function problem(denial: Denial): Problem {
  const { status, title } = catalogueEntry(denial.code);
  const body = JSON.stringify({
    type: `urn:gatewarden:error:${denial.code}`,
    title,
    status,
    detail: denial.detail ?? title,
    code: denial.code,
    retryAfter: denial.retryAfterSeconds,
  });
  const headers: Record<string, string> = {
    ...COMMON_HEADERS,
    "Content-Type": "application/problem+json",
    "Content-Length": String(Buffer.byteLength(body)),
  };
  if (denial.retryAfterSeconds !== undefined) headers["Retry-After"] = String(denial.retryAfterSeconds);
  if (denial.allow !== undefined) headers.Allow = denial.allow;
  const [challenge] = denial.challenges ?? [];
  if (challenge !== undefined) headers["WWW-Authenticate"] = challenge;
  return { status, headers, body };
}

/** The refusal as an answer of the application. */
export function problemResponse(denial: Denial): Response {
  const { status, headers, body } = problem(denial);
  return new Response(body, { status, headers });
}
