// Reading nested claims, alike for everyone who does.

/** The value at `path`, names from the outside in; undefined when a name is missing, inherited, or inside no object. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    // Narrowed to an object above; its members may be anything.
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}
