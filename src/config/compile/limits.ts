// Compiles `limit`, `globalLimit` and `limits` of keys: from the short form or a map to a limit without its name.

import type * as z from "zod";
import { parseRate, type Rate } from "../../core/units.ts";
import {
  costField,
  type LimitValue,
  limitObject,
  type ParsedLimit,
  parseLimitText,
  parseSubject,
  TIER_WORD,
} from "../../rate-limit/options.ts";
import type {
  LimitAlgorithm,
  LimitPolicy,
  LimitSubject,
  LimitTraits,
  TieredLimit,
  TierRate,
} from "../../rate-limit/policy.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import { entryOf, nodeAt, type Place } from "../tree.ts";
import { CLAIM_HINT, parseClaimPath } from "./claim-path.ts";
import { partOf } from "./entries.ts";
import { checkNumbers } from "./limit-numbers.ts";
import { checkRate, compileOwnTable, numbersOf, type TierTable } from "./tiers.ts";

/** What a limit may be where it stands. */
export interface LimitRules {
  /** `tiers`, where the file has them. */
  readonly tiers: TierTable | undefined;
  /** Whether the file has `redis`. */
  readonly shared: boolean;
  /** Whether the limits are those of an API key: fixed numbers, counted by the key. */
  readonly ofKey: boolean;
}

/** A limit whose name is still to come from what it belongs to. */
export interface PlacedLimit {
  readonly body: Omit<LimitPolicy, "name"> | Omit<TieredLimit, "name">;
  /** `name` of the file. */
  readonly name: string | undefined;
  readonly place: Place;
  /** The table of a limit whose numbers depend on the tier, and where it is spoken of. */
  readonly table: { readonly tiers: TierTable; readonly place: Place } | undefined;
}

type LimitMap = z.output<typeof limitObject>;

/** A limit as it was written, in either form. */
interface Wanted extends Omit<LimitMap, "rate" | "tier"> {
  readonly rate: ParsedLimit["rate"] | undefined;
  readonly tier: LimitMap["tier"];
  /** The place of one key; in the short form that of the whole. */
  readonly at: (key: keyof LimitMap) => Place;
}

/** The limits of a field; empty when it says false, nothing, or something wrong. */
export function compileLimits(
  report: Report,
  field: Field<LimitValue>,
  rules: LimitRules,
): readonly PlacedLimit[] {
  const { value } = field;
  if (value === undefined || value === false) return [];
  const list = Array.isArray(value) ? value : [value];
  return list.flatMap((one, index) => {
    const place = Array.isArray(value) ? partOf(field, index) : field;
    const wanted = typeof one === "string" ? fromText(report, place, one, rules) : fromMap(place, one);
    const limit = wanted && new LimitCompiler(report, place, wanted, rules).compile();
    return limit === undefined ? [] : [limit];
  });
}

function fromText(report: Report, place: Place, text: string, { ofKey }: LimitRules): Wanted | undefined {
  const parsed = parseLimitText(text, ofKey ? "key" : "user");
  if (!parsed.ok) {
    report.add(place.node.at, place.path, "value_invalid", parsed.error);
    return undefined;
  }
  return { ...parsed.value, tier: undefined, at: () => place };
}

function fromMap(place: Place, value: LimitMap): Wanted {
  const at = (key: keyof LimitMap): Place => {
    const node = nodeAt(place.node, [key]);
    return node === undefined ? place : { node, path: [...place.path, key] };
  };
  const rate = value.rate === undefined || value.rate === TIER_WORD ? value.rate : parseRate(value.rate);
  return { ...value, rate, tier: value.tier, at };
}

class LimitCompiler {
  readonly #report: Report;
  readonly #place: Place;
  readonly #wanted: Wanted;
  readonly #rules: LimitRules;
  #failed = false;

  constructor(report: Report, place: Place, wanted: Wanted, rules: LimitRules) {
    this.#report = report;
    this.#place = place;
    this.#wanted = wanted;
    this.#rules = rules;
  }

  compile(): PlacedLimit | undefined {
    const { name } = this.#wanted;
    if (this.#rules.ofKey) this.#checkKeyRules();
    if (!this.#rules.shared) this.#warnOfStoreChoices();
    const subject = this.#subject();
    const algorithm = this.#algorithm();
    const cost = this.#cost();
    const traits = subject && this.#traits(subject, algorithm, cost);
    const base = { name, place: this.#place };
    const { tier, rate } = this.#wanted;
    if (tier === undefined && rate !== TIER_WORD) {
      const numbers = this.#fixedNumbers(rate);
      if (numbers === undefined || traits === undefined) return undefined;
      const only = { ...numbers, tier: undefined, place: this.#wanted.at("rate") };
      if (!checkNumbers(this.#report, this.#wanted.at, traits, [only]) || this.#failed) return undefined;
      return { ...base, body: { ...numbers, ...traits }, table: undefined };
    }
    const table = this.#table();
    if (table === undefined || traits === undefined) return undefined;
    const rates = [...table.tiers.rates].flatMap(([name, numbers]) => {
      const node = nodeAt(table.place.node, [name]);
      const place = node === undefined ? table.place : { node, path: [...table.place.path, name] };
      return numbers === undefined ? [] : [{ ...numbers, tier: name, place }];
    });
    if (!checkNumbers(this.#report, this.#wanted.at, traits, rates) || this.#failed) return undefined;
    return { ...base, body: { ...traits, tiers: table.tiers.rates }, table };
  }

  #wrong(key: keyof LimitMap, code: Parameters<Report["add"]>[2], message: string, hint?: string): undefined {
    const { node, path } = this.#wanted.at(key);
    this.#report.add(node.at, path, code, message, hint === undefined ? {} : { hint });
    this.#failed = true;
  }

  #checkKeyRules(): void {
    const { tier, rate, per, name } = this.#wanted;
    if (tier !== undefined || rate === TIER_WORD) {
      const key = tier === undefined ? "rate" : "tier";
      this.#wrong(key, "conflict", "a key has fixed limits; its `tier` chooses among those of routes");
    }
    if (per !== undefined && per !== "key") {
      const hint = "leave `per` out; limits of another subject belong to routes";
      this.#wrong("per", "conflict", "the limits of a key are counted by the key", hint);
    }
    if (name !== undefined) {
      const hint = "counters for several keys: `limit: {…, name}` on the routes";
      this.#wrong("name", "conflict", "the limits of a key share their counters with nothing", hint);
    }
  }

  /** What only a shared store gives a meaning to. What goes without saying may be said. */
  #warnOfStoreChoices(): void {
    const { sync = "exact", onStoreFailure = "local" } = this.#wanted;
    const choices = { sync: sync !== "exact", onStoreFailure: onStoreFailure !== "local" };
    for (const key of ["sync", "onStoreFailure"] as const) {
      if (!choices[key]) continue;
      const { node, path } = this.#wanted.at(key);
      const message = `\`${key}\` means nothing without \`redis\`: limits are counted in this process alone`;
      this.#report.add(node.at, path, "unused", message, { severity: "warning" });
    }
  }

  #fixedNumbers(rate: Rate | undefined): TierRate | undefined {
    if (rate === undefined) {
      this.#checkNumbersThere();
      return undefined;
    }
    return checkRate(this.#report, this.#wanted.at("rate"), rate, 1) ? numbersOf(rate) : undefined;
  }

  /** A rate that is misspelt or malformed was reported; one that isn't there has to be asked for. */
  #checkNumbersThere(): void {
    const { node, path } = this.#place;
    if (node.kind !== "map" || entryOf(node, "rate") !== undefined || entryOf(node, "tier") !== undefined)
      return;
    if (node.entries.some(({ key }) => !Object.hasOwn(limitObject.shape, key))) return;
    this.#report.add(node.at, [...path, "rate"], "required_key", "`rate` is required, or `tier`");
  }

  #table(): PlacedLimit["table"] {
    const { tier, rate, at } = this.#wanted;
    const { tiers } = this.#rules;
    if (tier !== undefined && rate !== undefined)
      return this.#wrong("tier", "conflict", "`rate` and `tier` can't stand together", "remove one of them");
    const place = at(tier === undefined ? "rate" : "tier");
    if (typeof tier === "object") return { tiers: compileOwnTable(this.#report, place, tier, tiers), place };
    if (tiers !== undefined) return { tiers, place };
    return this.#wrong(
      tier === undefined ? "rate" : "tier",
      "unknown_reference",
      "`tier` needs the section `tiers`",
      "declare `tiers: {guest: 10/h, user: 100/h}`, or give the limit its own numbers: `tier: {guest: 0/day, user: 5/day}`",
    );
  }

  #subject(): LimitSubject | undefined {
    const { per = this.#rules.ofKey ? "key" : "user", ipv6Prefix } = this.#wanted;
    const subject = parseSubject(per, parseClaimPath);
    if (subject === undefined) return this.#wrong("per", "value_invalid", CLAIM_HINT);
    if (ipv6Prefix === undefined) return subject;
    if (subject.by !== "ip")
      return this.#wrong("ipv6Prefix", "conflict", "`ipv6Prefix` is for limits `per: ip`");
    // 64 is what goes without saying.
    return ipv6Prefix === 64 ? subject : { ...subject, ipv6Prefix };
  }

  #algorithm(): LimitAlgorithm {
    const { algorithm, burst, sync } = this.#wanted;
    if (burst !== undefined && algorithm !== undefined && algorithm !== "tokenBucket") {
      const hint = "remove `burst`, or say `algorithm: tokenBucket`";
      this.#wrong("burst", "conflict", `\`burst\` is for tokenBucket; a ${algorithm} has none`, hint);
    }
    if (algorithm === "slidingLog" && sync === "leased") {
      const hint = "say `sync: exact`, or `algorithm: slidingWindow`";
      this.#wrong("sync", "conflict", "leased gives up the exactness that slidingLog is for", hint);
    }
    return algorithm ?? (burst === undefined ? "slidingWindow" : "tokenBucket");
  }

  #cost(): number {
    const { cost = 1, costFrom } = this.#wanted;
    if (cost < 1 && costFrom === undefined) {
      const hint = "0 is for limits with `costFrom`, which are charged once the upstream has said the cost";
      this.#wrong("cost", "value_out_of_range", "expected at least 1", hint);
    }
    return cost;
  }

  /** What the file says besides the numbers. What it leaves out, or says as it goes without saying, is left out. */
  #traits(subject: LimitSubject, algorithm: LimitAlgorithm, cost: number): Omit<LimitTraits, "name"> {
    const { onStoreFailure = "local", burst, sync, observe, costFrom } = this.#wanted;
    return {
      subject,
      cost,
      onStoreFailure,
      ...(algorithm === "slidingWindow" ? {} : { algorithm }),
      ...(burst === undefined ? {} : { burst }),
      ...(sync === "leased" ? { sync } : {}),
      ...(observe === true ? { observe } : {}),
      ...(costFrom === undefined ? {} : { costFrom: costField(costFrom) }),
    };
  }
}
