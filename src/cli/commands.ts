// The commands and their options. Each lives in a file of its own, which is loaded only when it is asked for.

import { Command, CommanderError, Option } from "commander";

const NOT_YET = ["init", "explain", "test", "replay", "user", "token", "secret", "schema"];

const program = new Command("gatewarden")
  .description("Reverse-proxy authentication gateway, configured by one gateway.yaml.")
  .exitOverride()
  .showHelpAfterError("(see gatewarden --help)");

const limits = program.command("limits").description("ask a running gateway what its limits count");

const IDENTITY = "KIND:VALUE (user, key, ip, org, header, claim or route), or the key of a counter";

const EXAMPLES = {
  show: `
Examples:
  gatewarden limits show                           every limit and what it decided
  gatewarden limits show --key user:alice          what alice has used
  gatewarden limits show --key ip:203.0.113.7 --format json`,
  diff: `
Examples:
  gatewarden diff gateway.yaml new.yaml
  gatewarden diff git:HEAD:gateway.yaml gateway.yaml           what did I change?
  gatewarden diff git:origin/main:gateway.yaml gateway.yaml --format markdown`,
  reload: `
Examples:
  gatewarden reload --wait                         did it take my edit?
  gatewarden reload -c /etc/gatewarden/gateway.yaml --wait --format json`,
  reset: `
Example:
  gatewarden limits reset --key user:alice         alice starts anew`,
};

/** A command below `limits`. */
function limitsCommand(name: string, description: string): Command {
  return command(name, description, limits).addOption(formatOption("text", "json"));
}

function command(name: string, description: string, parent = program): Command {
  return parent
    .command(name)
    .description(description)
    .option("-c, --config <file>", "configuration file", "gateway.yaml");
}

function formatOption(...choices: string[]): Option {
  return new Option("--format <format>", "output format").choices(choices).default("text");
}

/** An option whose values are collected into a list. */
function repeatable(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, list: readonly string[] = []) => [
    ...list,
    value,
  ]);
}

command("start", "serve in production").action(async (options) => {
  process.exitCode = await (await import("./start.ts")).start(options);
});
command("dev", "serve gateway.yaml, or a demo where there is none").action(async (options) => {
  process.exitCode = await (await import("./dev.ts")).dev(options);
});
command("check", "validate the file; every error at once")
  .option("--against <openapi>", "compare with an OpenAPI document instead")
  .addOption(formatOption("text", "json", "github"))
  .action(async (options) => {
    process.exitCode =
      options.against === undefined
        ? await (await import("./check.ts")).check(options)
        : await (await import("./check-against.ts")).checkAgainst(options);
  });
command("routes", "list every route with its guard and limits")
  .addOption(formatOption("text", "json"))
  .action(async (options) => {
    process.exitCode = await (await import("./routes.ts")).routes(options);
  });
limitsCommand("show", "list the limits, or the counters of one identity")
  .option("--key <identity>", IDENTITY)
  .addHelpText("after", EXAMPLES.show)
  .action(async (options) => {
    process.exitCode = await (await import("./limits.ts")).limitsShow(options);
  });
limitsCommand("reset", "empty the counters of one identity")
  .requiredOption("--key <identity>", IDENTITY)
  .addHelpText("after", EXAMPLES.reset)
  .action(async (options) => {
    process.exitCode = await (await import("./limits.ts")).limitsReset(options);
  });

program
  .command("diff")
  .description("tell what another file would change in meaning; exit 1 when access widens")
  .argument("<old>", "file, - for standard input, or git:REVISION:PATH")
  .argument("<new>", "the same of the file that is to take its place")
  .option("--limits", "exit 1 also when a limit or a bound lets more through")
  .option("--variables <file>", "variables for both files, where the environment has none")
  .addOption(formatOption("text", "json", "markdown"))
  .addHelpText("after", EXAMPLES.diff)
  .action(async (old, next, options) => {
    process.exitCode = await (await import("./diff.ts")).diff(old, next, options);
  });
command("reload", "ask a running gateway to look at its file")
  .option("--wait", "wait for the answer: exit 1 when the file is not taken")
  .addOption(formatOption("text", "json"))
  .addHelpText("after", EXAMPLES.reload)
  .action(async (options) => {
    process.exitCode = await (await import("./reload.ts")).reload(options);
  });
command("healthcheck", "exit 0 when the gateway of this file is ready").action(async (options) => {
  process.exitCode = await (await import("./healthcheck.ts")).healthcheck(options);
});

program
  .command("key")
  .description("manage API keys")
  .command("create")
  .description("make an API key, print it once, and the line for gateway.yaml")
  .requiredOption("--id <id>", "name of the key in logs and headers")
  .requiredOption("--scopes <a,b>", "scopes that the key holds, separated by commas")
  .option("--expires <date>", "date from which the key is refused")
  .option("--test", "make a gwk_test_ key instead of a gwk_live_ one")
  .addOption(formatOption("text", "json"))
  .action(async (options) => {
    process.exitCode = (await import("./key-create.ts")).keyCreate(options);
  });

program
  .command("import")
  .description("make a gateway.yaml from another document")
  .command("openapi")
  .argument("<file>", "OpenAPI 3 or Swagger 2 document, YAML or JSON")
  .description("routes, guards and scopes from an OpenAPI document")
  .option("-o, --output <file>", "file to write; standard output unless said")
  .addOption(repeatable("--upstream <name=url>", "where an upstream is; may be repeated"))
  .option("--issuer <url>", "issuer of the tokens, where the document doesn't tell")
  .option("--audience <name>", "audience of the tokens")
  .option("--public", "open the operations of which the document says nothing")
  .option("--force", "replace the file if it exists")
  .addOption(formatOption("text", "json"))
  .action(async (file, options) => {
    process.exitCode = await (await import("./import-openapi.ts")).importOpenApiCommand(file, options);
  });

for (const name of NOT_YET) {
  program
    .command(name, { hidden: true })
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      process.stderr.write(`gatewarden: the command ${name} is not supported yet\n`);
      process.exitCode = 2;
    });
}

/** Runs what the arguments of this process ask for; the exit code is set by the command. */
export async function runCommand(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}
