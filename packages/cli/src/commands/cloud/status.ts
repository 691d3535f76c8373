import type { CommandSpec } from '../../command/spec.ts';
import { embeddedFolder } from './folder.ts';

export const status: CommandSpec = {
  name: 'status',
  summary: 'Say whether the embedded cloud runs and how other clients reach it',
  examples: ['oneflower cloud status', 'oneflower cloud status --json'],
  async run({ context }) {
    const { homeFolder } = await import('@oneflower/control');
    const { daemonStatus } = await import('@oneflower/minicloud');
    const found = await daemonStatus({ directory: embeddedFolder(homeFolder(context.environment)) });
    if (found.state === 'stopped') {
      const kept = found.kept ? ' Its state is kept.' : '';
      const crash = found.stale ? ' It did not end in an orderly way.' : '';
      return {
        document: { cloud: found },
        text: `The embedded cloud does not run.${crash}${kept}\nNext: oneflower cloud start\n`,
      };
    }
    if (found.state === 'starting') {
      return { document: { cloud: found }, text: `The embedded cloud is starting (process ${found.pid}).\n` };
    }
    const { xmlrpc, oneflow, authFile } = found.endpoints;
    const silent = found.answers ? '' : ', but does not answer';
    const lines = [
      `The embedded cloud runs${silent} (process ${found.pid}, since ${new Date(found.since).toISOString()}).`,
      'Other clients reach it with:',
      `  export ONE_XMLRPC=${xmlrpc}`,
      `  export ONEFLOW_URL=${oneflow}`,
      `  export ONE_AUTH=${authFile}`,
    ];
    return { document: { cloud: found }, text: `${lines.join('\n')}\n` };
  },
};
