// Which upstreams the servers of a document come down to: one for each origin that some operation names first.

import { err, ok, type Result } from "../../core/result.ts";
import type { ApiDocument, Server } from "./model.ts";
import { unusedName } from "./names.ts";

/** Where an upstream is when the document doesn't say. */
export const SOMEWHERE = "http://127.0.0.1:9000";

export interface PlannedUpstream {
  readonly name: string;
  /** By the document or as told; undefined: neither says. */
  readonly url: string | undefined;
  /** The URL was told, so no variable stands for it. */
  readonly told: boolean;
  /** Other servers that the document offers for the same operations. */
  readonly others: readonly string[];
}

export interface PlannedUpstreams {
  readonly upstreams: readonly PlannedUpstream[];
  /** Name of the upstream that serves what this server does. */
  nameOf(server: Server): string;
}

/** @param told URLs by name of upstream. The error is a sentence about a name that no upstream has. */
export function upstreamsOf(
  api: ApiDocument,
  told: ReadonlyMap<string, string>,
): Result<PlannedUpstreams, string> {
  const names = new Map<string, string>();
  const others = new Map<string, Set<string>>();
  const used = new Set<string>();
  // The server of most operations is called api.
  const main = api.servers[0]?.origin ?? "";
  for (const { servers } of api.operations) {
    const [first, ...more] = servers;
    const origin = first?.origin ?? "";
    if (!names.has(origin))
      names.set(origin, unusedName(used, origin === main ? "api" : labelOf(origin), "api"));
    const known = others.get(origin) ?? new Set();
    for (const { text } of more) if (known.size < 10) known.add(text);
    others.set(origin, known);
  }
  const [only] = names.keys();
  const [told1] = told.keys();
  // With one of each there is no doubt which is meant.
  if (names.size === 1 && told.size === 1 && only !== undefined && told1 !== undefined)
    names.set(only, told1);
  const wrong = [...told.keys()].find((name) => ![...names.values()].includes(name));
  if (wrong !== undefined)
    return err(
      `the document leads to no upstream called ${wrong}; there is ${[...names.values()].join(", ")}`,
    );
  const upstreams = [...names].map(([origin, name]) => ({
    name,
    url: told.get(name) ?? (origin === "" ? undefined : origin),
    told: told.has(name),
    others: [...(others.get(origin) ?? [])],
  }));
  return ok({ upstreams, nameOf: ({ origin }) => names.get(origin ?? "") ?? "api" });
}

function labelOf(origin: string): string {
  const host = URL.canParse(origin) ? new URL(origin).hostname : "";
  return /^[\d.]+$|^\[/.test(host) ? "api" : (host.replace(/^www\./, "").split(".")[0] ?? "");
}
