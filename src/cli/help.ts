// What `--help` says beyond names and options: examples of each command, and the groups of the overview.

import type { Command } from "commander";

/** What to type after `gatewarden`, and what it is good for. */
type Example = readonly [line: string, why: string];

/** By command, in the words that call it. Commands that are not here bring examples of their own. */
export const EXAMPLES: Readonly<Record<string, readonly Example[]>> = {
  start: [
    ["start", "serve ./gateway.yaml"],
    ["start -c /etc/gatewarden/gateway.yaml", "serve another file"],
  ],
  dev: [["dev", "a running gateway, with a demo upstream where there is no gateway.yaml"]],
  check: [
    ["check", "every mistake in ./gateway.yaml"],
    ["check --strict --format github", "warnings count too; annotations of a pull request"],
    ["check --online", "also: can issuers, Redis and upstreams be reached?"],
    ["check --against openapi.yaml", "where it differs from an OpenAPI document"],
  ],
  schema: [["schema > gateway.schema.json", "for `# yaml-language-server: $schema=gateway.schema.json`"]],
  routes: [
    ["routes", "who may call what"],
    ["routes --format json", "the same for a script"],
  ],
  test: [
    ["test", "the tests of gateway.yaml"],
    ["test --coverage --min-coverage 90", "fail when too few routes are tested"],
    ["test --format junit --output junit.xml", ""],
    ["test --suggest", "first tests, to paste into the file"],
  ],
  suggest: [
    ["suggest decisions.log -c gateway.yaml", "routes and scopes for what was seen"],
    ["suggest decisions.log.gz -c gateway.yaml --format json", ""],
  ],
  explain: [
    ["explain GET /modules --as modules:read", "with a verified caller"],
    ["explain DELETE /modules/7 --key-id ci-bot", "with a key of the file"],
    ["explain GET /orgs/acme/members --subject alice --claim org.id=acme --role admin", ""],
    ["explain GET /modules --token @token.txt --live", ""],
  ],
  diff: [
    ["diff gateway.yaml new.yaml", ""],
    ["diff git:HEAD:gateway.yaml gateway.yaml", "what did I change?"],
    ["diff git:origin/main:gateway.yaml gateway.yaml --format markdown", ""],
  ],
  replay: [
    ["replay decisions.log -c new.yaml", "what would change?"],
    ["replay yesterday.log.gz -c new.yaml --old gateway.yaml", "less stays open"],
  ],
  reload: [
    ["reload --wait", "did it take my edit?"],
    ["reload -c /etc/gatewarden/gateway.yaml --wait --format json", ""],
  ],
  healthcheck: [["healthcheck -c /etc/gatewarden/gateway.yaml", "for a container's health check"]],
  "limits show": [
    ["limits show", "every limit and what it decided"],
    ["limits show --key user:alice", "what alice has used"],
    ["limits show --key ip:203.0.113.7 --format json", ""],
  ],
  "limits reset": [["limits reset --key user:alice", "alice starts anew"]],
  "key create": [
    ["key create --id ci-bot --scopes modules:read", "the key, and its line for the file"],
    ["key create --id trial --scopes modules:read --expires 2027-01-31", ""],
  ],
  init: [
    ["init", "asks, and writes ./gateway.yaml"],
    ['init --issuer https://login.example.com/ --audience my-api --route "GET /modules"', ""],
    ["init --from openapi.yaml", "routes and scopes out of an OpenAPI document"],
  ],
  "import openapi": [
    ["import openapi openapi.yaml", "the file on standard output, a report beside it"],
    ["import openapi openapi.yaml -o gateway.yaml --upstream api=http://127.0.0.1:9000", ""],
  ],
  completion: [
    ["completion bash > ~/.local/share/bash-completion/completions/gatewarden", ""],
    ['completion zsh > "$HOME/.zfunc/_gatewarden"', "where a folder of fpath is"],
    ["completion fish > ~/.config/fish/completions/gatewarden.fish", ""],
  ],
};

/** Headings of the overview. Commands that are not here stand below `Commands:`. */
const GROUPS: readonly (readonly [heading: string, commands: readonly string[]])[] = [
  ["Serve:", ["start", "dev", "reload", "healthcheck", "limits"]],
  ["Understand:", ["check", "routes", "explain", "test"]],
  ["Change:", ["init", "import", "diff", "replay", "suggest", "schema", "completion"]],
  ["Credentials:", ["key", "user", "token", "secret"]],
];

const MOST_COLUMNS = 100;

/** Adds examples and groups to all commands of `program`. */
export function describeCommands(program: Command): void {
  program
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? MOST_COLUMNS, MOST_COLUMNS) })
    .addHelpText("after", "\nEach command has examples: gatewarden COMMAND --help");
  for (const [heading, names] of GROUPS)
    for (const one of program.commands) if (names.includes(one.name())) one.helpGroup(heading);
  walk(program, (command, words) => {
    const examples = EXAMPLES[words];
    if (examples !== undefined) command.addHelpText("after", `\n${text(examples)}`);
    else if (command.commands.length > 0 && command !== program)
      command.addHelpText(
        "after",
        `\n${text(command.commands.flatMap((sub) => EXAMPLES[`${words} ${sub.name()}`] ?? []))}`,
      );
  });
}

/** Calls `visit` for every command, with the words that call it; none for the program itself. */
export function walk(command: Command, visit: (command: Command, words: string) => void, words = ""): void {
  visit(command, words);
  for (const sub of command.commands) walk(sub, visit, words === "" ? sub.name() : `${words} ${sub.name()}`);
}

function text(examples: readonly Example[]): string {
  const lines = examples.map(([line, why]) => [`  gatewarden ${line}`, why] as const);
  // A long line would push the others out of the page.
  const width = Math.max(0, ...lines.filter(([line]) => line.length < 52).map(([line]) => line.length));
  const shown = lines.map(([line, why]) => (why === "" ? line : `${line.padEnd(width)}  ${why}`));
  return `${examples.length === 1 ? "Example" : "Examples"}:\n${shown.join("\n")}`;
}
