import { type Clock, OneFlowerError, sleep } from '@oneflower/contract';
import { isNotFound, isTransient, isUnreachable, isWrongState, type Service } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { findService } from './find.ts';
import { removeRecord } from './records.ts';
import { remainingVms } from './vms.ts';

export interface DeleteContext {
  cloud: Cloud;
  home: string;
  clock: Clock;
  notify: Notify;
  signal?: AbortSignal | undefined;
}

export interface DeleteResult {
  id: number;
  name: string;
  /** How many VMs went with it. */
  vms: number;
}

const pollMs = 1000;
/** An unchanged UNDEPLOYING of this length means a refused shutdown, which only a recover ends. */
const stuckMs = 120_000;
/** A DELETE whose answer was lost is taken for lost itself when the service still stands after this. */
const doubtMs = 30_000;
const longestMs = 900_000;

/**
 * Removes a service and waits until it and its VMs are gone. OneFlow refuses a DELETE in most states, so the way
 * there depends on the state; a second DELETE is never sent, because while UNDEPLOYING it drops the service and
 * leaves its VMs behind.
 * @throws OneFlowerError `service-not-found`, `delete-timeout`, `delete-interrupted`, `vms-left`.
 */
export async function deleteService(context: DeleteContext, nameOrId: string): Promise<DeleteResult> {
  const { cloud, home, signal, notify } = context;
  const service = await findService(cloud, nameOrId);
  const vmIds = new Set<number>();
  notify({ type: 'removal_started', name: service.name, id: service.id });
  try {
    await remove(context, service, vmIds);
    await untilVmsGone(context, service, vmIds);
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new OneFlowerError({
      code: 'delete-interrupted',
      message: `Interrupted; ${service.name} (${service.id}) may not be gone yet.`,
      remedy: `See oneflower status ${service.name}; oneflower delete ${service.id} goes on with it.`,
      fault: 'user',
    });
  }
  await removeRecord({ home, cloudKey: cloud.access.key }, service.name);
  return { id: service.id, name: service.name, vms: vmIds.size };
}

/** What is known of the removal between two looks at the service. */
interface Removal {
  /** When DELETE or a recover with delete was sent. */
  sentAt?: number;
  /** Its answer was lost, so it may not have been received. */
  doubtful?: boolean;
  recoveredCooldown?: boolean;
}

async function remove(context: DeleteContext, { id, name }: Service, vmIds: Set<number>): Promise<void> {
  const { cloud, clock, notify, signal } = context;
  const removal: Removal = {};
  const begun = clock.now();
  let shown = '';
  let changedAt = begun;
  for (;;) {
    const service = await look(cloud, id);
    if (service === 'gone') return;
    if (service === 'unknown') {
      if (clock.now() - begun > longestMs) throw cloudAway(name);
      await sleep(clock, pollMs, signal);
      continue;
    }
    for (const role of service.roles) for (const node of role.nodes) vmIds.add(node.vmId);
    if (service.state !== shown) {
      shown = service.state;
      changedAt = clock.now();
      notify({ type: 'service_state', name, state: service.state });
    }
    if (clock.now() - begun > longestMs) throw timeout(service);
    await act(context, service, removal, clock.now() - changedAt);
    if (service.state === 'UNDEPLOYING' && clock.now() - changedAt > stuckMs) changedAt = clock.now();
    await sleep(clock, pollMs, signal);
  }
}

async function act(context: DeleteContext, service: Service, removal: Removal, unchangedMs: number): Promise<void> {
  const { cloud, clock, notify } = context;
  const { services } = cloud.oneflow;
  const { state, id, name } = service;
  if (state === 'UNDEPLOYING' || state === 'UNDEPLOYING_NETS') {
    removal.sentAt ??= clock.now();
    removal.doubtful = false;
    if (state === 'UNDEPLOYING' && unchangedMs > stuckMs) {
      notify({ type: 'recovering', name, state });
      await tolerant(() => services.recover(id));
    }
    return;
  }
  if (removal.sentAt !== undefined) {
    if (state === 'FAILED_UNDEPLOYING' || state === 'FAILED_UNDEPLOYING_NETS') {
      await tolerant(() => services.recoverDelete(id));
    } else if (removal.doubtful && clock.now() - removal.sentAt > doubtMs) {
      delete removal.sentAt;
    }
    return;
  }
  if (state === 'COOLDOWN') {
    if (!removal.recoveredCooldown) notify({ type: 'recovering', name, state });
    removal.recoveredCooldown = true;
    await tolerant(() => services.recover(id));
    return;
  }
  const orderly = state === 'RUNNING' || state === 'WARNING' || state === 'HOLD';
  if (!orderly) notify({ type: 'recovering', name, state });
  await request(removal, clock, () => (orderly ? services.delete(id) : services.recoverDelete(id)));
}

async function request(removal: Removal, clock: Clock, send: () => Promise<void>): Promise<void> {
  try {
    await send();
    removal.sentAt = clock.now();
  } catch (error) {
    if (isNotFound(error)) return;
    // The state has changed since it was read: look again.
    if (isWrongState(error)) return;
    if (!isUnreachable(error)) throw error;
    removal.sentAt = clock.now();
    removal.doubtful = true;
  }
}

async function tolerant(send: () => Promise<void>): Promise<void> {
  try {
    await send();
  } catch (error) {
    if (!isNotFound(error) && !isWrongState(error) && !isUnreachable(error)) throw error;
  }
}

/** Unknown while the servers do not answer, as when they are restarted: what was asked for goes on there. */
async function look(cloud: Cloud, id: number): Promise<Service | 'gone' | 'unknown'> {
  try {
    return await cloud.oneflow.services.get(id);
  } catch (error) {
    if (isNotFound(error)) return 'gone';
    if (isTransient(error)) return 'unknown';
    throw error;
  }
}

/** OneFlow forgets a service as soon as its VMs are told to end; some may still be ending. */
async function untilVmsGone(context: DeleteContext, service: Service, vmIds: Set<number>): Promise<void> {
  const { cloud, clock, signal } = context;
  const begun = clock.now();
  let left = [...vmIds];
  for (;;) {
    left = await stillThere(cloud, left);
    if (left.length === 0) return;
    if (clock.now() - begun > stuckMs) throw vmsLeft(service, left);
    await sleep(clock, pollMs, signal);
  }
}

async function stillThere(cloud: Cloud, ids: number[]): Promise<number[]> {
  try {
    return await remainingVms(cloud, ids);
  } catch (error) {
    if (isTransient(error)) return ids;
    throw error;
  }
}

function cloudAway(name: string): OneFlowerError {
  return new OneFlowerError({
    code: 'delete-timeout',
    message: `It is not known whether ${name} is gone: OneFlow has not answered for ${longestMs / 60_000} minutes.`,
    remedy: 'Run oneflower doctor, then the same command again.',
  });
}

function vmsLeft(service: Service, ids: number[]): OneFlowerError {
  return new OneFlowerError({
    code: 'vms-left',
    message: `The service ${service.name} is gone, but ${ids.length === 1 ? 'a VM of it is' : 'VMs of it are'} left: ${ids.join(', ')}.`,
    reason: 'OpenNebula could not end them.',
    remedy: `See onevm show ${ids[0]}; onevm recover --delete ${ids.join(',')} removes them.`,
    details: { vms: ids },
  });
}

function timeout(service: Service): OneFlowerError {
  return new OneFlowerError({
    code: 'delete-timeout',
    message: `${service.name} is not gone after ${longestMs / 60_000} minutes; it is in state ${service.state}.`,
    reason: service.log.at(-1)?.message ?? 'OneFlow says no more.',
    remedy: `Look at its VMs with oneflower status ${service.name}, then run oneflower delete ${service.name} again.`,
  });
}
