// Address rules of a route. A denied range wins over an allowed one.

import { inRanges } from "../core/address.ts";
import type { AddressRules } from "./policy.ts";

/** Whether `address` may call. An address that can't be parsed may only where no rule stands. */
export function addressAllowed(rules: AddressRules, address: string): boolean {
  if (rules.deny.length === 0 && rules.allow.length === 0) return true;
  if (inRanges(address, rules.deny)) return false;
  return rules.allow.length === 0 ? inRanges(address, EVERYWHERE) : inRanges(address, rules.allow);
}

const EVERYWHERE = [
  { bytes: [0, 0, 0, 0], prefix: 0 },
  { bytes: new Array<number>(16).fill(0), prefix: 0 },
];
