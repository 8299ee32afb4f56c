// Reads TypeScript sources as text and finds what breaks the rules of the house: layers, single importers, cycles, types.

/** Sources by path from the root of the sources, such as `core/result.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** Floor of each room. A room may import lower floors and itself; nothing else. */
const FLOORS: Readonly<Record<string, number>> = {
  core: 0,
  routing: 1,
  authn: 1,
  authz: 1,
  "rate-limit": 1,
  upstream: 1,
  store: 1,
  telemetry: 1,
  config: 2,
  tokens: 2,
  sessions: 2,
  pipeline: 3,
  http: 4,
  admin: 4,
  review: 4,
  "gateway.ts": 5,
  cli: 6,
  "index.ts": 6,
};

/** Packages that few places may import: a file, or a folder when it ends in a slash. */
const SINGLE_IMPORTERS: Readonly<Record<string, string | readonly string[]>> = {
  jose: "authn/jwt/",
  ioredis: "store/",
  "http-proxy-middleware": "upstream/upgrade-transport.ts",
  pino: "telemetry/log.ts",
  yaml: "config/",
  "prom-client": "telemetry/metrics-process.ts",
  hono: ["http/", "admin/"],
  "@hono/node-server": ["http/", "admin/"],
  commander: "cli/",
};

interface Scan {
  /** The code with comments and the contents of strings, templates and regular expressions taken out. */
  readonly code: string;
  /** The code with comments and templates alone taken out. */
  readonly uncommented: string;
  readonly strings: readonly string[];
}

const REGEX_MAY_FOLLOW = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void))\s*$/;

/** End of the quoted text that starts at `start`, past its closing quote. */
function quotedEnd(text: string, start: number): number {
  const quote = text[start];
  let inClass = false;
  for (let index = start + 1; index < text.length; index++) {
    const character = text[index];
    if (character === "\\") index++;
    else if (quote === "/" && character === "[") inClass = true;
    else if (quote === "/" && character === "]") inClass = false;
    else if (character === quote && !inClass) return index + 1;
  }
  return text.length;
}

/** Splits a source into code, strings and comments. The expressions of a template are code. */
function scan(text: string): Scan {
  let code = "";
  let uncommented = "";
  const strings: string[] = [];
  /** Depth of braces at which each open template goes on. */
  const templates: number[] = [];
  let depth = 0;
  const keep = (piece: string, bare = piece): void => {
    uncommented += piece;
    code += bare;
  };
  for (let index = 0; index < text.length; ) {
    const character = text[index] ?? "";
    const pair = text.slice(index, index + 2);
    let end = index + 1;
    const resumes = character === "}" && templates.at(-1) === depth;
    if (pair === "//" || pair === "/*") {
      const close = pair === "//" ? text.indexOf("\n", index) : text.indexOf("*/", index) + 2;
      end = close < index + 2 ? text.length : close;
      keep(pair === "//" ? "" : " ");
    } else if (character === "`" || resumes) {
      if (resumes) templates.pop();
      while (end < text.length && text[end] !== "`" && text.slice(end, end + 2) !== "${")
        end += text[end] === "\\" ? 2 : 1;
      if (text[end] === "$") {
        templates.push(depth);
        end += 2;
      } else end += 1;
      keep(resumes ? " " : "``");
    } else if (character === '"' || character === "'") {
      end = quotedEnd(text, index);
      strings.push(text.slice(index + 1, end - 1));
      keep(text.slice(index, end), '""');
    } else if (character === "/" && REGEX_MAY_FOLLOW.test(code.slice(-40))) {
      end = quotedEnd(text, index);
      keep(text.slice(index, end), '""');
    } else {
      if (character === "{") depth++;
      if (character === "}") depth--;
      keep(character);
    }
    index = end;
  }
  return { code, uncommented, strings };
}

interface Imports {
  /** Paths of other sources, type imports and worker files included. */
  readonly files: readonly string[];
  /** Specifiers of packages and `node:` modules. */
  readonly packages: readonly string[];
}

const FROM = /(?:^|[;}\n])\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']/g;
const BARE_IMPORT = /(?:^|[;}\n])\s*import\s*["']([^"']+)["']/g;
const DYNAMIC = /\b(?:import|require)\s*\(\s*["']([^"']+)["']/g;

function importsOf(path: string, { uncommented, strings }: Scan): Imports {
  const specifiers = new Set<string>();
  for (const pattern of [FROM, BARE_IMPORT, DYNAMIC])
    for (const match of uncommented.matchAll(pattern)) specifiers.add(match[1] ?? "");
  // A file that is only named, such as a worker's, is depended on as well.
  for (const text of strings) if (/^\.{1,2}\/[\w./-]+\.ts$/.test(text)) specifiers.add(text);
  const files: string[] = [];
  const packages: string[] = [];
  for (const specifier of specifiers) {
    if (specifier.startsWith(".")) files.push(resolvePath(path, specifier));
    else packages.push(specifier);
  }
  return { files, packages };
}

function resolvePath(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.push(parts.pop() === undefined ? ".." : "");
    else if (part !== ".") parts.push(part);
    if (parts.at(-1) === "") parts.pop();
  }
  return parts.join("/");
}

function roomOf(path: string): string {
  return path.split("/")[0] ?? "";
}

function layerFaults(path: string, { files, packages }: Imports, sources: Sources): string[] {
  const room = roomOf(path);
  const floor = FLOORS[room];
  if (floor === undefined) return [`${path}: ${room} is no room of the house`];
  const faults: string[] = [];
  for (const target of files) {
    const other = roomOf(target);
    const below = (FLOORS[other] ?? Number.POSITIVE_INFINITY) < floor;
    if (!sources.has(target)) faults.push(`${path}: imports ${target}, which is no source`);
    else if (other !== room && !below)
      faults.push(`${path}: ${room} (floor ${floor}) imports ${target} (floor ${FLOORS[other]})`);
  }
  // A declaration file describes a package and uses nothing.
  if (path.endsWith(".d.ts")) return faults;
  for (const specifier of packages) {
    const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
    const homes = [SINGLE_IMPORTERS[name] ?? []].flat();
    const isHome = (home: string): boolean => (home.endsWith("/") ? path.startsWith(home) : path === home);
    if (room === "core") faults.push(`${path}: core imports ${specifier}`);
    else if (homes.length > 0 && !homes.some(isHome))
      faults.push(`${path}: only ${homes.join(" and ")} may import ${name}`);
  }
  return faults;
}

function cycleFaults(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const faults: string[] = [];
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (path: string): void => {
    state.set(path, "open");
    trail.push(path);
    for (const next of graph.get(path) ?? []) {
      if (state.get(next) === "open")
        faults.push(`cycle: ${[...trail.slice(trail.indexOf(next)), next].join(" → ")}`);
      else if (!state.has(next)) visit(next);
    }
    trail.pop();
    state.set(path, "done");
  };
  for (const path of graph.keys()) if (!state.has(path)) visit(path);
  return faults;
}

function typeFaults(path: string, code: string): string[] {
  const faults: string[] = [];
  // A scope mode is called `any`; where such a value is bound, only the unmistakable forms are looked for.
  const bound = /\b(?:const|let)\s*\{[^}]*\bany\b[^}]*\}\s*=/.test(code);
  const typed = bound
    ? /\bas\s+any\b|<\s*any\b|\bany\s*(?:>|\[)/
    : /[:<|&,=]\s*any\b(?!\s*[:?(.])|\bas\s+any\b/;
  if (typed.test(code)) faults.push(`${path}: the type any`);
  if (/[\w$)\]]!(?!=)/.test(code)) faults.push(`${path}: a non-null assertion`);
  if (/\bimport\s*\(\s*(?!"")/.test(code)) faults.push(`${path}: imports what only the run-time knows`);
  return faults;
}

/** Every broken rule as a sentence that starts with the file; empty when the house is in order. */
export function houseFaults(sources: Sources): readonly string[] {
  const faults: string[] = [];
  const graph = new Map<string, readonly string[]>();
  for (const [path, text] of sources) {
    const scanned = scan(text);
    const imports = importsOf(path, scanned);
    graph.set(path, imports.files);
    faults.push(...layerFaults(path, imports, sources), ...typeFaults(path, scanned.code));
    if (!/^(?:#!.*\n)?\/[/*]/.test(text)) faults.push(`${path}: does not open with a comment`);
  }
  return [...faults, ...cycleFaults(graph)];
}

/** Dependencies of a package.json that are not pinned to one exact version. */
export function unpinned(manifest: Readonly<Record<string, unknown>>): readonly string[] {
  const loose: string[] = [];
  for (const section of ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]) {
    const entries = Object.entries((manifest[section] ?? {}) as Record<string, string>);
    for (const [name, version] of entries)
      if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) loose.push(`${name}@${version}`);
  }
  return loose;
}
