// `gatewarden completion`: scripts for shells, made from the commands themselves, so that they can't fall behind.

import type { Command, Option } from "commander";
import { walk } from "./help.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** One command as a shell needs to know it. */
interface Entry {
  /** Words that call it, without the program's name; empty for the program. */
  readonly words: string;
  readonly commands: readonly Word[];
  readonly options: readonly Flag[];
  /** Words that its first argument can be; undefined: anything, so files are offered. */
  readonly choices: readonly string[] | undefined;
}

interface Word {
  readonly word: string;
  readonly about: string;
}

interface Flag {
  /** Such as `-c` and `--config`. */
  readonly names: readonly string[];
  readonly about: string;
  readonly value:
    | { readonly kind: "none" | "file" | "free" }
    | { readonly kind: "choice"; readonly words: readonly string[] };
}

/** The script for a shell. */
export function completionScript(shell: Shell, program: Command): string {
  const entries: Entry[] = [];
  walk(program, (command, words) => {
    if (isVisible(command)) entries.push(entryOf(command, words));
  });
  return { bash, zsh, fish }[shell](entries);
}

function isVisible(command: Command): boolean {
  const { parent } = command;
  if (parent === null) return true;
  return parent.createHelp().visibleCommands(parent).includes(command) && isVisible(parent);
}

function entryOf(command: Command, words: string): Entry {
  const help = command.createHelp();
  const [argument] = command.registeredArguments;
  return {
    words,
    commands: help
      .visibleCommands(command)
      .filter((sub) => command.commands.includes(sub))
      .map((sub) => ({ word: sub.name(), about: sub.description() })),
    options: help.visibleOptions(command).map(flagOf),
    choices: argument?.argChoices,
  };
}

function flagOf(option: Option): Flag {
  const names = [option.short, option.long].flatMap((name) => name ?? []);
  const about = option.description;
  if (!option.required && !option.optional) return { names, about, value: { kind: "none" } };
  if (option.argChoices !== undefined)
    return { names, about, value: { kind: "choice", words: option.argChoices } };
  return { names, about, value: { kind: /<file>/.test(option.flags) ? "file" : "free" } };
}

/** In single quotes of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Which words before the cursor lead to which command, as arms of a `case` in bash and zsh. */
function steps(entries: readonly Entry[]): string {
  const known = entries.filter(({ words }) => words !== "").map(({ words }) => quoted(` ${words}`));
  return known.length === 0 ? "''" : known.join("|");
}

function namesOf(flags: readonly Flag[], kind: Flag["value"]["kind"]): readonly string[] {
  return flags.filter(({ value }) => value.kind === kind).flatMap(({ names }) => names);
}

function bash(entries: readonly Entry[]): string {
  const arms = entries.map((entry) => {
    const { words, options, commands, choices } = entry;
    const values = options.flatMap(({ names, value }) =>
      value.kind === "choice"
        ? [`${names.map(quoted).join("|")}) words=${quoted(value.words.join(" "))} ;;`]
        : [],
    );
    // Nothing to offer: bash then completes files by itself.
    const others = [...namesOf(options, "file"), ...namesOf(options, "free")];
    if (others.length > 0) values.push(`${others.map(quoted).join("|")}) return ;;`);
    const flags = options.flatMap(({ names }) => names.filter((name) => name.startsWith("--")));
    const plain = [...commands.map(({ word }) => word), ...(choices ?? [])];
    values.push(
      `*) if [[ $cur == -* ]]; then words=${quoted(flags.join(" "))}; else words=${quoted(plain.join(" "))}; fi ;;`,
    );
    return `    ${quoted(words === "" ? "" : ` ${words}`)})\n      case "$prev" in\n${values.map((line) => `        ${line}`).join("\n")}\n      esac ;;`;
  });
  return `# Completion of gatewarden for bash, made by \`gatewarden completion bash\`.
_gatewarden() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="" at="" words="" i
  COMPREPLY=()
  ((COMP_CWORD > 0)) && prev="\${COMP_WORDS[COMP_CWORD-1]}"
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${steps(entries)}) at="$at \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at" in
${arms.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _gatewarden gatewarden
`;
}

/** For zsh's _describe, which ends the word at the first colon. */
function described(words: readonly Word[]): string {
  return words.map(({ word, about }) => quoted(`${word.replaceAll(":", "\\:")}:${about}`)).join(" ");
}

function zsh(entries: readonly Entry[]): string {
  const arms = entries.map(({ words, options, commands, choices }) => {
    const values = options.flatMap(({ names, value }) =>
      value.kind === "choice"
        ? [`${names.map(quoted).join("|")}) compadd -- ${value.words.map(quoted).join(" ")}; return ;;`]
        : [],
    );
    const files = namesOf(options, "file");
    const free = namesOf(options, "free");
    if (files.length > 0) values.push(`${files.map(quoted).join("|")}) _files; return ;;`);
    if (free.length > 0) values.push(`${free.map(quoted).join("|")}) _message value; return ;;`);
    const flags = options.flatMap(({ names, about }) =>
      names.filter((name) => name.startsWith("--")).map((word) => ({ word, about })),
    );
    const plain = [...commands, ...(choices ?? []).map((word) => ({ word, about: "" }))];
    return `    ${quoted(words === "" ? "" : ` ${words}`)})
      case "$prev" in
${values.map((line) => `        ${line}\n`).join("")}        *) ;;
      esac
      options=(${described(flags)})
      plain=(${described(plain)}) ;;`;
  });
  return `#compdef gatewarden
# Completion of gatewarden for zsh, made by \`gatewarden completion zsh\`.
_gatewarden() {
  local at="" prev="\${words[CURRENT-1]}" i
  local -a options plain
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      ${steps(entries)}) at="$at \${words[i]}" ;;
    esac
  done
  case "$at" in
${arms.join("\n")}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o option options
  elif ((\${#plain})); then
    _describe command plain
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _gatewarden ]]; then
  _gatewarden "$@"
else
  compdef _gatewarden gatewarden
fi
`;
}

/** In single quotes of fish. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

function fish(entries: readonly Entry[]): string {
  const known = entries.filter(({ words }) => words !== "").map(({ words }) => fishQuoted(words));
  const lines = entries.flatMap(({ words, options, commands, choices }) => {
    const when = `complete -c gatewarden -n "__gatewarden_at ${fishQuoted(words)}"`;
    const plain = [...commands, ...(choices ?? []).map((word) => ({ word, about: "" }))];
    return [
      ...plain.map(
        ({ word, about }) =>
          `${when} -f -a ${fishQuoted(word)}${about === "" ? "" : ` -d ${fishQuoted(about)}`}`,
      ),
      ...options.map((flag) => `${when} ${fishFlag(flag)}`),
    ];
  });
  return `# Completion of gatewarden for fish, made by \`gatewarden completion fish\`.
function __gatewarden_at
  set -l at
  for word in (commandline -opc)[2..-1]
    set -l next (string join ' ' $at $word)
    contains -- $next ${known.join(" ")}; and set at $at $word
  end
  test "$at" = "$argv[1]"
end
${lines.join("\n")}
`;
}

function fishFlag({ names, about, value }: Flag): string {
  const parts = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  if (value.kind === "file") parts.push("-r -F");
  if (value.kind === "free") parts.push("-x");
  if (value.kind === "choice") parts.push(`-x -a ${fishQuoted(value.words.join(" "))}`);
  return `${parts.join(" ")} -d ${fishQuoted(about)}`;
}
