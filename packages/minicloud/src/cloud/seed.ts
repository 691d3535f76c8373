import { type Clock, OneFlowerError, sleep } from '@oneflower/contract';
import type { XmlRpcValue } from '@oneflower/opennebula';
import type { Oned } from '../interfaces.ts';
import { poolOf } from '../onegate/vm-json.ts';
import type { Block } from './front-end.ts';

/** Names of what a fresh embedded cloud has ready for a deployment. */
export const seedNames = {
  host: 'embedded',
  systemDatastore: 'embedded-system',
  imageDatastore: 'embedded-images',
  network: 'oneflower',
  image: 'OneFlower',
} as const;

/** VMs get 127.X.1.1 to 127.X.255.254. */
const LEASES = 254 * 256 + 254;
const CLUSTER = 0;
const IMAGE_SIZE_MB = '2048';
/** What the drivers of datastores and networks are called: they have nothing to copy or to plug in. */
const NOTHING_TO_DO = 'dummy';
const ALL = [-2, -1, -1];
/** READY, and USED of images; 2 of a network is LOCK_CREATE, which has no addresses yet. */
const USABLE_IMAGE = ['1', '2'];
const USABLE_NETWORK = ['1'];
const PATIENCE = 5_000;
const LOOK_EVERY = 20;

/**
 * Gives a fresh cloud what a deployment needs: a host, datastores, the image `OneFlower` and the network `oneflower` with
 * the block's addresses. Each is made only where it is missing, so a start that was cut short is completed by the next.
 *
 * @throws OneFlowerError `seed-refused` when oned refuses a step
 */
export function seedCloud(oned: Oned, session: string, block: Block, driver: string): void {
  const call = (method: string, ...args: XmlRpcValue[]): XmlRpcValue => {
    const answer = oned.call(session, method, ...args);
    if (answer.ok) return answer.value;
    throw new OneFlowerError({
      code: 'seed-refused',
      message: `The fresh cloud could not be set up: ${answer.message}`,
      reason: 'Its state does not fit this version of OneFlower.',
      remedy: 'Run `oneflower cloud reset` to begin with a new state.',
      details: { method, errno: answer.errno },
    });
  };
  const missing = (pool: string, name: string, filter: number[] = ALL): boolean =>
    !poolOf(String(call(pool, ...filter))).some(object => object.NAME === name);

  if (missing('one.hostpool.info', seedNames.host, [])) {
    call('one.host.allocate', seedNames.host, driver, driver, CLUSTER);
  }
  const datastores = {
    [seedNames.systemDatastore]: { TYPE: 'SYSTEM_DS', TM_MAD: NOTHING_TO_DO },
    [seedNames.imageDatastore]: { TYPE: 'IMAGE_DS', DS_MAD: NOTHING_TO_DO, TM_MAD: NOTHING_TO_DO },
  };
  for (const [name, settings] of Object.entries(datastores)) {
    if (missing('one.datastorepool.info', name, [])) {
      call('one.datastore.allocate', template({ NAME: name, ...settings }), CLUSTER);
    }
  }
  if (missing('one.imagepool.info', seedNames.image)) {
    const image = { NAME: seedNames.image, TYPE: 'OS', PATH: '/oneflower', SIZE: IMAGE_SIZE_MB };
    call('one.image.allocate', template(image), datastoreId(call('one.datastorepool.info')));
  }
  if (missing('one.vnpool.info', seedNames.network)) call('one.vn.allocate', networkTemplate(block), CLUSTER);
}

/**
 * Waits until the seeded image and network may be used: oned makes them ready a moment after they are allocated. Passes
 * after five seconds at the latest, for what an operator has disabled since stays so.
 */
export async function untilSeedUsable(oned: Oned, session: string, clock: Clock): Promise<void> {
  const seeded = [
    { pool: 'one.imagepool.info', name: seedNames.image, usable: USABLE_IMAGE },
    { pool: 'one.vnpool.info', name: seedNames.network, usable: USABLE_NETWORK },
  ];
  const deadline = clock.now() + PATIENCE;
  for (const { pool, name, usable } of seeded) {
    while (clock.now() < deadline) {
      const answer = oned.call(session, pool, ...ALL);
      const object = answer.ok ? poolOf(String(answer.value)).find(({ NAME }) => NAME === name) : undefined;
      if (!object || usable.includes(String(object.STATE))) break;
      await sleep(clock, LOOK_EVERY);
    }
  }
}

function template(attributes: Record<string, string>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name}="${value}"`)
    .join('\n');
}

function networkTemplate({ number }: Block): string {
  const range = `AR=[TYPE="IP4",IP="127.${number}.1.1",SIZE="${LEASES}"]`;
  const attributes = {
    NAME: seedNames.network,
    VN_MAD: NOTHING_TO_DO,
    BRIDGE: 'lo',
    NETWORK_ADDRESS: `127.${number}.0.0`,
    NETWORK_MASK: '255.255.0.0',
  };
  return `${template(attributes)}\n${range}`;
}

function datastoreId(pool: XmlRpcValue): number {
  return Number(poolOf(String(pool)).find(({ NAME }) => NAME === seedNames.imageDatastore)?.ID ?? 1);
}
