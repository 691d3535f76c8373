import { isOneFlowerError, messageOf, OneFlowerError, systemClock } from '@oneflower/contract';
import { pino } from 'pino';
import { cloudFiles } from '../cloud/files.ts';
import { openCloud } from '../cloud.ts';
import { createDummyDriver } from '../drivers/dummy.ts';
import { createProcessDriver } from '../drivers/process/driver.ts';
import { linuxProcesses } from '../drivers/process/proc.ts';
import type { VmDriver } from '../interfaces.ts';
import { type CheckedConfig, readConfig } from './config.ts';
import { identityOf, removeIdentity, writeIdentity } from './identity.ts';
import type { DaemonMessage } from './messages.ts';

/**
 * The background service: `node main.ts DIRECTORY`. It takes its settings from the directory, tells the process that
 * started it how the start went, and ends on SIGTERM (VMs go on) or SIGUSR2 (VMs are switched off first), also when the
 * signal comes while it starts.
 */
const directory = process.argv[2] ?? '';
const files = cloudFiles(directory);
const log = pino({ base: { pid: process.pid } });

function tell(message: DaemonMessage): void {
  // The starter may be gone already; the log has it all.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

function driverOf(config: CheckedConfig): VmDriver {
  if (config.driver === 'dummy') return createDummyDriver();
  return createProcessDriver({
    directory: files.directory,
    clock: systemClock,
    agentCommand: config.agentCommand,
    environment: process.env,
    onEvent: event => log.warn(event, 'agent of a VM ended'),
  });
}

/** How this process is to end, once it is told to; what is said after that changes nothing. */
function untilAskedToEnd(): Promise<{ vms: boolean }> {
  process.on('SIGHUP', () => undefined);
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve({ vms: false }));
    process.on('SIGUSR2', () => resolve({ vms: true }));
  });
}

async function run(): Promise<void> {
  const config = readConfig(files);
  if (!config) {
    throw new OneFlowerError({
      code: 'service-not-configured',
      message: `The directory ${files.directory} has no settings for the cloud's service.`,
      reason: 'The service was run by hand, or its settings were removed.',
      remedy: 'Start it with `oneflower cloud start`.',
    });
  }
  const asked = untilAskedToEnd();
  const cloud = await openCloud({
    directory: files.directory,
    driver: driverOf(config),
    clock: systemClock,
    ...(config.ports && { ports: config.ports }),
    onError: error => log.error({ error: messageOf(error), stack: error instanceof Error ? error.stack : '' }, 'bug'),
  });
  const early = await Promise.race([asked, undefined]);
  if (!early) {
    writeIdentity(files, identityOf(linuxProcesses, process.pid, systemClock.now(), cloud.endpoints));
    log.info({ endpoints: cloud.endpoints, driver: config.driver }, 'cloud is up');
    tell({ kind: 'ready', endpoints: cloud.endpoints });
  }
  const { vms } = await asked;
  tell({ kind: 'ending' });
  log.info({ vms }, 'cloud ends');
  const late = await cloud.close({ vms });
  if (late.length > 0) log.warn({ vms: late }, 'VMs did not end in time');
  removeIdentity(files);
  process.exit(0);
}

function fail(error: unknown): void {
  log.fatal({ error: messageOf(error), stack: error instanceof Error ? error.stack : '' }, 'cloud failed');
  const parts = isOneFlowerError(error)
    ? { code: error.code, message: error.message, reason: error.reason, remedy: error.remedy, fault: error.fault }
    : { code: 'cloud-failed', message: messageOf(error), reason: undefined, remedy: undefined, fault: 'bug' as const };
  tell({ kind: 'failed', ...parts });
  // Leaves the message the time to go out.
  process.exitCode = 1;
  if (process.connected) process.disconnect();
  setImmediate(() => process.exit(1));
}

run().catch(fail);
