import { type AttributeName, type Clock, isOneFlowerError, messageOf, type Timer } from '@oneflower/contract';
import type { Log } from '../log/log.ts';

/** What is needed of OneGate: one request that sets attributes of the own VM, and one that reads them. */
export interface AttributeStore {
  publish(attributes: Readonly<Record<string, string>>): Promise<void>;
  vm(): Promise<{ userTemplate: Readonly<Record<string, unknown>> }>;
}

/** READY is OneFlow's, not ours; all others are in the contract. */
export type Attributes = Partial<Record<AttributeName | 'READY', string>>;

export interface Publisher {
  /**
   * Wants these attributes published beside those wanted already; sends what is not published yet in one request,
   * READY last. Never throws: what could not be sent is sent later, by itself.
   *
   * @returns whether it is published now.
   */
  publish(attributes: Attributes): Promise<boolean>;
  /** What is known to be published. */
  published(): Readonly<Attributes>;
  stop(): void;
}

const firstPauseMs = 2000;
const longestPauseMs = 60_000;
/** Any VM of the service may write into its siblings (OneGate's default): what stands there is looked at again. */
const checkEveryMs = 60_000;

/** Publishes through `store`, if there is one. */
export function createPublisher(store: AttributeStore | undefined, clock: Clock, log: Log): Publisher {
  let wanted: Attributes = {};
  let published: Attributes = {};
  let retry: Timer | undefined;
  let check: Timer | undefined;
  let pauseMs = firstPauseMs;
  let complained = false;
  let stopped = false;
  let sending: Promise<boolean> = Promise.resolve(true);

  async function send(): Promise<boolean> {
    const news = difference(wanted, published);
    if (!store || Object.keys(news).length === 0) return store !== undefined;
    retry?.cancel();
    try {
      await store.publish(readyLast(news));
      published = { ...published, ...news };
      if (complained) log.info('OneGate takes the attributes of this VM again.');
      complained = false;
      pauseMs = firstPauseMs;
      return true;
    } catch (error) {
      complain(error);
      if (stopped) return false;
      retry = clock.after(pauseMs, () => void queue());
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
      return false;
    }
  }

  function queue(): Promise<boolean> {
    sending = sending.then(send, send);
    if (!stopped) check ??= store && clock.after(checkEveryMs, () => void compare());
    return sending;
  }

  /** Publishes again what somebody else has changed. A OneGate that is away is the sender's to complain of. */
  async function compare(): Promise<void> {
    check = undefined;
    await sending;
    const before = published;
    const there = (await store?.vm().catch(() => undefined))?.userTemplate;
    const changed = there && published === before ? differing(before, there) : [];
    if (changed.length > 0) {
      log.warning(`Somebody else has changed attributes of this VM (${changed.join(', ')}); they are set right.`);
      published = Object.fromEntries(Object.entries(before).filter(([name]) => !changed.includes(name)));
    }
    if (!stopped) await queue();
  }

  function complain(error: unknown): void {
    if (complained) return;
    complained = true;
    const said = isOneFlowerError(error) ? error.explain() : messageOf(error);
    log.warning(`The attributes of this VM are not published: ${said} Trying again until OneGate takes them.`);
  }

  return {
    publish(attributes) {
      wanted = { ...wanted, ...attributes };
      return queue();
    },
    published: () => published,
    stop() {
      stopped = true;
      retry?.cancel();
      check?.cancel();
    },
  };
}

/** Names of what was published and does not stand there. OneGate shows an empty attribute as absent or empty. */
function differing(published: Attributes, there: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(published)
    .filter(([name, value]) => (there[name] ?? '') !== value)
    .map(([name]) => name);
}

function difference(wanted: Attributes, published: Attributes): Attributes {
  const names = Object.keys(wanted) as (keyof Attributes)[];
  return Object.fromEntries(names.filter(name => wanted[name] !== published[name]).map(name => [name, wanted[name]]));
}

/** Whoever sees READY must see the rest: in one request, and last in it. */
function readyLast({ FL_READY, FL_NODE_READY, READY, ...rest }: Attributes): Record<string, string> {
  const ordered = { ...rest, FL_NODE_READY, FL_READY, READY };
  return Object.fromEntries(
    Object.entries(ordered).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
