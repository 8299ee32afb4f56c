// `POST /api/v1/explain`: what would become of a request, by the counters, keys and policy in force. The one path of the
// admin port that takes a body.

import type { IncomingMessage } from "node:http";
import type { Hono } from "hono";
import * as z from "zod";
import { deny } from "../core/denial.ts";
import type { AdminPorts } from "./ports.ts";
import { problemResponse } from "./problem.ts";

export const EXPLAIN_PATH = "/api/v1/explain";
export const MOST_QUESTION_BYTES = 64 * 1024;
export const QUESTION_TOO_LARGE = "A question has 64 KiB at most";
// Explaining walks over all routes and may wait for keys or the store; requests must not wait for that.
const MOST_AT_ONCE = 4;
const MOST_NEAR_MISSES = 100;

const texts = z.array(z.string());
const questionSchema = z.strictObject({
  method: z.string(),
  path: z.string(),
  host: z.string().optional(),
  headers: z
    .union([
      z.array(z.tuple([z.string(), z.string()])),
      z.record(z.string(), z.string()).transform((record) => Object.entries(record)),
    ])
    .optional(),
  as: z
    .strictObject({
      subject: z.string().optional(),
      issuer: z.string().optional(),
      scopes: texts.optional(),
      roles: texts.optional(),
      org: z.string().optional(),
      email: z.string().optional(),
      tier: z.string().optional(),
      clientId: z.string().optional(),
      claims: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  key: z.string().optional(),
  token: z.string().optional(),
  clientAddress: z.string().optional(),
  scheme: z.enum(["http", "https"]).optional(),
  nearMisses: z.int().min(0).max(MOST_NEAR_MISSES).optional(),
});

/** Whether a request may bring a body. */
export function takesBody({ method, url = "" }: IncomingMessage): boolean {
  return method === "POST" && url.split("?", 1)[0] === EXPLAIN_PATH;
}

/** Adds the path. */
export function addExplain(app: Hono, { explain, audit }: Pick<AdminPorts, "explain" | "audit">): void {
  let asked = 0;
  app.post(EXPLAIN_PATH, async (context) => {
    if (asked >= MOST_AT_ONCE)
      return problemResponse(deny("overloaded", "explaining", { retryAfterSeconds: 1 }));
    asked += 1;
    try {
      const text = await textOf(context.req.raw.body);
      if (text === "broken off") return problemResponse(deny("request_timeout"));
      if (text === "too large")
        return problemResponse(deny("body_too_large", undefined, { detail: QUESTION_TOO_LARGE }));
      const question = questionSchema.safeParse(parse(text.value));
      if (!question.success) return refuse(faultOf(question.error));
      const explained = await explain(question.data);
      if (!explained.ok) return refuse(explained.error);
      const { verdict, routing } = explained.value;
      audit({
        event: "explained",
        decision: verdict.decision,
        route: routing?.route?.name,
        code: verdict.code,
      });
      return context.json(explained.value);
    } finally {
      asked -= 1;
    }
  });
}

function refuse(detail: string): Response {
  return problemResponse(deny("request_invalid", undefined, { detail }));
}

/** The whole body, if it is one of a question. How long it takes is the listener's to bound. */
async function textOf(
  body: ReadableStream<Uint8Array> | null,
): Promise<{ readonly value: string } | "too large" | "broken off"> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      if (bytes > MOST_QUESTION_BYTES) return "too large";
      chunks.push(chunk);
    }
  } catch {
    // The client went away, or took too long.
    return "broken off";
  }
  return { value: Buffer.concat(chunks).toString("utf8") };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The first fault, by the name of the member; never what the member holds. */
function faultOf({ issues }: z.ZodError): string {
  const [issue] = issues;
  const path = issue?.path.map(String).join(".") ?? "";
  if (issue?.code === "unrecognized_keys") {
    const names = issue.keys.map((key) => `\`${[path, key].filter((part) => part !== "").join(".")}\``);
    return `unknown: ${names.join(", ").slice(0, 200)}`;
  }
  return path === ""
    ? "expected a JSON object with `method` and `path`"
    : `\`${path.slice(0, 200)}\` is missing or of another type than it has to be`;
}
