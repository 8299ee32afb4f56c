// The shape of `limit` in gateway.yaml, and how its short form is read.

import * as z from "zod";
import { isFieldName } from "../core/fields.ts";
import { err, ok, type Result } from "../core/result.ts";
import { parseRate, RATE, RATE_HINT, type Rate } from "../core/units.ts";
import { NAME, NAME_HINT, NOT_YET, notYet } from "../core/wording.ts";
import type { LimitSubject } from "./policy.ts";

const SUBJECTS = ["user", "key", "ip", "org", "route"] as const;
const SUBJECT = /^(?:user|key|ip|org|route|header:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|claim:[^\s]+)$/;
const SUBJECT_HINT = "expected user, key, ip, org, route, header:NAME or claim:NAME";

/** A choice whose other documented values come later. */
function choice<const T extends string>(values: readonly [T], later: readonly string[]) {
  return z.enum(values, {
    error: ({ input }) => (typeof input === "string" && later.includes(input) ? notYet(input) : undefined),
  });
}

/** A limit as a map. */
export const limitObject = z.strictObject({
  rate: z.string().regex(RATE, RATE_HINT).describe("Most requests in any trailing window: `100/min`"),
  per: z
    .string()
    .regex(SUBJECT, SUBJECT_HINT)
    .describe("Whose requests are counted together; `user` unless said")
    .optional(),
  name: z.string().regex(NAME, NAME_HINT).describe("Limits of one name share their counters").optional(),
  cost: z.int().min(1).describe("Units that one request takes").optional(),
  algorithm: choice(["slidingWindow"], ["slidingLog", "tokenBucket"])
    .describe("How requests are counted")
    .optional(),
  onStoreFailure: z
    .enum(["local", "deny", "allow"])
    .describe("What happens while the shared store is away: a local share (default), refusal, or no limit")
    .optional(),
  sync: choice(["exact"], ["leased"]).describe("How instances agree; exact: on every request").optional(),
  tier: z.never(notYet("tier")).optional(),
  burst: z.never(notYet("burst")).optional(),
  costFrom: z.never(notYet("costFrom")).optional(),
  observe: z.never(notYet("observe")).optional(),
});

const limitText = z.string().describe("RATE [per user|key|ip|org|route|header:NAME|claim:NAME] [cost N]");

/** `limit`: the short form, a map, a list of both (all have to pass), or false for none. */
export const limitOption = z
  .union(
    [
      limitText,
      z.literal(false),
      limitObject,
      z
        .array(z.union([limitText, limitObject], "expected a limit such as `100/min per user`, or a map"))
        .min(1),
    ],
    "expected a limit such as `100/min per user`, a map with `rate`, a list of them, or false",
  )
  .describe("Limits of the route; all have to pass");

/** A limit before it is given a name and its defaults. */
export interface ParsedLimit {
  readonly rate: Rate;
  /** As written: `user`, `header:x-tenant`, `claim:org`. */
  readonly per: string;
  readonly cost: number;
}

/** Reads the short form `100/min per user cost 2`. The error is a sentence. */
export function parseLimitText(text: string): Result<ParsedLimit, string> {
  const words = text.trim().split(/\s+/);
  const rate = parseRate(words[0] ?? "");
  if (rate === undefined) return err(words[0] === "tier" ? notYet("limit: tier") : RATE_HINT);
  let per: string | undefined;
  let cost: number | undefined;
  for (let index = 1; index < words.length; index += 2) {
    const value = words[index + 1] ?? "";
    if (words[index] === "burst") return err(`\`burst\` ${NOT_YET}`);
    if (words[index] === "per" && per === undefined) {
      if (!SUBJECT.test(value)) return err(`after \`per\`: ${SUBJECT_HINT}`);
      per = value;
    } else if (words[index] === "cost" && cost === undefined) {
      if (!/^[1-9]\d{0,8}$/.test(value)) return err("after `cost`: expected a whole number of at least 1");
      cost = Number(value);
    } else return err("expected RATE [per SUBJECT] [cost N], as in `100/min per user cost 2`");
  }
  return ok({ rate, per: per ?? "user", cost: cost ?? 1 });
}

/** The subject that `per` names; `claimPath` reads the name of a claim. Undefined when it is none. */
export function parseSubject(
  per: string,
  claimPath: (text: string) => readonly string[] | undefined,
): LimitSubject | undefined {
  const plain = SUBJECTS.find((one) => one === per);
  if (plain !== undefined) return { by: plain };
  const name = per.slice(per.indexOf(":") + 1);
  if (per.startsWith("header:"))
    return isFieldName(name) ? { by: "header", name: name.toLowerCase() } : undefined;
  const path = per.startsWith("claim:") ? claimPath(name) : undefined;
  return path === undefined ? undefined : { by: "claim", path };
}
