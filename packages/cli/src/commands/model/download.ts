import { resolve } from 'node:path';
import { openRuns } from '../../command/access.ts';
import { textOption } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { formatBytes, safe } from '../../output/text.ts';

export const download: CommandSpec = {
  name: 'download',
  summary: 'Download a model; the file appears when it is whole and its SHA-256 is right',
  arguments: [{ name: '[name]', help: 'name of the service (default: the only one)' }],
  options: [
    { flags: '-r, --run <id>', help: 'the run that left it (default: the latest)' },
    { flags: '-o, --output <path>', help: 'file or folder (default: NAME-RUN.npz, here)' },
  ],
  cloud: true,
  examples: ['oneflower model download sensors', 'oneflower model download sensors --run 7 -o model.npz'],
  async run(input) {
    const { downloadModel } = await import('@oneflower/control');
    const { context, options } = input;
    const output = textOption(options, 'output');
    const runs = await openRuns(input, input.arguments[0]);
    const { manifest, path } = await downloadModel(runs, {
      runId: textOption(options, 'run'),
      output: target(context.folder, output),
    });
    const text = `${path} (${formatBytes(manifest.bytes)}, SHA-256 ${manifest.sha256})\n`;
    return { document: { path, manifest }, text: safe(text) };
  },
};

/** A path that ends in a slash is a folder; resolving would lose that. */
function target(folder: string, output: string | undefined): string {
  if (output === undefined) return `${folder}/`;
  const path = resolve(folder, output);
  return output.endsWith('/') ? `${path}/` : path;
}
