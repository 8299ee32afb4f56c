// Completion, as the shells themselves do it.

import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { program } from "../../../src/cli/commands.ts";
import { completionScript, SHELLS } from "../../../src/cli/completion.ts";

const BASH = completionScript("bash", program);

function bash(script: string): string {
  const { status, stdout, stderr } = spawnSync("bash", ["--norc", "--noprofile", "-c", script], {
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** What bash offers for the last of these words. */
function offered(...words: string[]): string[] {
  const list = ["gatewarden", ...words].map((word) => `'${word}'`).join(" ");
  const out = bash(
    `${BASH}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length}; _gatewarden; printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
  return out.split("\n").filter((word) => word !== "");
}

describe("completion of bash", () => {
  it("is registered, and leaves what it doesn't know to files", () => {
    expect(bash(`${BASH}\ncomplete -p gatewarden`)).toBe("complete -o default -F _gatewarden gatewarden\n");
  });

  it("offers commands, and those below them", () => {
    expect(offered("")).toEqual(expect.arrayContaining(["start", "check", "init", "import", "limits"]));
    expect(offered("c")).toEqual(["check", "completion"]);
    expect(offered("limits", "")).toEqual(["show", "reset"]);
    expect(offered("import", "o")).toEqual(["openapi"]);
  });

  it("offers options of the command, also behind others", () => {
    expect(offered("check", "--a")).toEqual(["--against"]);
    expect(offered("check", "-c", "x.yaml", "--f")).toEqual(["--format"]);
    expect(offered("start", "--a")).toEqual([]);
  });

  it("offers the choices of an option and of an argument", () => {
    expect(offered("check", "--format", "")).toEqual(["text", "json", "github"]);
    expect(offered("routes", "--format", "j")).toEqual(["json"]);
    expect(offered("completion", "")).toEqual([...SHELLS]);
  });

  it("offers nothing of its own where a file is meant, so that bash offers files", () => {
    expect(offered("check", "-c", "")).toEqual([]);
    expect(offered("check", "--against", "c")).toEqual([]);
    expect(offered("import", "openapi", "")).toEqual([]);
  });

  it("offers no command that isn't there yet", () => {
    const words = offered("");
    const shown = program
      .createHelp()
      .visibleCommands(program)
      .map((one) => one.name());
    expect(words.toSorted()).toEqual(shown.filter((name) => name !== "help").toSorted());
  });
});

const installed = (shell: string): boolean => spawnSync(shell, ["-c", "exit 0"]).status === 0;

describe.each(["zsh", "fish"] as const)("completion of %s", (shell) => {
  const script = completionScript(shell, program);

  it("names every command and option, with what they are for", () => {
    for (const command of program.createHelp().visibleCommands(program)) {
      if (command.name() === "help") continue;
      expect(script).toContain(command.name());
      expect(script).toContain(command.description().replaceAll("'", shell === "zsh" ? "'\\''" : "\\'"));
    }
    expect(script).toContain("against");
  });

  it.skipIf(!installed(shell))("is well-formed", () => {
    const { status, stderr } = spawnSync(shell, ["-n"], { input: script, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});
