// The commands and their options. Each lives in a file of its own, which is loaded only when it is asked for.

import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { describeCommands } from "./help.ts";

const NOT_YET = ["user", "token", "secret"];

/** The whole command line. */
export const program = new Command("gatewarden")
  .description("Reverse-proxy authentication gateway, configured by one gateway.yaml.")
  .exitOverride()
  .showHelpAfterError("(see gatewarden --help)");

const limits = program.command("limits").description("ask a running gateway what its limits count");

const IDENTITY = "KIND:VALUE (user, key, ip, org, header, claim or route), or the key of a counter";

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

/** The values of an option that may be repeated. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
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
  .option("--against <file>", "compare with an OpenAPI document instead")
  .option("--strict", "exit 1 when there are warnings")
  .option("--online", "also ask issuers, Redis and upstreams; exit 3 when one can't be used")
  .addOption(formatOption("text", "json", "github"))
  .action(async (options) => {
    process.exitCode =
      options.against === undefined
        ? await (await import("./check.ts")).check(options)
        : await (await import("./check-against.ts")).checkAgainst(options);
    // A fetch that was given up may go on connecting for seconds.
    if (options.online === true) process.stdout.write("", () => process.exit());
  });
command("test", "run the tests of the file, without a network")
  .addOption(formatOption("text", "json", "junit", "tap"))
  .option("--output <file>", "write the report to a file")
  .option("--filter <text>", "run only tests whose name holds this text")
  .option("--coverage", "tell which routes and methods the tests touch")
  .option("--min-coverage <percent>", "exit 1 when the tests touch fewer routes and methods", percentage)
  .option("--suggest", "print tests for what none touches, as YAML")
  .action(async (options) => {
    process.exitCode = await (await import("./test.ts")).test(options);
  });
command("replay", "decide on a decision log anew: what would this file change?")
  .argument("<log>", "log file, compressed when its name ends in .gz, or - for standard input")
  .option("--old <file>", "the file that wrote the log: less stays open")
  .addOption(formatOption("text", "json"))
  .action(async (log, options) => {
    process.exitCode = await (await import("./replay.ts")).replay(log, options);
  });
program
  .command("suggest")
  .description("propose routes and scopes for what a decision log shows")
  .argument("<log>", "log file, compressed when its name ends in .gz, or - for standard input")
  .option("-c, --config <file>", "the file that wrote the log; what it has is not proposed")
  .addOption(formatOption("text", "json"))
  .action(async (log, options) => {
    process.exitCode = await (await import("./suggest.ts")).suggest(log, options);
  });
program
  .command("schema")
  .description("print the JSON Schema of gateway.yaml, for editors")
  .action(async () => {
    process.exitCode = (await import("./schema.ts")).schema();
  });
command("routes", "list every route with its guard and limits")
  .addOption(formatOption("text", "json"))
  .action(async (options) => {
    process.exitCode = await (await import("./routes.ts")).routes(options);
  });
limitsCommand("show", "list the limits, or the counters of one identity")
  .option("--key <identity>", IDENTITY)
  .action(async (options) => {
    process.exitCode = await (await import("./limits.ts")).limitsShow(options);
  });
limitsCommand("reset", "empty the counters of one identity")
  .requiredOption("--key <identity>", IDENTITY)
  .action(async (options) => {
    process.exitCode = await (await import("./limits.ts")).limitsReset(options);
  });

command("explain", "what would become of a request, step by step; nothing is sent")
  .argument("<method>", "such as GET")
  .argument("<path>", "path and query")
  .option("--token <token>", "bearer token; - reads it from standard input, @FILE from a file")
  .option("--key <key>", "API key; - and @FILE as above")
  .option("--key-id <id>", "as the owner of the file's API key of this id")
  .option("--as <a,b>", "as a verified caller with these scopes")
  .option("--role <role>", "role of that caller; may be repeated", collect)
  .option("--claim <name=value>", "claim of that caller, JSON or text, dots nest; may be repeated", collect)
  .option("--subject <subject>", "subject of that caller")
  .option("--issuer <name>", "issuer of the file that the caller's token would be from")
  .option("--org <org>", "organisation of that caller")
  .option("--tier <tier>", "tier of that caller")
  .option("-H, --header <line>", "header 'Name: value'; may be repeated", collect)
  .option("--host <host>", "host that the client addresses")
  .option("--ip <address>", "address that the request comes from")
  .addOption(new Option("--scheme <scheme>", "how it comes").choices(["http", "https"]))
  .option("--near <n>", "most near misses to tell of, 5 unless said")
  .option("--live", "ask the running gateway: counters, keys and blocks as they are now")
  .option("--offline", "ask no issuer for its keys")
  .addOption(formatOption("text", "json"))
  .addHelpText(
    "after",
    "\nExit code: 0 forwarded, 1 refused, 2 wrong usage or an invalid file, 3 nothing could be reached.",
  )
  .action(async (method, path, options) => {
    process.exitCode = await (await import("./explain.ts")).explain(method, path, options);
  });

program
  .command("diff")
  .description("tell what another file would change in meaning; exit 1 when access widens")
  .argument("<old>", "file, - for standard input, or git:REVISION:PATH")
  .argument("<new>", "the same of the file that is to take its place")
  .option("--limits", "exit 1 also when a limit or a bound lets more through")
  .option("--variables <file>", "variables for both files, where the environment has none")
  .addOption(formatOption("text", "json", "markdown"))
  .action(async (old, next, options) => {
    process.exitCode = await (await import("./diff.ts")).diff(old, next, options);
  });
command("reload", "ask a running gateway to look at its file")
  .option("--wait", "wait for the answer: exit 1 when the file is not taken")
  .addOption(formatOption("text", "json"))
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
  .option("--upstream <name=url>", "where an upstream is; may be repeated", collect)
  .option("--issuer <url>", "issuer of the tokens, where the document doesn't tell")
  .option("--audience <name>", "audience of the tokens")
  .option("--public", "open the operations of which the document says nothing")
  .option("--force", "replace the file if it exists")
  .addOption(formatOption("text", "json"))
  .action(async (file, options) => {
    process.exitCode = await (await import("./import-openapi.ts")).importOpenApiCommand(file, options);
  });

program
  .command("init")
  .argument("[file]", "file to write", "gateway.yaml")
  .description("write a commented gateway.yaml; asks on a terminal")
  .option("--issuer <url>", "issuer of the tokens")
  .option("--audience <name>", "audience of the tokens")
  .option("--upstream <url>", "where the API is; NAME=URL with --from", collect)
  .option("--route <match>", "pattern of a guarded route; may be repeated", collect)
  .option("--scope <scope>", "scope that those routes ask for; may be repeated", collect)
  .option("--open <match>", "pattern of a route for everyone")
  .option("--api-key", "take API keys")
  .option("--redis", "count limits together, in Redis")
  .option("--from <file>", "take routes and scopes from an OpenAPI document")
  .option("--force", "replace the file if it exists")
  .option("-y, --yes", "ask nothing")
  .action(async (file, options) => {
    process.exitCode = await (await import("./init.ts")).init(file, options);
  });
program
  .command("completion")
  .addArgument(new Argument("<shell>", "shell to complete for").choices(["bash", "zsh", "fish"]))
  .description("print a script that completes commands and options")
  .action(async (shell) => {
    process.stdout.write((await import("./completion.ts")).completionScript(shell, program));
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

describeCommands(program);

/** Runs what the arguments of this process ask for; the exit code is set by the command. */
export async function runCommand(): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  }
}
