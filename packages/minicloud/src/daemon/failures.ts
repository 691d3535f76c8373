import { OneFlowerError } from '@oneflower/contract';
import type { CloudFiles } from '../cloud/files.ts';
import type { DaemonIdentity } from './identity.ts';
import type { DaemonMessage } from './messages.ts';

/** The failure that the service told before it ended. */
export function failureOf(message: DaemonMessage & { kind: 'failed' }, files: CloudFiles): OneFlowerError {
  const { code, message: text, reason, remedy, fault } = message;
  const details = { log: files.log };
  return new OneFlowerError({
    code,
    message: text,
    fault,
    details,
    ...(reason && { reason }),
    ...(remedy && { remedy }),
  });
}

/** A second start of a service that runs or starts. */
export function alreadyRunning(files: CloudFiles, { pid, endpoints }: DaemonIdentity): OneFlowerError {
  const how = endpoints
    ? `is running already, as process ${pid} at ${endpoints.xmlrpc}`
    : `is starting, as process ${pid}`;
  return new OneFlowerError({
    code: endpoints ? 'cloud-running' : 'cloud-starting',
    message: `The cloud in ${files.directory} ${how}.`,
    reason: 'It was started before and not stopped.',
    remedy: `${endpoints ? 'Use it as it is' : 'Wait until it is up'}, or stop it with \`oneflower cloud stop\`.`,
    fault: 'user',
    details: { pid, ...(endpoints && { endpoints }) },
  });
}

/** A start that a stop or a reset has ended. */
export function stoppedWhileStarting(files: CloudFiles): OneFlowerError {
  return new OneFlowerError({
    code: 'cloud-start-stopped',
    message: `The cloud in ${files.directory} was stopped while it started.`,
    reason: 'Its process was told to end, for example by `oneflower cloud stop`.',
    remedy: 'Start it again with `oneflower cloud start`.',
    fault: 'user',
    details: { log: files.log },
  });
}

/** A service that ended or said nothing. */
export function notStarted(files: CloudFiles, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'cloud-not-started',
    message: `The cloud's service in ${files.directory} did not start: ${why}.`,
    reason: 'The last lines of its log say more.',
    remedy: `Read ${files.log}, then start it again.`,
    details: { log: files.log },
  });
}

/** A server that does not answer although the service is up. */
export function silent(server: string, url: string): OneFlowerError {
  return new OneFlowerError({
    code: 'cloud-silent',
    message: `${server} of the new cloud does not answer at ${url}.`,
    reason: 'Something on this machine keeps loopback connections from passing, for example a packet filter.',
    remedy: 'Allow connections to 127.0.0.0/8, then start the cloud again.',
    details: { url },
  });
}

/** A cloud that some other program has open. */
export function inUse(files: CloudFiles, host: string, cause: unknown): OneFlowerError {
  return new OneFlowerError({
    code: 'cloud-in-use',
    message: `The cloud in ${files.directory} is in use at ${host}, and not by its background service.`,
    reason: 'Another program has opened it, or has taken its address.',
    remedy: `See which one it is with \`ss -ltnp src ${host}\`, and end it.`,
    cause,
  });
}
