import type { Cloud, EmbeddedState, Finding } from '@oneflower/control';
import { openCloud } from '../command/access.ts';
import type { CommandSpec } from '../command/spec.ts';
import { counted, safe } from '../output/text.ts';
import { embeddedFolder } from './cloud/folder.ts';

export const doctor: CommandSpec = {
  name: 'doctor',
  summary: 'Check this machine and the cloud, with a remedy for everything that is wrong',
  description: 'Exits with 1 when a check has failed; warnings alone are 0.',
  cloud: true,
  examples: ['oneflower doctor', 'oneflower doctor --cloud embedded --json'],
  async run(input) {
    const control = await import('@oneflower/control');
    const { context } = input;
    const home = control.homeFolder(context.environment);
    const state = once(() => embeddedState(home));
    const cloud = once<Cloud>(() => openCloud(input));
    const findings = await control.examine([
      control.nodeCheck(process.version),
      control.pythonCheck(context.findPython),
      control.diskCheck(home),
      control.embeddedCheck(state),
      control.portsCheck(state),
      ...control.remoteChecks({ cloud, clock: context.clock }),
    ]);
    context.signal.throwIfAborted();
    const failed = findings.some(finding => finding.status === 'error');
    return { document: { findings }, text: render(findings), exitCode: failed ? 1 : 0 };
  },
};

/** Undefined when there was never an embedded cloud. */
async function embeddedState(home: string): Promise<EmbeddedState | undefined> {
  const { embeddedCloud, readSavedCloud } = await import('@oneflower/control');
  const { daemonStatus } = await import('@oneflower/minicloud');
  const saved = await readSavedCloud(home, embeddedCloud);
  if (!saved) return undefined;
  const status = await daemonStatus({ directory: embeddedFolder(home) });
  const urls = [saved.xmlrpc, saved.oneflow, ...(saved.onegate === undefined ? [] : [saved.onegate])];
  return { running: status.state !== 'stopped', urls };
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined;
  return () => {
    value ??= make();
    return value;
  };
}

const labels: Record<Finding['status'], string> = { ok: 'ok     ', warning: 'warning', error: 'error  ' };

function render(findings: Finding[]): string {
  const lines = findings.flatMap(({ status, id, message, remedy }) => [
    `${labels[status]}  ${id}: ${message}`,
    ...(remedy === null ? [] : [`         ${remedy}`]),
  ]);
  const errors = findings.filter(({ status }) => status === 'error').length;
  const warnings = findings.filter(({ status }) => status === 'warning').length;
  return `${safe(lines.join('\n'))}\n${counted(errors, 'error')}, ${counted(warnings, 'warning')}.\n`;
}
