// The fast reader of plain YAML against the full parser: whatever it takes, it reads as the full one does.

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPlainYaml } from "../../src/config/plain-yaml.ts";
import type { TreeNode } from "../../src/config/tree.ts";
import { type ParseReply, parseFully } from "../../src/config/yaml-full.ts";
import { largeFile } from "../support/large-file.ts";

const MOST = 100_000;
const CORPUS = fileURLToPath(new URL("../config-corpus/", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../config/examples/", import.meta.url));

const read = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".yaml") && !/directory|missing|deep|utf8/.test(name))
    .map((name) => readFileSync(folder + name, "utf8"));
const TEXTS = [...read(CORPUS), ...read(EXAMPLES), largeFile(20)];

/** Whether the text is plain; fails when both readers take it for something else. */
function agree(text: string): boolean {
  const plain = readPlainYaml(text, MOST);
  if (!plain.plain) return false;
  // As the reply of the parser's process comes.
  const full = JSON.parse(JSON.stringify(parseFully(text))) as ParseReply;
  expect({ text, root: comparable(plain.root), faults: [] }).toEqual({
    text,
    root: comparable(full.root),
    faults: full.faults,
  });
  return true;
}

/** A tree without the places of what isn't there, which the full parser sometimes puts behind trailing blanks. */
function comparable(root: TreeNode | null): unknown {
  const visit = (node: TreeNode): unknown => {
    if (node.kind === "scalar") return node.value === null ? { kind: "nothing" } : node;
    if (node.kind === "list") return { ...node, items: node.items.map(visit) };
    return { ...node, entries: node.entries.map((entry) => ({ ...entry, value: visit(entry.value) })) };
  };
  return root && visit(root);
}

describe("plain YAML", () => {
  test("nearly every configuration is plain", () => {
    const plain = TEXTS.filter(agree);
    expect(plain.length / TEXTS.length).toBeGreaterThan(0.85);
    expect(read(EXAMPLES).every(agree)).toBe(true);
  });

  test("a configuration that was changed at random is read alike, or not at all", () => {
    const pieces = fc.constantFrom(
      ...[
        "\n",
        " ",
        "  ",
        "- ",
        "-",
        ":",
        ": ",
        ",",
        "#",
        " #",
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        "\\",
        "~",
        "---\n",
      ],
      ...[
        "|",
        ">",
        "&a ",
        "*a",
        "!t ",
        "?",
        "? ",
        "\t",
        "\r",
        "\r\n",
        "0",
        "-0",
        "1e3",
        ".5",
        "0x1",
        "null",
        "true",
      ],
      ...[
        "a",
        "a: b",
        "\n  ",
        "\n- ",
        "\n#c\n",
        "''",
        '""',
        "<<",
        "é",
        "%",
        "@",
        "`",
        "...\n",
        "a:\n",
        "[]",
        "{}",
      ],
    );
    let plain = 0;
    let changed = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...TEXTS.flatMap(partsOf)),
        fc.array(fc.record({ at: fc.nat(), cut: fc.nat(3), put: pieces }), { minLength: 1, maxLength: 3 }),
        (text, changes) => {
          let now = text;
          for (const { at, cut, put } of changes) {
            const place = at % (now.length + 1);
            now = now.slice(0, place) + put + now.slice(place + cut);
          }
          changed++;
          if (agree(now)) plain++;
        },
      ),
      { numRuns: 20_000 },
    );
    expect(plain / changed).toBeGreaterThan(0.2);
  });

  test("short texts of special characters are read alike, or not at all", () => {
    const word = fc.constantFrom(
      ...[
        "a",
        "b",
        "1",
        "- ",
        "-",
        ": ",
        ":",
        "\n",
        "\n ",
        "\n  ",
        "#",
        " ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        '"',
        "'",
        "?",
      ],
    );
    let plain = 0;
    fc.assert(
      fc.property(fc.array(word, { maxLength: 14 }), (words) => {
        if (agree(words.join(""))) plain++;
      }),
      { numRuns: 20_000 },
    );
    expect(plain).toBeGreaterThan(1_000);
  });
});

/** A whole text, and pieces of a few lines, which are quicker to go through. */
function partsOf(text: string): readonly string[] {
  const lines = text.split("\n");
  const parts = [text.length < 3_000 ? text : ""];
  for (let at = 0; at < lines.length; at += 7) parts.push(lines.slice(at, at + 9).join("\n"));
  return parts;
}
