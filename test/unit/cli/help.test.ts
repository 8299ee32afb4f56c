// Every command explains itself: examples that are right, in lines that fit.

import type { Command, Option } from "commander";
import { describe, expect, it } from "vitest";
import { program } from "../../../src/cli/commands.ts";
import { EXAMPLES, walk } from "../../../src/cli/help.ts";

interface Known {
  readonly words: string;
  readonly command: Command;
}

const known: Known[] = [];
walk(program, (command, words) => known.push({ words, command }));
const hidden = ({ command }: Known): boolean =>
  command.parent !== null && !command.parent.createHelp().visibleCommands(command.parent).includes(command);
const visible = known.filter((one) => one.words !== "" && !hidden(one));
const leaves = visible.filter(({ command }) => command.commands.length === 0);

/** What `gatewarden WORDS --help` prints. */
function helpOf(command: Command): string {
  let out = "";
  const write = (text: string): void => {
    out += text;
  };
  command.configureOutput({ writeOut: write, getOutHelpWidth: () => 100 });
  command.outputHelp();
  return out;
}

/** Words as a shell makes them of a line, up to where it goes on to another file. */
function shellWords(line: string): string[] {
  const words = [...line.matchAll(/"[^"]*"|\S+/g)].map(([word]) => word.replace(/^"|"$/g, ""));
  const end = words.indexOf(">");
  return end === -1 ? words : words.slice(0, end);
}

/** The example lines of a help text, without `gatewarden` and without the explanation behind two spaces. */
function examplesIn(help: string): string[] {
  const [, examples = ""] = help.split(/^Examples?:$/m);
  return [...examples.matchAll(/^ {2}gatewarden (.*?)(?: {2,}.*)?$/gm)].map((match) => match[1] ?? "");
}

/** What is wrong with an example: a command or option that isn't there, or a value that it doesn't take. */
function faultsOf(line: string): string[] {
  const words = shellWords(line);
  let command: Command = program;
  while (words.length > 0) {
    const sub = command.commands.find((one) => one.name() === words[0]);
    if (sub === undefined) break;
    command = sub;
    words.shift();
  }
  if (command.commands.length > 0) return [`${line}: ${words[0] ?? "nothing"} is no command`];
  const faults: string[] = [];
  const given: Option[] = [];
  let plain = 0;
  while (words.length > 0) {
    const word = words.shift() ?? "";
    if (!word.startsWith("-")) {
      plain++;
      continue;
    }
    const option = command.options.find((one) => one.short === word || one.long === word);
    if (option === undefined) {
      faults.push(`${line}: ${word} is no option`);
      continue;
    }
    given.push(option);
    if (!option.required) continue;
    const value = words.shift();
    if (value === undefined) faults.push(`${line}: ${word} needs a value`);
    else if (option.argChoices?.includes(value) === false) faults.push(`${line}: ${word} can't be ${value}`);
  }
  const missing = command.options.filter((one) => one.mandatory && !given.includes(one));
  faults.push(...missing.map((one) => `${line}: needs ${one.long}`));
  const needed = command.registeredArguments.filter((one) => one.required).length;
  const variadic = command.registeredArguments.some((one) => one.variadic);
  if (plain < needed || (!variadic && plain > command.registeredArguments.length))
    faults.push(`${line}: ${plain} arguments`);
  return faults;
}

describe("the help", () => {
  it("covers a good number of commands", () => {
    expect(leaves.length).toBeGreaterThan(10);
    expect(Object.keys(EXAMPLES).filter((words) => !known.some((one) => one.words === words))).toEqual([]);
  });

  it.each(
    leaves.map(({ words, command }) => [words, command] as const),
  )("of %s has examples that work", (_, command) => {
    const examples = examplesIn(helpOf(command));
    expect(examples.length).toBeGreaterThan(0);
    expect(examples.flatMap(faultsOf)).toEqual([]);
  });

  it.each(
    visible.map(({ words, command }) => [words, command] as const),
  )("of %s fits 100 columns", (_, command) => {
    const wide = helpOf(command)
      .split("\n")
      .filter((line) => line.length > 100);
    expect(wide).toEqual([]);
  });

  it("of the program groups all commands", () => {
    const help = helpOf(program);
    expect([...help.matchAll(/^(\w+):$/gm)].map((match) => match[1]).toSorted()).toEqual([
      "Change",
      "Commands",
      "Credentials",
      "Options",
      "Serve",
      "Understand",
    ]);
    const [, ungrouped = ""] = help.split("Commands:\n");
    expect(ungrouped.split("\n\n")[0]).toMatch(/^ {2}help \[command\] .*$/);
  });

  it("would tell a wrong example", () => {
    expect(faultsOf("chek")).toEqual(["chek: chek is no command"]);
    expect(faultsOf("check --formt json")).toEqual([
      "check --formt json: --formt is no option",
      "check --formt json: 1 arguments",
    ]);
    expect(faultsOf("check --format xml")).toEqual(["check --format xml: --format can't be xml"]);
    expect(faultsOf("key create --id a")).toEqual(["key create --id a: needs --scopes"]);
  });
});
