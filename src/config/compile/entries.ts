// Walking the lists and named maps of a file, and the value forms that several sections share.

import { type AddressRange, parseRange } from "../../core/address.ts";
import { parseDuration, parseSize } from "../../core/units.ts";
import { NAME, NAME_HINT } from "../../core/wording.ts";
import { kindOf } from "../issues.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { entryOf, isReserved, nodeAt } from "../tree.ts";

/** One entry of a map whose keys are names that the user chose. */
export interface Named extends Place {
  readonly name: string;
  readonly keyAt: number;
}

/** The entries of a map of names. Wrong names and wrong types are reported; what is left can be read. */
export function namedEntries(report: Report, { node, path }: Place): readonly Named[] {
  if (node.kind !== "map") {
    report.add(node.at, path, "type_invalid", `expected a map of names, found ${kindOf(node)}`);
    return [];
  }
  const seen = new Set<string>();
  return node.entries.flatMap(({ key, keyAt, value }) => {
    if (report.full) return [];
    const here = [...path, key];
    // Reserved and repeated names were reported when the keys were checked.
    if (isReserved(key) || seen.has(key)) return [];
    if (!NAME.test(key)) report.add(keyAt, here, "key_invalid", NAME_HINT);
    seen.add(key);
    return [{ name: key, keyAt, node: value, path: here }];
  });
}

/** The items of a list. */
export function listEntries(report: Report, { node, path }: Place): readonly Place[] {
  if (node.kind !== "list") {
    report.add(node.at, path, "type_invalid", `expected a list, found ${kindOf(node)}`);
    return [];
  }
  return node.items.map((item, index) => ({ node: item, path: [...path, index] }));
}

/** The place of a part of a field's value, or of the field when there is no such part. */
export function partOf(field: Field<unknown>, ...steps: (string | number)[]): Place {
  const node = nodeAt(field.node, steps);
  return node === undefined ? field : { node, path: [...field.path, ...steps] };
}

/** Offset of the key that leads to a part of a field's value. */
export function keyAtOf(field: Field<unknown>, ...steps: (string | number)[]): number {
  const parent = nodeAt(field.node, steps.slice(0, -1));
  return entryOf(parent, String(steps.at(-1)))?.keyAt ?? field.node.at;
}

/** Reads a list of addresses and ranges that stands at `steps` below `field`. */
export function rangeList(
  report: Report,
  field: Field<unknown>,
  values: readonly string[],
  ...steps: string[]
): readonly AddressRange[] {
  return values.flatMap((text, index) => {
    const range = rangeAt(report, partOf(field, ...steps, index), text);
    return range === undefined ? [] : [range];
  });
}

/** Reads one address or range. */
export function rangeAt(report: Report, { node, path }: Place, text: string): AddressRange | undefined {
  const range = parseRange(text);
  if (range === undefined) {
    report.add(
      node.at,
      path,
      "value_invalid",
      "expected an address or a CIDR range such as 10.0.0.0/8 or 2001:db8::/32",
    );
  }
  return range;
}

/** Milliseconds of a checked duration, or `otherwise`. */
export function durationOf(field: Field<string>, otherwise: number): number {
  return (field.value === undefined ? undefined : parseDuration(field.value)) ?? otherwise;
}

/** Bytes of a checked size, or `otherwise`. */
export function sizeOf(field: Field<string>, otherwise: number): number {
  return (field.value === undefined ? undefined : parseSize(field.value)) ?? otherwise;
}

/** Reports a duration or count outside `least` to `most`. */
export function checkRange(
  report: Report,
  field: Field<unknown>,
  value: number,
  [least, most]: readonly [number, number],
  words: string,
): void {
  if (field.value !== undefined && (value < least || value > most)) {
    report.add(field.node.at, field.path, "value_out_of_range", words);
  }
}
