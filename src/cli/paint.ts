// What reaches a terminal besides plain text: colour and signs of progress, each decided in one place.

/** The part of an output stream that the decisions need. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Environment variables by name. */
type Environment = Readonly<Record<string, string | undefined>>;

/** Ways to set text apart; each returns the text unchanged where colour is off. */
export interface Paint {
  /** Whether the text is changed at all. */
  readonly on: boolean;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly blue: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/**
 * Whether `stream` gets colour: never with NO_COLOR (https://no-color.org), else as FORCE_COLOR says where it is set (`0`
 * and `false` are off, anything else on), else when it is a terminal that isn't dumb.
 */
export function usesColor(stream: Pick<Output, "isTTY">, environment: Environment = process.env): boolean {
  if ((environment.NO_COLOR ?? "") !== "") return false;
  const forced = environment.FORCE_COLOR ?? "";
  if (forced !== "") return forced !== "0" && forced !== "false";
  return stream.isTTY === true && environment.TERM !== "dumb";
}

const same = (text: string): string => text;
const PLAIN: Paint = {
  on: false,
  bold: same,
  dim: same,
  red: same,
  green: same,
  yellow: same,
  blue: same,
  cyan: same,
};

// Select Graphic Rendition (ECMA-48): each style ends with the code that ends it alone, so that styles nest.
const style = (begin: number, end: number) => (text: string) =>
  text === "" ? "" : `\x1b[${begin}m${text}\x1b[${end}m`;
const COLORED: Paint = {
  on: true,
  bold: style(1, 22),
  dim: style(2, 22),
  red: style(31, 39),
  green: style(32, 39),
  yellow: style(33, 39),
  blue: style(34, 39),
  cyan: style(36, 39),
};

/** The ways to set text apart on `stream`. */
export function paint(stream: Pick<Output, "isTTY">, environment: Environment = process.env): Paint {
  return usesColor(stream, environment) ? COLORED : PLAIN;
}

/** A line that tells how far long work has come. */
export interface Progress {
  /** Shows `state` behind the label; at most ten times a second, so that it can be called for every item. */
  update(state: string): void;
  /** Takes the line away. What is written next stands in its place. */
  end(): void;
}

// Work that is over sooner shows nothing.
const PATIENCE_MS = 300;
const BETWEEN_MS = 100;
const CLEAR_LINE = "\r\x1b[2K";
const SILENT: Progress = { update: () => {}, end: () => {} };

/**
 * A progress line on `stream` (standard error, as a rule), which appears when the work has taken 0.3 s. Nothing is ever
 * written where the stream is no terminal, or a dumb one.
 */
export function progress(
  stream: Output,
  label: string,
  now: () => number = () => performance.now(),
  environment: Environment = process.env,
): Progress {
  if (stream.isTTY !== true || environment.TERM === "dumb") return SILENT;
  let due = now() + PATIENCE_MS;
  let shown = false;
  return {
    update: (state) => {
      if (now() < due) return;
      due = now() + BETWEEN_MS;
      shown = true;
      // A line that wraps could not be taken away.
      stream.write(CLEAR_LINE + `${label} ${state}`.slice(0, Math.max(1, (stream.columns ?? 80) - 1)));
    },
    end: () => {
      if (shown) stream.write(CLEAR_LINE);
      shown = false;
    },
  };
}
