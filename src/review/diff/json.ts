// A comparison as JSON. The shape is part of what users rely on: docs/DIFF.md describes it.

import { guardText, patternText } from "../words.ts";
import type { Comparison, RouteChange } from "./compare.ts";
import type { Gain } from "./gains.ts";
import { countsOf, gainText, lossText, subjectText } from "./sentences.ts";
import type { Served } from "./side.ts";

/** The whole comparison, without a value that may be secret. */
export function comparisonJson(comparison: Comparison, names: readonly [old: string, next: string]): string {
  const { old, new: next, access, routes, paths, file, incomplete } = comparison;
  const body = {
    access,
    old: { file: names[0], routes: old.routes.length },
    new: { file: names[1], routes: next.routes.length },
    summary: countsOf(comparison),
    routes: routes.map(routeJson),
    paths,
    file,
    incomplete: incomplete ?? null,
  };
  return `${JSON.stringify(body, null, 2)}\n`;
}

function routeJson(change: RouteChange): unknown {
  const { access, methods, otherMethods, old, new: next, gains, losses, changes, request } = change;
  const gain = (one: Gain, text: (gain: Gain) => string) => ({
    kind: one.kind,
    names: one.names,
    certain: one.reason.certain,
    text: text(one),
  });
  const hosts = [old, next].flatMap((served) => served?.match.hosts ?? []);
  return {
    access,
    methods,
    otherMethods,
    pattern: subjectText(change),
    old: servedJson(old),
    new: servedJson(next),
    gains: gains.map((one) => gain(one, gainText)),
    losses: losses.map((one) => gain(one, lossText)),
    changes,
    request: {
      method: request.method,
      path: request.path,
      host: hosts.length === 0 ? null : request.authority,
      // Their values may be secrets that a proxy in front adds.
      headers: [...new Set(request.fields.names)],
      query: [...new Set(new URLSearchParams(request.search).keys())],
    },
  };
}

function servedJson(served: Served | undefined): unknown {
  if (served === undefined) return null;
  const { route, match } = served;
  return { route: route.name, line: route.line, pattern: patternText(match), guard: guardText(route) };
}
