import { resolve } from 'node:path';
import type { ModelFormat } from '@oneflower/contract';
import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import { textOption, wholeNumber } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { formatBytes, safe } from '../../output/text.ts';

/** As in the contract, which help must not have to load. */
const formats = ['npz', 'pt', 'joblib', 'keras', 'peft'] as const satisfies readonly ModelFormat[];

export const download: CommandSpec = {
  name: 'download',
  summary: 'Download a model with its card; the file appears when it is whole and its SHA-256 is right',
  description: 'Other formats than npz are made on the SuperLink, whose ML_FRAMEWORK says which it can make.',
  arguments: [serviceOrOnly, { name: '[run]', help: 'the run that left it (default: the latest)' }],
  options: [
    { flags: '--round <final|best|N>', help: 'the model of the end, of the best round or of a round (default: final)' },
    { flags: '-f, --format <format>', help: 'what to have it as (default: npz)', choices: formats },
    { flags: '-o, --output <path>', help: 'file or folder (default: NAME-RUN.npz, here); the card goes beside it' },
  ],
  cloud: true,
  examples: [
    'oneflower model download sensors',
    'oneflower model download sensors 7 -o model.npz',
    'oneflower model download sensors --round best --format joblib',
  ],
  async run(input) {
    const { downloadModel } = await import('@oneflower/control');
    const { context, options } = input;
    const output = textOption(options, 'output');
    const [name, runId] = input.arguments;
    const runs = await openRuns(input, name);
    const downloaded = await downloadModel(runs, {
      runId,
      which: await whichModel(textOption(options, 'round')),
      format: formats.find(format => format === options.format),
      output: target(context.folder, output),
    });
    const { path, bytes, sha256, cardFiles } = downloaded;
    const text = `${path} (${formatBytes(bytes)}, SHA-256 ${sha256})\n${cardFiles[0]}\n`;
    return { document: { ...downloaded }, text: safe(text) };
  },
};

/** A path that ends in a slash is a folder; resolving would lose that. */
function target(folder: string, output: string | undefined): string {
  if (output === undefined) return `${folder}/`;
  const path = resolve(folder, output);
  return output.endsWith('/') ? `${path}/` : path;
}

async function whichModel(text: string | undefined): Promise<'final' | 'best' | number> {
  if (text === undefined || text === 'final' || text === 'best') return text ?? 'final';
  return (await wholeNumber(text, '--round')) ?? 'final';
}
