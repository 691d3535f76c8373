import type { CliContext } from '../context.ts';
import type { Reporter } from '../output/reporter.ts';

/** What a finished command says: one document for programs, text for people. */
export interface CommandResult {
  document: Record<string, unknown>;
  /** Printed on stdout as it is; empty prints nothing. */
  text: string;
  /** 0 when absent. */
  exitCode?: number;
}

/** What a command works with. */
export interface CommandInput {
  context: CliContext;
  /** Says on stderr what is going on. */
  reporter: Reporter;
  /** Arguments in order; an optional one that is absent is undefined. */
  arguments: (string | undefined)[];
  options: OptionValues;
}

/** Values of options by their long name in camel case. */
export interface OptionValues {
  json?: boolean;
  cloud?: string;
  [name: string]: string | boolean | string[] | undefined;
}

export interface OptionSpec {
  /** As commander takes it: `-f, --file <file>`. */
  flags: string;
  help: string;
  /** May be given several times. */
  repeated?: boolean;
  choices?: readonly string[];
}

export interface ArgumentSpec {
  /** `<name>` is required, `[name]` is not; `<names...>`, as the last one, may be given several times. */
  name: string;
  help: string;
}

/** One verb. Everything that is heavy is imported inside `run`, so that help stays fast. */
export interface CommandSpec {
  name: string;
  summary: string;
  /** More than the summary, shown in its own help. */
  description?: string;
  arguments?: readonly ArgumentSpec[];
  options?: readonly OptionSpec[];
  /** It talks to a cloud: it takes --cloud. */
  cloud?: boolean;
  examples: readonly string[];
  run(input: CommandInput): Promise<CommandResult>;
}

/** A noun with its verbs. */
export interface CommandGroup {
  name: string;
  summary: string;
  verbs: readonly CommandSpec[];
}
