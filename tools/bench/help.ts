import { dirname, join } from 'node:path';
import { checkout } from '../../packages/cli/src/runtime/index.ts';
import { median, round, secondsOf } from './timing.ts';
import type { Bench } from './types.ts';

/** How long a person waits for the list of commands. */
export const help: Bench = {
  what: 'oneflower --help against flwr --help, five times each in turn',
  async run({ python }) {
    const oneflower = join(checkout, 'node_modules', '.bin', 'oneflower');
    const flwr = join(dirname(python), 'flwr');
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 0; turn < 5; turn++) {
      ours.push(await secondsOf(oneflower, ['--help']));
      theirs.push(await secondsOf(flwr, ['--help']));
    }
    return [
      { name: 'oneflower --help', value: round(median(ours)), unit: 's' },
      { name: 'flwr --help', value: round(median(theirs)), unit: 's' },
      { name: 'ratio', value: round(median(ours) / median(theirs)), unit: '' },
    ];
  },
};
