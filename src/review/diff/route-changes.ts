// What else than access changes for the requests of a route: where they go, in what form, and within which limits.

import { isDeepStrictEqual } from "node:util";
import type { CorsPolicy, FieldEdits, GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { durationText } from "../../rate-limit/rate-text.ts";
import type { UpstreamPolicy } from "../../upstream/policy.ts";
import { limitsText, some, upstreamText } from "../words.ts";
import type { Gain } from "./gains.ts";
import { isLooser, sameLimits } from "./limit-change.ts";
import { surely } from "./reasons.ts";

/** One thing that changes, beside who may call. */
export interface Change {
  readonly what: string;
  /** In words. */
  readonly old: string;
  readonly new: string;
  /** A limit or a bound lets more through than before. */
  readonly looser: boolean;
}

interface Ends {
  readonly route: RoutePolicy;
  readonly config: GatewayConfig;
}

type Compare = (old: Ends, next: Ends) => readonly Change[];

const elsewhere: Compare = () => [];

// Every option of a route has an entry, so that a new one can't be forgotten.
const ASPECTS: { readonly [K in keyof RoutePolicy]: Compare } = {
  // Not a matter of meaning: where a route stands, and what it is called.
  name: elsewhere,
  line: elsewhere,
  // Compared by the requests that are let in.
  matches: elsewhere,
  access: elsewhere,
  auth: elsewhere,
  authz: elsewhere,
  ips: elsewhere,
  upstream: (old, next) => [
    ...change(
      "upstream",
      upstreamText(old.config, old.route.upstream),
      upstreamText(next.config, next.route.upstream),
    ),
    ...change("Host for the upstream", hostText(upstreamOf(old)), hostText(upstreamOf(next))),
  ],
  credentials: ({ route: old }, { route: next }) =>
    old.auth.length < 2 || next.auth.length < 2
      ? []
      : change("several credentials", severalText(old.credentials), severalText(next.credentials)),
  observe: (old, next) =>
    change("observed only", list(old.route.observe, "nothing"), list(next.route.observe, "nothing")),
  limits: ({ route: old }, { route: next }) => {
    const observed = [old, next].map(({ observe }) => observe.includes("limit"));
    if (sameLimits(old.limits, next.limits, [old.name, next.name]) && observed[0] === observed[1]) return [];
    const looser = isLooser(observed[0] ? [] : old.limits, observed[1] ? [] : next.limits);
    const text = ({ limits, observe }: RoutePolicy): string =>
      `${limitsText(limits)}${observe.includes("limit") ? " (observed only)" : ""}`;
    const [before, after] = [text(old), text(next)];
    const told = before === after ? `${after}, in other counters` : after;
    return [{ what: "limit", old: before, new: told, looser }];
  },
  cors: (old, next) => change("CORS", corsText(old.route.cors), corsText(next.route.cors)),
  stripPrefix: (old, next) =>
    change("cut from the path", old.route.stripPrefix || "nothing", next.route.stripPrefix || "nothing"),
  request: (old, next) => editChanges("request headers", old.route.request, next.route.request),
  response: (old, next) => editChanges("response headers", old.route.response, next.route.response),
  timeouts: (old, next) => change("timeouts", timeoutsText(old), timeoutsText(next)),
  forwardCredentials: (old, next) =>
    change(
      "credentials for the upstream",
      forwardText(old.route.forwardCredentials),
      forwardText(next.route.forwardCredentials),
    ),
};

/** What changes for requests that `old` got and `next` gets. */
export function routeChanges(old: Ends, next: Ends): readonly Change[] {
  return Object.values(ASPECTS).flatMap((compare) => compare(old, next));
}

/** Web pages that may call and couldn't. */
export function originGains(from: CorsPolicy | undefined, to: CorsPolicy | undefined): readonly Gain[] {
  if (to === undefined || isDeepStrictEqual(from, to)) return [];
  const gain = (names: readonly string[], text: string): Gain => ({
    kind: "origins",
    names,
    reason: surely(text),
  });
  if (from === undefined) return [gain(to.origins, "CORS was off")];
  const any = from.origins.includes("*");
  const more = any ? [] : to.origins.filter((origin) => !from.origins.includes(origin));
  if (more.length > 0) return [gain(more, "not allowed before")];
  const added = (now: readonly string[], before: readonly string[]): string =>
    some(now.filter((name) => !before.includes(name)));
  const [methods, headers] = [added(to.methods, from.methods), added(to.headers, from.headers)];
  return [
    ...(to.credentials && !from.credentials ? [gain(to.origins, "with credentials")] : []),
    ...(methods === "" ? [] : [gain(to.origins, `with ${methods}`)]),
    ...(headers === "" ? [] : [gain(to.origins, `with headers ${headers}`)]),
  ];
}

/** One change, or none where the words are the same. */
export function change(what: string, old: string, next: string, looser = false): readonly Change[] {
  return old === next ? [] : [{ what, old, new: next, looser }];
}

function list(values: readonly string[], none: string): string {
  return values.length === 0 ? none : values.join(", ");
}

function upstreamOf({ route, config }: Ends): UpstreamPolicy | undefined {
  return config.upstreams.find(({ name }) => name === route.upstream);
}

function hostText(upstream: UpstreamPolicy | undefined): string {
  const header = upstream?.hostHeader ?? "target";
  return typeof header === "string" ? header : header.value;
}

function severalText(credentials: RoutePolicy["credentials"]): string {
  return credentials === "single" ? "refused" : "the first decides";
}

function timeoutsText(ends: Ends): string {
  const timeouts = { ...upstreamOf(ends)?.timeouts, ...ends.route.timeouts };
  return Object.entries(timeouts)
    .map(([name, ms]) => `${name.replace(/Ms$/, "")} ${ms === 0 ? "none" : durationText(ms)}`)
    .toSorted()
    .join(", ");
}

function forwardText(forwarded: boolean): string {
  return forwarded ? "passed on" : "removed";
}

function corsText(cors: CorsPolicy | undefined): string {
  if (cors === undefined) return "off";
  return [
    `origins ${list(cors.origins.toSorted(), "none")}`,
    `methods ${list(cors.methods.toSorted(), "none")}`,
    `headers ${list(cors.headers.toSorted(), "none")}`,
    cors.credentials ? "credentials" : "",
    `max age ${cors.maxAgeSeconds}s`,
    `exposed ${list(cors.expose.toSorted(), "none")}`,
  ]
    .filter((text) => text !== "")
    .join("; ");
}

/** Values may be secrets, so only names are told. */
function editChanges(what: string, old: FieldEdits, next: FieldEdits): readonly Change[] {
  const lower = (edits: FieldEdits) => new Map(edits.set.map(([name, value]) => [name.toLowerCase(), value]));
  const [before, after] = [lower(old), lower(next)];
  const other = [...after].filter(([name, value]) => before.has(name) && before.get(name) !== value);
  const text = (sets: ReadonlyMap<string, string>, removed: readonly string[]): string =>
    [
      sets.size === 0 ? "" : `set ${[...sets.keys()].toSorted().join(", ")}`,
      removed.length === 0 ? "" : `remove ${[...new Set(removed)].toSorted().join(", ")}`,
    ]
      .filter((part) => part !== "")
      .join("; ") || "untouched";
  const values = other.length === 0 ? "" : `, ${other.map(([name]) => name).join(", ")} to another value`;
  return change(what, text(before, old.remove), `${text(after, next.remove)}${values}`);
}
