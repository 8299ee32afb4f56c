// The commands and their options. Each lives in a file of its own, which is loaded only when it is asked for.

import { Command, CommanderError, Option } from "commander";

const NOT_YET = [
  "init",
  "explain",
  "test",
  "diff",
  "replay",
  "user",
  "token",
  "secret",
  "import",
  "reload",
  "schema",
];

const program = new Command("gatewarden")
  .description("Reverse-proxy authentication gateway, configured by one gateway.yaml.")
  .exitOverride()
  .showHelpAfterError("(see gatewarden --help)");

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("-c, --config <file>", "configuration file", "gateway.yaml");
}

function formatOption(...choices: string[]): Option {
  return new Option("--format <format>", "output format").choices(choices).default("text");
}

command("start", "serve in production").action(async (options) => {
  process.exitCode = await (await import("./start.ts")).start(options);
});
command("dev", "serve gateway.yaml, or a demo where there is none").action(async (options) => {
  process.exitCode = await (await import("./dev.ts")).dev(options);
});
command("check", "validate the file; every error at once")
  .addOption(formatOption("text", "json", "github"))
  .action(async (options) => {
    process.exitCode = await (await import("./check.ts")).check(options);
  });
command("routes", "list every route with its guard and limits")
  .addOption(formatOption("text", "json"))
  .action(async (options) => {
    process.exitCode = await (await import("./routes.ts")).routes(options);
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
