import type { CommandResult, OptionValues } from './command/spec.ts';
import type { CliContext, Surroundings } from './context.ts';
import { coloursFor } from './output/colours.ts';
import { createReporter, type Reporter } from './output/reporter.ts';
import { type Invocation, readInvocation } from './program.ts';

/** Version of the form of all documents that `--json` prints. */
export const schemaVersion = 1;

/**
 * Runs one command line. With `--json` exactly one document goes to stdout, whatever happens; prose goes to stderr.
 * @returns the exit code.
 */
export async function runCli(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const invocation = await readInvocation(words, surroundings);
  if (invocation.kind === 'shown') return 0;
  if (invocation.kind === 'usage') return refuse(invocation.message, words, surroundings);
  const { systemClock } = await import('@oneflower/contract');
  const context: CliContext = { clock: systemClock, ...surroundings };
  const reporter = createReporter(context.stderr, context.environment, context.clock);
  try {
    const result = await runCommand(invocation, context, reporter);
    reporter.end();
    print(result, invocation.options.json === true, context);
    return result.exitCode ?? 0;
  } catch (error) {
    reporter.end();
    return await fail(
      await withEmbeddedRemedy(error, invocation.options, context),
      invocation.options.json === true,
      context,
    );
  }
}

async function runCommand(
  { spec, arguments: given, options }: Extract<Invocation, { kind: 'command' }>,
  context: CliContext,
  reporter: Reporter,
): Promise<CommandResult> {
  return spec.run({ context, reporter, arguments: given, options });
}

function print({ document, text }: CommandResult, json: boolean, context: CliContext): void {
  if (json) context.stdout.write(`${JSON.stringify({ schemaVersion, ...document }, undefined, 2)}\n`);
  else context.stdout.write(text);
}

async function refuse(message: string, words: readonly string[], context: Surroundings): Promise<number> {
  const { exitCodes } = await import('@oneflower/contract');
  if (words.includes('--json')) {
    const error = { code: 'usage', message, fault: 'user' };
    context.stdout.write(`${JSON.stringify({ schemaVersion, error }, undefined, 2)}\n`);
  }
  return exitCodes.usage;
}

async function fail(error: unknown, json: boolean, context: CliContext): Promise<number> {
  const { errorDocument, renderError } = await import('./output/error.ts');
  const { exitCodeOf } = await import('./exit-code.ts');
  const shown = await inWords(error, context.signal);
  if (json) {
    context.stdout.write(`${JSON.stringify({ schemaVersion, error: errorDocument(shown) }, undefined, 2)}\n`);
  }
  context.stderr.write(renderError(shown, coloursFor(context.stderr, context.environment)));
  return exitCodeOf(shown, context.signal);
}

/** A stopped embedded cloud has a better remedy than a server elsewhere that does not answer. */
async function withEmbeddedRemedy(error: unknown, options: OptionValues, context: CliContext): Promise<unknown> {
  const { isOneFlowerError, OneFlowerError } = await import('@oneflower/contract');
  if (!isOneFlowerError(error) || !/^(oned|oneflow)-unreachable$/.test(error.code)) return error;
  const { embeddedCloud } = await import('@oneflower/control');
  const { findAccess } = await import('./command/access.ts');
  const access = await findAccess(context, options).catch(() => undefined);
  if (access?.cloud !== embeddedCloud) return error;
  const { code, fault, details } = error;
  return new OneFlowerError({
    code,
    message: 'The embedded cloud does not answer.',
    reason: 'It is stopped, or has ended by itself.',
    remedy: 'Start it with oneflower cloud start; its services come back with it.',
    fault,
    details,
    cause: error,
  });
}

/** A command that only reads ends with the signal's own reason: that is no defect. */
async function inWords(error: unknown, signal: AbortSignal): Promise<unknown> {
  const { isOneFlowerError, OneFlowerError } = await import('@oneflower/contract');
  if (!signal.aborted || isOneFlowerError(error)) return error;
  return new OneFlowerError({ code: 'interrupted', message: 'Interrupted.', fault: 'user' });
}
