// Files that are made to cost whoever reads them time or memory.

class Maker {
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** `unit` as often as it takes. */
  readonly fill = (unit: string): string => unit.repeat(Math.ceil(this.#size / unit.length));

  /** Units with their numbers, as many as it takes. */
  readonly count = (unit: (index: number) => string): string => {
    const parts: string[] = [];
    let length = 0;
    for (let index = 0; length < this.#size; index++) {
      const part = unit(index);
      parts.push(part);
      length += part.length;
    }
    return parts.join("");
  };
}

const KINDS = {
  "open brackets": ({ fill }) => fill("["),
  "maps in maps": ({ fill }) => fill("{a: "),
  "one huge line": ({ fill }) => `a: ${fill("x")}`,
  "one huge text in quotes": ({ fill }) => `a: "${fill("x")}"`,
  "a quote that is never closed": ({ fill }) => `a: "${fill("x\n  ")}`,
  "a bracket that is never closed": ({ fill }) => `a: [${fill("x, ")}`,
  "unknown keys": ({ count }) => count((index) => `k${index}: 1\n`),
  "one key again and again": ({ fill }) => fill("a: 1\n"),
  "keys in braces": ({ count }) => `a: {${count((index) => `k${index}: 1, `)}}`,
  "reserved keys": ({ fill }) => fill("__proto__: 1\n"),
  "invalid UTF-8": ({ fill }) => Buffer.from(fill("\xff\xfe"), "latin1"),
  "control characters": ({ fill }) => fill("\x01"),
  "empty lines": ({ fill }) => fill("\n"),
  blanks: ({ fill }) => fill(" "),
  comments: ({ fill }) => fill("# c\n"),
  dashes: ({ fill }) => fill("- "),
  tabs: ({ fill }) => fill("\ta: 1\n"),
  "odd indentation": ({ count }) => count((index) => `${" ".repeat(index % 7)}a${index}: 1\n`),
  documents: ({ fill }) => fill("--- a\n"),
  anchors: ({ count }) => count((index) => `a${index}: &a${index} x\n`),
  aliases: ({ fill }) => `a: &a x\nb: [${fill("*a, ")}x]`,
  tags: ({ fill }) => fill("- !t x\n"),
  "a mistake in every line": ({ count }) => count((index) => `a${index}: "b" c\n`),
  "empty routes": ({ fill }) => `routes:\n${fill("  - { }\n")}`,
  "routes with mistyped keys": ({ count }) =>
    `routes:\n${count((index) => `  - { match: /${index}, too: a }\n`)}`,
  "routes to nowhere": ({ count }) =>
    `upstreams: { u: http://u }\nroutes:\n${count(
      (index) => `  - { match: /a${index}, to: abc${index}, public: true }\n`,
    )}`,
  "one route again and again": ({ fill }) =>
    `upstreams: { u: http://u }\nroutes:\n${fill("  - { match: /a, to: u, public: true }\n")}`,
  "wrong upstreams": ({ count }) => `upstreams:\n${count((index) => `  u${index}: 1\n`)}routes: []\n`,
  "wrong tiers": ({ count }) => `tiers:\n${count((index) => `  t${index}: 1\n`)}routes: []\n`,
  "wrong keys": ({ count }) => `apiKeys:\n${count((index) => `  - { id: k${index}, hash: x }\n`)}`,
  "wrong numbers": ({ fill }) => `trustedProxies: [${fill("1, ")}1]`,
  "wrong addresses": ({ fill }) => `trustedProxies: [${fill("x, ")}x]`,
  "missing variables": ({ count }) => count((index) => `k${index}: \${V${index}}\n`),
} satisfies Readonly<Record<string, (maker: Maker) => string | Buffer>>;

/** What is hostile about a file. */
export type HostileKind = keyof typeof KINDS;

/** A file of this kind of about `size` bytes. */
export function hostileFile(kind: HostileKind, size: number): string | Buffer {
  return KINDS[kind](new Maker(size));
}

/** Ten anchors, each of which holds the one before nine times: a thousand million words when they are followed. */
export function aliasBomb(): string {
  const lines = ["a: &a [x, x]"];
  for (let index = 0; index < 10; index++) {
    const [before, name] = ["abcdefghijk".charAt(index), "abcdefghijk".charAt(index + 1)];
    lines.push(`${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(", ")}]`);
  }
  return `${lines.join("\n")}\n`;
}
