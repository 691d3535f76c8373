import type { ChildProcess } from 'node:child_process';
import { type Clock, sleep } from '@oneflower/contract';
import type { CloudFiles } from '../cloud/files.ts';
import type { CloudEndpoints } from '../cloud/front-end.ts';
import { failureOf, notStarted, silent, stoppedWhileStarting } from './failures.ts';
import { daemonMessageSchema } from './messages.ts';

/** A server that answers. */
export interface Answer {
  kind: 'answers';
  server: 'oned' | 'OneFlow' | 'OneGate';
  url: string;
}

/** Milliseconds that a service may take to open its cloud. */
export const START_DEADLINE = 60_000;
/** Milliseconds that the servers of an open cloud may take to answer. */
export const ANSWER_DEADLINE = 10_000;
/** Milliseconds between two looks. */
export const LOOK_EVERY = 100;

/** Rejects once somebody has told the service to end. */
export function untilStopped(child: ChildProcess, files: CloudFiles): Promise<never> {
  const stopped = new Promise<never>((_, reject) => {
    child.on('message', raw => {
      if (daemonMessageSchema.safeParse(raw).data?.kind === 'ending') reject(stoppedWhileStarting(files));
    });
    child.once('exit', (code, signal) => {
      if (code === 0 || signal === 'SIGTERM' || signal === 'SIGUSR2') reject(stoppedWhileStarting(files));
    });
  });
  stopped.catch(() => undefined);
  return stopped;
}

/** Waits for the service's own word. */
export async function untilReady(
  child: ChildProcess,
  files: CloudFiles,
  clock: Clock,
  over: AbortSignal,
): Promise<CloudEndpoints> {
  const told = new Promise<CloudEndpoints>((resolve, reject) => {
    child.on('message', raw => {
      const message = daemonMessageSchema.safeParse(raw).data;
      if (message?.kind === 'ready') resolve(message.endpoints);
      if (message?.kind === 'failed') reject(failureOf(message, files));
    });
    child.once('error', error => reject(notStarted(files, error.message)));
    child.once('exit', (code, signal) => reject(notStarted(files, `it ended with ${signal ?? `code ${code}`}`)));
  });
  const deadline = sleep(clock, START_DEADLINE, over).then(() => {
    throw notStarted(files, `it said nothing for ${START_DEADLINE / 1000} s`);
  });
  return Promise.race([told, deadline]);
}

/** Waits until each server answers, and tells of each. */
export async function untilAnswering(
  endpoints: CloudEndpoints,
  clock: Clock,
  over: AbortSignal,
  onAnswer: ((answer: Answer) => void) | undefined,
): Promise<void> {
  const deadline = clock.now() + ANSWER_DEADLINE;
  for (const { server, url } of serversOf(endpoints)) {
    while (!(await answers(url))) {
      if (clock.now() >= deadline) throw silent(server, url);
      await sleep(clock, LOOK_EVERY, over);
    }
    onAnswer?.({ kind: 'answers', server, url });
  }
}

/** The servers of a cloud, in the order in which they are looked at. */
export function serversOf(endpoints: CloudEndpoints) {
  return [
    { server: 'oned', url: endpoints.xmlrpc },
    { server: 'OneFlow', url: endpoints.oneflow },
    { server: 'OneGate', url: endpoints.onegate },
  ] as const;
}

/** Any answer will do: without a login it is a refusal. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
