// Names that gateway.yaml allows, made of what a document calls things.

/** `wanted` in the form of a name in gateway.yaml, with a number where it is taken; adds it to `used`. */
export function unusedName(used: Set<string>, wanted: string, fallback: string): string {
  const plain = wanted.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "");
  const base = plain === "" ? fallback : plain.slice(0, 56);
  let free = base;
  for (let number = 2; used.has(free); number++) free = `${base}-${number}`;
  used.add(free);
  return free;
}

/** Name of an environment variable such as FILES_URL, with a number where it is taken; adds it to `used`. */
export function unusedVariable(used: Set<string>, name: string, ending: string): string {
  const plain = name.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
  const base = `${/^\d/.test(plain) ? "_" : ""}${plain}${ending}`;
  let free = base;
  for (let number = 2; used.has(free); number++) free = `${base}_${number}`;
  used.add(free);
  return free;
}
