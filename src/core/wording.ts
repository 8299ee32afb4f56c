// Forms and sentences that the option schemas of several rooms share, so that one mistake reads alike everywhere.

/** Names that users give to issuers, upstreams, keys and limits. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What such a name has to look like, for messages. */
export const NAME_HINT =
  "expected a name of 1 to 64 letters, digits, dots, dashes and underscores that starts with a letter or digit";

/** How users write a value that comes from the environment. */
export const VARIABLE = `\${VAR}`;
/** How users write a value that comes from a file. */
export const SECRET_FILE = `\${file:path}`;

/** A value that comes from the environment, as users write it. */
export function variable(name: string): string {
  return `\${${name}}`;
}

/** Ends every message about a documented option that this version can't honour. */
export const NOT_YET = "is not supported yet";

/** Message for a documented option that this version can't honour; it must never be ignored in silence. */
export function notYet(option: string): string {
  return `\`${option}\` ${NOT_YET}`;
}
