// The shape of `limit` in gateway.yaml, and how its short form is read.

import * as z from "zod";
import { isFieldName } from "../core/fields.ts";
import { err, ok, type Result } from "../core/result.ts";
import { parseRate, RATE, RATE_HINT, type Rate } from "../core/units.ts";
import { NAME, NAME_HINT } from "../core/wording.ts";
import type { LimitSubject } from "./policy.ts";

const SUBJECTS = ["user", "key", "ip", "org", "route"] as const;
const SUBJECT = /^(?:user|key|ip|org|route|header:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|claim:[^\s]+)$/;
const SUBJECT_HINT = "expected user, key, ip, org, route, header:NAME or claim:NAME";
const COST_FROM = /^responseHeader(?::[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;
const COST_FROM_HINT = "expected responseHeader, or responseHeader:NAME";

/** Most units of any limit. */
export const MOST_UNITS = 1_000_000_000;
/** Longest window of any limit. */
export const MOST_WINDOW_MS = 366 * 86_400_000;
/** Most units of a `slidingLog`, which keeps an entry for each one that it admits. */
export const MOST_LOGGED = 100_000;
/**
 * Most limits in one list. A request meets three lists at most, those of its route, of all routes and of its key: together
 * they have to stay below the 100 that the script can count in one decision.
 */
export const MOST_LIMITS = 16;
/** Stands where a rate does and means the table in `tiers`. */
export const TIER_WORD = "tier";

const rate = z.string().regex(RATE, RATE_HINT);

/** The numbers of one tier: a rate, whose count may be 0, or false for no limit. */
export const tierRate = z
  .union(
    [rate, z.literal(false)],
    "expected a rate such as 100/h, 0/day to admit nothing, or false for no limit",
  )
  .describe("Rate of the tier; 0/day admits nothing, false is no limit")
  .meta({ examples: ["100/h", "0/day", false] });

/** A limit as a map. `rate` and `tier` stand for each other, which the schema can't say. */
export const limitObject = z.strictObject({
  rate: z
    .union([rate, z.literal(TIER_WORD)], `${RATE_HINT}, or tier`)
    .describe(
      "Most requests in any trailing window: `100/min`; `tier`: the numbers of the caller's tier in `tiers`",
    )
    .meta({ examples: ["100/min", "tier"] })
    .optional(),
  tier: z
    .union(
      [z.literal(true), z.record(z.string(), tierRate)],
      "expected true for the table in `tiers`, or a map such as {guest: 10/h, user: 100/h}",
    )
    .describe("In place of `rate`: the numbers of each tier, or true for those in `tiers`")
    .meta({ examples: [{ guest: "0/day", user: "5/day" }, true] })
    .optional(),
  per: z
    .string()
    .regex(SUBJECT, SUBJECT_HINT)
    .describe("Whose requests are counted together; `user` unless said")
    .meta({ default: "user", examples: ["ip", "header:X-Tenant", "claim:org_id"] })
    .optional(),
  name: z
    .string()
    .regex(NAME, NAME_HINT)
    .describe("Limits of one name share their counters")
    .meta({ examples: ["exports"] })
    .optional(),
  cost: z
    .int()
    .min(0)
    .describe("Units that one request takes; 1 unless said. 0 only with `costFrom`")
    .meta({ default: 1, examples: [5] })
    .optional(),
  costFrom: z
    .string()
    .regex(COST_FROM, COST_FROM_HINT)
    .describe(
      "`responseHeader` or `responseHeader:NAME`: the upstream says there what the request really cost; X-RateLimit-Cost unless named",
    )
    .meta({ examples: ["responseHeader:X-Cost"] })
    .optional(),
  algorithm: z
    .enum(["slidingWindow", "slidingLog", "tokenBucket"])
    .describe(
      "How requests are counted: in any trailing window (default), the same with an entry for each request, or by tokens that come back steadily",
    )
    .optional(),
  burst: z
    .int()
    .min(1)
    .max(MOST_UNITS)
    .describe("Most units at one moment, for `tokenBucket`; the count of the rate unless said")
    .meta({ examples: [50] })
    .optional(),
  onStoreFailure: z
    .enum(["local", "deny", "allow"])
    .describe("What happens while the shared store is away: a local share (default), refusal, or no limit")
    .optional(),
  sync: z
    .enum(["exact", "leased"])
    .describe(
      "How instances agree: on every request (default), or by slices of the limit that each spends by itself",
    )
    .optional(),
  observe: z
    .boolean()
    .describe("true: counted and told, never enforced")
    .meta({ default: false, examples: [true] })
    .optional(),
  ipv6Prefix: z
    .int()
    .min(32)
    .max(128)
    .describe("With `per: ip`: bits of an IPv6 network that counts as one client; 64 unless said")
    .meta({ default: 64, examples: [56] })
    .optional(),
});

const limitText = z
  .string()
  .describe(
    "RATE [per user|key|ip|org|route|header:NAME|claim:NAME] [burst N] [cost N], or tier [per …] [cost N]",
  )
  .meta({ examples: ["100/min per user", "10/s per ip burst 50", "tier"] });
const MOST_HINT = `expected at most ${MOST_LIMITS} limits`;
const limitList = z
  .array(z.union([limitText, limitObject], "expected a limit such as `100/min per user`, or a map"))
  .min(1)
  .max(MOST_LIMITS, MOST_HINT);

/** `limit`: the short form, a map, a list of both (all have to pass), or false for none. */
export const limitOption = z
  .union(
    [limitText, z.literal(false), limitObject, limitList],
    "expected a limit such as `100/min per user`, a map with `rate`, a list of them, or false",
  )
  .describe("Limits of the route; all have to pass. false: none, not even those in `globalLimit`")
  .meta({
    examples: ["100/min per user", "tier", ["10/s per ip burst 50", { rate: "1000/h", per: "org" }], false],
  });

/** `globalLimit`: as `limit`, for all routes together. */
export const globalLimitOption = z
  .union(
    [limitText, z.literal(false), limitObject, limitList],
    "expected a limit such as `10000/min per ip`, a map with `rate`, a list of them, or false",
  )
  .describe("Limits that every route has besides its own, counted over all routes together")
  .meta({ examples: ["3000/min per ip"] });

const KEY_LIMITS_HINT = "expected a limit such as `1000/day`, a map with `rate`, or a list of them";
const keyLimitText = z
  .string()
  .describe("RATE [burst N] [cost N]")
  .meta({ examples: ["1000/day"] });
const keyLimitObject = limitObject.omit({ tier: true, name: true, ipv6Prefix: true }).extend({
  rate: rate
    .describe("Most requests of the key in any trailing window: `1000/day`")
    .meta({ examples: ["1000/day"] }),
  per: z.literal("key").describe("The limits of a key are counted by the key, said or not").optional(),
});

/** `limits` of an API key: as `limit`, but always counted by the key and with fixed numbers. */
export const keyLimitsOption = z
  .union(
    [
      keyLimitText,
      keyLimitObject,
      z
        .array(z.union([keyLimitText, keyLimitObject]))
        .min(1)
        .max(MOST_LIMITS, MOST_HINT),
    ],
    KEY_LIMITS_HINT,
  )
  .describe("The key's own limits, counted over all routes together, besides those of the routes")
  .meta({ examples: ["1000/day", ["20000/day", { rate: "100/min", burst: 300 }]] });

/** `limits` of an API key as it is read: what only limits of routes may say is refused later, with the reason. */
export const writtenKeyLimits = z.union([limitText, limitObject, limitList], KEY_LIMITS_HINT);

/** What `limit`, `globalLimit` and `limits` of a key may hold. */
export type LimitValue = z.output<typeof limitOption>;

/** A limit before it is given a name and its defaults. */
export interface ParsedLimit {
  readonly rate: Rate | typeof TIER_WORD;
  /** As written: `user`, `header:x-tenant`, `claim:org`. */
  readonly per: string;
  readonly cost: number;
  readonly burst?: number;
}

const FORM = "expected RATE [per SUBJECT] [burst N] [cost N], as in `100/min per user cost 2`";
const COUNT = /^[1-9]\d{0,8}$/;

/** Reads the short form `100/min per user cost 2`. The error is a sentence. @param per the subject unless said */
export function parseLimitText(text: string, per = "user"): Result<ParsedLimit, string> {
  const [first = "", ...words] = text.trim().split(/\s+/);
  const rate: ParsedLimit["rate"] | undefined = first === TIER_WORD ? TIER_WORD : parseRate(first);
  if (rate === undefined) return err(RATE_HINT);
  const said = new Map<string, string>();
  for (let index = 0; index < words.length; index += 2) {
    const word = words[index] ?? "";
    const value = words[index + 1] ?? "";
    if (!["per", "burst", "cost"].includes(word) || said.has(word)) return err(FORM);
    if (word === "per" && !SUBJECT.test(value)) return err(`after \`per\`: ${SUBJECT_HINT}`);
    if (word !== "per" && !COUNT.test(value))
      return err(`after \`${word}\`: expected a whole number of at least 1`);
    said.set(word, value);
  }
  const burst = said.get("burst");
  if (burst !== undefined && rate === TIER_WORD)
    return err("`burst` belongs to a rate; for tiers write {tier: true, burst: N}");
  const parsed = { rate, per: said.get("per") ?? per, cost: Number(said.get("cost") ?? 1) };
  return ok(burst === undefined ? parsed : { ...parsed, burst: Number(burst) });
}

/** Lower-case name of the response field that a valid `costFrom` means. */
export function costField(costFrom: string): string {
  const [, name = "x-ratelimit-cost"] = costFrom.split(":");
  return name.toLowerCase();
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
