import { isOneFlowerError, messageOf, type OneFlowerError, sleep } from '@oneflower/contract';
import type { Certificates } from './certificates/index.ts';
import { asFailure } from './failure.ts';
import type { Guest } from './guest.ts';
import { notReady } from './publication/attributes.ts';
import type { RunService } from './runs/service.ts';
import type { Site } from './site/index.ts';

/** What the watchdog looks at. */
export interface WatchedSuperLink {
  guest: Guest;
  site: Site;
  runs: RunService;
  certificates: Certificates | undefined;
  probe(): Promise<void>;
  publishReady(): Promise<void>;
  /** Why Flower does not answer, when that is because it does not live. */
  flowerTrouble(): OneFlowerError | undefined;
}

const pauseMs = 1500;
const probeEveryMs = 5000;
/** Flower that was killed is back sooner: what is published need not flap. */
const toleratedMs = 15_000;
/** A certificate this close to its end is renewed even in the middle of a run, which a restart of Flower ends. */
const urgentMs = 24 * 3600 * 1000;

/**
 * Keeps what a SuperLink has published true and its nodes and runs up to date. Ends when the certificate is due, so
 * that the boot steps renew it.
 */
export async function watchSuperLink(superLink: WatchedSuperLink, signal: AbortSignal): Promise<void> {
  const { clock, log } = superLink.guest;
  let lastGood = clock.now();
  let nextProbe = clock.now() + probeEveryMs;
  let trouble: string | undefined;
  for (;;) {
    await sleep(clock, pauseMs, signal);
    await superLink.runs.keeper.tick();
    const training = superLink.runs.keeper.isTraining();
    // Before the site is refreshed: partitions change between runs only.
    superLink.site.setTraining(training);
    await superLink.site.refresh().catch((error: unknown) => {
      log.debug(`The nodes cannot be read at present: ${messageOf(error)}`);
    });
    if (isRenewalDue(superLink, training)) return;
    if (clock.now() < nextProbe) continue;
    nextProbe = clock.now() + probeEveryMs;
    const error = await probe(superLink);
    if (!error) {
      if (trouble !== undefined) log.info('The Fleet API answers again.');
      trouble = undefined;
      lastGood = clock.now();
      await superLink.publishReady();
      continue;
    }
    if (trouble !== error.message) log.warning(error.explain());
    trouble = error.message;
    if (clock.now() - lastGood >= toleratedMs) await superLink.guest.publish(notReady('superlink', error));
  }
}

/** The probe's failure; where Flower does not live long enough to answer, that it does not. */
async function probe(superLink: WatchedSuperLink): Promise<OneFlowerError | undefined> {
  try {
    await superLink.probe();
    return undefined;
  } catch (error) {
    return superLink.flowerTrouble() ?? (isOneFlowerError(error) ? error : asFailure(error, 'health_check_timeout'));
  }
}

function isRenewalDue({ certificates, guest }: WatchedSuperLink, training: boolean): boolean {
  if (!certificates) return false;
  const { renewAt, expiresAt } = certificates;
  return guest.clock.now() >= (training ? Math.max(renewAt, expiresAt - urgentMs) : renewAt);
}
