// Looks into a zod schema for the words that are valid at a place, for did-you-mean.

import type * as z from "zod";

type Definition = z.core.$ZodTypes["_zod"]["def"];

/** The keys that a map at `path` below `schema` may have, over all branches of a union. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  return definitionsAt(schema, path).flatMap((one) => (one.type === "object" ? Object.keys(one.shape) : []));
}

/** The words that a string at `path` below `schema` may be, where it is a choice. */
export function choicesAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  return definitionsAt(schema, path).flatMap((one) => {
    if (one.type === "enum") return Object.values(one.entries).map(String);
    return one.type === "literal" ? one.values.map(String) : [];
  });
}

function definitionsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): Definition[] {
  // zod's own union of all definitions; a schema made by its builders has one of them.
  const definition = schema._zod.def as Definition;
  const [step, ...rest] = path;
  switch (definition.type) {
    case "optional":
    case "nullable":
      return definitionsAt(definition.innerType, path);
    case "pipe":
      return definitionsAt(definition.in, path);
    case "union":
      return definition.options.flatMap((option) => definitionsAt(option, path));
    case "array":
      return step === undefined ? [definition] : definitionsAt(definition.element, rest);
    case "record":
      return step === undefined ? [definition] : definitionsAt(definition.valueType, rest);
    case "object": {
      const next = step === undefined ? undefined : definition.shape[String(step)];
      if (step === undefined) return [definition];
      return next === undefined ? [] : definitionsAt(next, rest);
    }
    default:
      return step === undefined ? [definition] : [];
  }
}
