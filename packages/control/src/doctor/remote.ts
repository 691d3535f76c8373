import { type Clock, isOneFlowerError, OneFlowerError } from '@oneflower/contract';
import type { Cloud } from '../cloud.ts';
import { findResources } from '../deploy/resources.ts';
import { type Check, type Finding, ok } from './doctor.ts';

export interface RemoteOptions {
  /** Settles which cloud is meant and connects; throws when there is none. */
  cloud(): Promise<Cloud>;
  clock: Clock;
  /** Asks for an address and gives the Date header of whatever answers. */
  dateHeader?: (url: string) => Promise<string | null>;
}

/** A clock that is further off than this makes fresh certificates invalid on one of the sides. */
const tolerableSkewMs = 30_000;
const seriousSkewMs = 300_000;
const dateTimeoutMs = 5_000;

/** Checks of the cloud: endpoint, and, when it answers, login, OneFlow, clock, image and network. */
export function remoteChecks({ cloud, clock, dateHeader = askDate }: RemoteOptions): Check[] {
  let asked: Promise<string> | undefined;
  function version(): Promise<string> {
    asked ??= cloud().then(({ oned }) => oned.system.version());
    return asked;
  }
  function afterEndpoint(id: string, run: () => Promise<Omit<Finding, 'id'>>): Check {
    return {
      id,
      async run() {
        const answers = await version().then(
          () => true,
          () => false,
        );
        return answers ? run() : { status: 'warning', message: 'Not checked.', remedy: 'Correct the endpoint first.' };
      },
    };
  }
  return [
    {
      id: 'endpoint',
      async run() {
        const { access } = await cloud();
        return ok(`OpenNebula ${await version()} at ${access.endpoint} (${access.cloud})`);
      },
    },
    afterEndpoint('login', async () => ok(`Logged in as ${(await (await cloud()).oned.users.self()).name}`)),
    afterEndpoint('oneflow', async () => {
      const { oneflow, access } = await cloud();
      return ok(`OneFlow at ${access.oneflowUrl} (${(await oneflow.services.list()).length} services)`);
    }),
    afterEndpoint('clock', async () => compareClocks(await dateHeader((await cloud()).access.endpoint), clock.now())),
    afterEndpoint('image-and-network', async () => {
      const { image, network } = await findResources(await cloud(), {});
      return ok(`Image ${image.name} (${image.id}), network ${network.name} (${network.id})`);
    }),
  ];
}

function compareClocks(header: string | null, now: number): Omit<Finding, 'id'> {
  const theirs = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(theirs)) {
    return {
      status: 'warning',
      message: 'The cloud does not say what time it is.',
      remedy: 'Compare the clocks by hand (date).',
    };
  }
  const skew = Math.abs(now - theirs);
  const seconds = Math.round(skew / 1000);
  if (skew <= tolerableSkewMs) return ok(`The clocks agree (${seconds} s apart)`);
  return {
    status: skew > seriousSkewMs ? 'error' : 'warning',
    message: `The clock of this machine and that of the cloud are ${seconds} seconds apart.`,
    remedy: 'Set both by NTP (timedatectl set-ntp true): certificates are valid by time.',
  };
}

async function askDate(url: string): Promise<string | null> {
  try {
    const answer = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(dateTimeoutMs) });
    await answer.body?.cancel();
    return answer.headers.get('date');
  } catch (error) {
    if (isOneFlowerError(error)) throw error;
    throw new OneFlowerError({
      code: 'clock-unknown',
      message: 'The clock of the cloud cannot be read.',
      reason: `${url} does not answer.`,
      remedy: 'Correct the endpoint first.',
    });
  }
}
