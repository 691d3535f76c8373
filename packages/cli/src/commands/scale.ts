import { openCloud } from '../command/access.ts';
import { isSet, textOption, wholeNumber } from '../command/options.ts';
import type { CommandSpec } from '../command/spec.ts';
import { reportProgress } from '../output/report-progress.ts';
import { counted } from '../output/text.ts';

export const scale: CommandSpec = {
  name: 'scale',
  summary: 'Change the number of SuperNodes of a service',
  description: 'Within the limits that the service was deployed with. OneFlow removes the oldest VMs first.',
  arguments: [
    { name: '<name>', help: 'name or number of the service' },
    { name: '<nodes>', help: 'how many SuperNodes it is to have' },
  ],
  options: [
    { flags: '-w, --wait', help: 'until the new number is there' },
    { flags: '--ready-within <seconds>', help: 'with --wait: give up when it is not there by then (default: 1800)' },
  ],
  cloud: true,
  examples: ['oneflower scale sensors 5', 'oneflower scale sensors 3 --wait'],
  async run(input) {
    const { scaleService } = await import('@oneflower/control');
    const {
      context,
      reporter,
      options,
      arguments: [name = '', count],
    } = input;
    const nodes = (await wholeNumber(count, 'The number of SuperNodes')) ?? 0;
    const readyWithin = await wholeNumber(textOption(options, 'readyWithin'), '--ready-within');
    const result = await scaleService(
      {
        cloud: await openCloud(input),
        clock: context.clock,
        signal: context.signal,
        notify: progress => reportProgress(reporter, progress),
      },
      {
        service: name,
        nodes,
        wait: isSet(options, 'wait'),
        readyWithinMs: readyWithin === undefined ? undefined : readyWithin * 1000,
      },
    );
    const leaving = result.leaving.length > 0 ? ` Leaving: ${result.leaving.join(', ')}.` : '';
    const text =
      result.from === result.to
        ? `${result.name} has ${counted(result.to, 'SuperNode')} already.\n`
        : `${result.name}: from ${result.from} to ${counted(result.to, 'SuperNode')}, ${result.state}.${leaving}\n`;
    return { document: { service: result }, text };
  },
};
