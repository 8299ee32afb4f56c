// The commands and their options. Each lives in a file of its own, which is loaded only when it is asked for.

import { Command, CommanderError, InvalidArgumentError, Option } from "commander";

const NOT_YET = ["init", "explain", "diff", "user", "token", "secret", "import", "schema"];

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
  reload: `
Examples:
  gatewarden reload --wait                         did it take my edit?
  gatewarden reload -c /etc/gatewarden/gateway.yaml --wait --format json`,
  test: `
Examples:
  gatewarden test                                  the tests of gateway.yaml
  gatewarden test --coverage --min-coverage 90     fail when too few routes are tested
  gatewarden test --format junit --output junit.xml
  gatewarden test --suggest                        first tests, to paste into the file`,
  replay: `
Examples:
  gatewarden replay decisions.log -c new.yaml              what would change?
  kubectl logs deploy/gatewarden | gatewarden replay - -c new.yaml --old gateway.yaml`,
  suggest: `
Example:
  gatewarden suggest decisions.log -c gateway.yaml         routes and scopes for what was seen`,
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

function percentage(text: string): number {
  const value = /^(\d{1,3})%?$/.exec(text)?.[1];
  if (value === undefined || Number(value) > 100) {
    throw new InvalidArgumentError("Expected a percentage from 0 to 100.");
  }
  return Number(value);
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
command("test", "run the tests of the file, without a network")
  .addOption(formatOption("text", "json", "junit", "tap"))
  .option("--output <file>", "write the report to a file")
  .option("--filter <text>", "run only tests whose name holds this text")
  .option("--coverage", "tell which routes and methods the tests touch")
  .option("--min-coverage <percent>", "exit 1 when the tests touch fewer routes and methods", percentage)
  .option("--suggest", "print tests for what none touches, as YAML")
  .addHelpText("after", EXAMPLES.test)
  .action(async (options) => {
    process.exitCode = await (await import("./test.ts")).test(options);
  });
command("replay", "decide on a decision log anew: what would this file change?")
  .argument("<log>", "log file, compressed when its name ends in .gz, or - for standard input")
  .option("--old <file>", "the file that wrote the log: less stays open")
  .addOption(formatOption("text", "json"))
  .addHelpText("after", EXAMPLES.replay)
  .action(async (log, options) => {
    process.exitCode = await (await import("./replay.ts")).replay(log, options);
  });
program
  .command("suggest")
  .description("propose routes and scopes for what a decision log shows")
  .argument("<log>", "log file, compressed when its name ends in .gz, or - for standard input")
  .option("-c, --config <file>", "the file that wrote the log; what it has is not proposed")
  .addOption(formatOption("text", "json"))
  .addHelpText("after", EXAMPLES.suggest)
  .action(async (log, options) => {
    process.exitCode = await (await import("./suggest.ts")).suggest(log, options);
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
