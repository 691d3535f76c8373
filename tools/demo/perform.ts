import { isOneFlowerError, messageOf, OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';

/** Runs one command of oneflower and answers its JSON document; a failure carries the code of that document. */
export type OneFlowerCommand = (...args: string[]) => Promise<unknown>;

export interface Demonstration<Result> {
  /** Name of the service that is deployed. */
  service: string;
  /** Leave the service and its cloud running. */
  keep: boolean;
  oneflower: OneFlowerCommand;
  /** Starts the cloud if it does not run. */
  startCloud(): Promise<unknown>;
  deploy(): Promise<void>;
  /** What is done with the trained service. */
  show(): Promise<Result>;
  takingDown<T>(work: () => Promise<T>): Promise<T>;
  say(message: string): void;
}

/** What this run has made, or may have made when it was cut off. */
interface Made {
  cloud: boolean;
  service: boolean;
}

const cloudStatus = z.object({ cloud: z.object({ state: z.string() }) });
const services = z.object({ services: z.array(z.object({ name: z.string() })) });

/**
 * Deploys, shows and takes down what it made, and nothing else: neither a service that was there before nor a cloud that
 * ran already. The first failure is the one that is thrown.
 *
 * @throws OneFlowerError `demo-exists` when there is a service of that name, and what the commands throw
 */
export async function perform<Result>(demonstration: Demonstration<Result>): Promise<Result> {
  const { keep, say, takingDown } = demonstration;
  const { cloud } = cloudStatus.parse(await demonstration.oneflower('cloud', 'status'));
  const made: Made = { cloud: cloud.state === 'stopped', service: false };
  let result: Result;
  try {
    result = await play(demonstration, made);
  } catch (error) {
    // A service that was to be kept is kept with its failure, to be looked at.
    if (!(keep && made.service)) await takeDown(demonstration, made).catch(later => say(wordsOf(later)));
    throw error;
  }
  if (!keep) await takingDown(() => takeDown(demonstration, made));
  return result;
}

async function play<Result>(demonstration: Demonstration<Result>, made: Made): Promise<Result> {
  await demonstration.startCloud();
  await refuseTaken(demonstration);
  made.service = true;
  try {
    await demonstration.deploy();
  } catch (error) {
    // Somebody else was faster since the look above: the service is theirs.
    if (isOneFlowerError(error) && error.code === 'service-exists') made.service = false;
    throw error;
  }
  return demonstration.show();
}

async function refuseTaken({ service, oneflower }: Demonstration<unknown>): Promise<void> {
  const found = services.parse(await oneflower('status'));
  if (!found.services.some(({ name }) => name === service)) return;
  throw new OneFlowerError({
    code: 'demo-exists',
    message: `There is a service ${service} already.`,
    reason: 'An earlier demonstration was kept, or was cut off, or the service is your own; it is left as it is.',
    remedy: `Remove it with npx oneflower delete ${service} (after npx oneflower cloud start if the cloud is stopped), then start the demonstration again.`,
    fault: 'user',
  });
}

async function takeDown({ service, oneflower }: Demonstration<unknown>, made: Made): Promise<void> {
  try {
    if (made.service) await oneflower('delete', service);
  } catch (error) {
    if (!isOneFlowerError(error) || error.code !== 'service-not-found') throw error;
  } finally {
    if (made.cloud) await oneflower('cloud', 'stop');
  }
}

function wordsOf(error: unknown): string {
  return isOneFlowerError(error) ? error.explain() : messageOf(error);
}
