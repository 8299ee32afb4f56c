// How careless upstreams read what reaches them: which path they see and which header names they take for one another.
// Used to ask "would any of them have taken this request for one to /admin?".

import type { Line } from "./http-bytes.ts";

/** One family of servers. */
export interface UpstreamModel {
  readonly name: string;
  /** The path that the application sees for a raw request target. */
  path(target: string): string;
  /** The header name that the application sees. */
  header(name: string): string;
}

function withoutQuery(target: string): string {
  const path = target.split(/[?#]/, 1)[0] ?? "";
  return path.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "");
}

/** Decodes every escape once, as bytes; bad escapes stay. */
function decodeOnce(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function decodeFully(path: string): string {
  for (let before = ""; before !== path; ) {
    before = path;
    path = decodeOnce(path);
  }
  return path;
}

/** Resolves dot segments and joins repeated slashes. */
function resolve(path: string): string {
  const out: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") out.pop();
    else if (segment !== "." && segment !== "") out.push(segment);
  }
  return `/${out.join("/")}`;
}

function withoutParameters(path: string): string {
  return path
    .split("/")
    .map((segment) => segment.split(";", 1)[0])
    .join("/");
}

const separatorsTo =
  (separator: string) =>
  (name: string): string =>
    name.toLowerCase().replace(/[-_.]/g, separator);

/** The four models of the rig, and one that decodes until nothing changes. */
export const UPSTREAM_MODELS: readonly UpstreamModel[] = [
  {
    name: "wsgi",
    path: (target) => resolve(decodeOnce(withoutQuery(target))),
    header: separatorsTo("_"),
  },
  {
    name: "servlet",
    path: (target) => {
      const path = decodeOnce(withoutParameters(withoutQuery(target))).replace(/\\/g, "/");
      return resolve(withoutParameters(path));
    },
    header: (name) => name.toLowerCase(),
  },
  {
    name: "express",
    path: (target) => resolve(withoutQuery(target)).toLowerCase(),
    header: (name) => name.toLowerCase(),
  },
  {
    name: "php",
    path: (target) => resolve((decodeOnce(withoutQuery(target)).split("\0", 1)[0] ?? "").replace(/\\/g, "/")),
    header: (name) => name.toLowerCase().replace(/[^a-z0-9]/g, "_"),
  },
  {
    name: "careless",
    path: (target) =>
      resolve(withoutParameters(decodeFully(target.split("?", 1)[0] ?? "").replace(/\\/g, "/"))),
    header: (name) => name.toLowerCase().replace(/[^a-z0-9]/g, ""),
  },
];

/** Names of the models that read `target` as something under `/admin`. */
export function modelsThatSeeAdmin(target: string): string[] {
  return UPSTREAM_MODELS.filter((model) => /^\/admin(?:\/|$)/.test(model.path(target))).map(
    (model) => model.name,
  );
}

/** The values that some model would take for header `name`, as `line name: value`. */
export function readAs(name: string, headers: readonly Line[]): Line[] {
  return headers.filter(([line]) =>
    UPSTREAM_MODELS.some((model) => model.header(line) === model.header(name)),
  );
}
