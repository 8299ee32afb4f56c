// What a request cost, as the upstream tells in a field of its answer.

import type { ResponseHead } from "./http1/response-head.ts";

/** What is looked at of an answer: names in lower case, and values, in turn. */
export type AnswerFields = Pick<ResponseHead, "fields">;

const UNITS = /^(?:0|[1-9][0-9]{0,9})$/;

/** Units in the field called `name` (lower case): undefined when it isn't there, `invalid` when it is no whole number. */
export function costIn({ fields }: AnswerFields, name: string): number | "invalid" | undefined {
  let found: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue;
    if (found !== undefined) return "invalid";
    found = fields[index + 1] as string;
  }
  if (found === undefined) return undefined;
  return UNITS.test(found) ? Number(found) : "invalid";
}
