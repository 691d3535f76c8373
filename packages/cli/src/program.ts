import { Command, CommanderError, Option } from 'commander';
import type { CommandGroup, CommandSpec, OptionValues } from './command/spec.ts';
import { commands } from './commands/index.ts';
import type { Surroundings } from './context.ts';

/** What the words of a command line mean. */
export type Invocation =
  | { kind: 'command'; name: string; spec: CommandSpec; arguments: (string | undefined)[]; options: OptionValues }
  /** Help or version was asked for and has been printed. */
  | { kind: 'shown' }
  /** It makes no sense; what is wrong has been printed, unless `quiet` was asked for. */
  | { kind: 'usage'; message: string };

/** Reads a command line. Help goes to stdout, complaints to stderr. */
export async function readInvocation(words: readonly string[], context: Surroundings): Promise<Invocation> {
  let found: Invocation | undefined;
  const program = buildProgram(context, invocation => {
    found = invocation;
  });
  try {
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'shown' };
    const message = error.message.replace(/^error: /, '');
    return { kind: 'usage', message: message === '(outputHelp)' ? 'A command is missing.' : message };
  }
  return found ?? { kind: 'shown' };
}

function buildProgram(context: Surroundings, found: (invocation: Invocation) => void): Command {
  const program = prepare(new Command('oneflower'), context)
    .description('Flower federated learning on OpenNebula: deploy, watch, scale, and take the model.')
    .version('oneflower 0.1.0', '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      examplesText([
        'oneflower cloud start',
        'oneflower deploy sensors --nodes 3 --set FL_USE_CASE=anomaly-detection --wait',
        'oneflower model download sensors',
      ]),
    )
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 usage, 3 not reachable or refused, 130 interrupted.');
  for (const command of commands) {
    if ('verbs' in command) addGroup(program, command, context, found);
    else addCommand(program, command, command.name, context, found);
  }
  return program;
}

/** Settings of a command that its subcommands do not inherit. */
function prepare(command: Command, context: Surroundings): Command {
  return command
    .exitOverride()
    .helpOption('-h, --help', 'show this help')
    .configureHelp({ helpWidth: Math.min(context.stdout.columns, 100), sortSubcommands: false })
    .configureOutput({
      writeOut: text => context.stdout.write(text),
      writeErr: text => context.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, 'Error: ')),
      getOutHelpWidth: () => Math.min(context.stdout.columns, 100),
      getErrHelpWidth: () => Math.min(context.stderr.columns, 100),
    })
    .showHelpAfterError('Do: add --help to see how it is used.');
}

function addGroup(
  program: Command,
  group: CommandGroup,
  context: Surroundings,
  found: (one: Invocation) => void,
): void {
  const command = prepare(new Command(group.name), context)
    .description(`${group.summary}: ${group.verbs.map(verb => verb.name).join(', ')}`)
    .helpCommand(false);
  for (const verb of group.verbs) addCommand(command, verb, `${group.name} ${verb.name}`, context, found);
  program.addCommand(command);
}

function addCommand(
  parent: Command,
  spec: CommandSpec,
  name: string,
  context: Surroundings,
  found: (invocation: Invocation) => void,
): void {
  const command = prepare(new Command(spec.name), context).summary(spec.summary);
  command.description(spec.description === undefined ? spec.summary : `${spec.summary}.\n${spec.description}`);
  for (const argument of spec.arguments ?? []) command.argument(argument.name, argument.help);
  for (const { flags, help, repeated, choices } of spec.options ?? []) {
    const option = new Option(flags, help);
    if (choices) option.choices(choices);
    const check = option.parseArg;
    if (repeated) {
      option.argParser((value: string, before: string[] | undefined) => {
        check?.(value, undefined);
        return [...(before ?? []), value];
      });
    }
    command.addOption(option);
  }
  if (spec.cloud) command.option('--cloud <name>', 'embedded, or the name of a saved cloud (default: the environment)');
  command.option('--json', 'print one JSON document on stdout');
  command.addHelpText('after', examplesText(spec.examples));
  command.action(() => {
    const count = (spec.arguments ?? []).length;
    // One that may be given several times comes as a list.
    const given: (string | undefined)[] = command.processedArgs.slice(0, count).flat();
    found({ kind: 'command', name, spec, arguments: given, options: command.opts<OptionValues>() });
  });
  parent.addCommand(command);
}

function examplesText(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map(example => `  ${example}`).join('\n')}`;
}
