// The version of the program.

import { readFileSync } from "node:fs";

/** The version in the package's own manifest, which lies two folders up in a checkout and in the package alike. */
export const VERSION = ((): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const named = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return named ? String(manifest.version) : "unknown";
})();
