import { type Clock, OneFlowerError, roleNames } from '@oneflower/contract';
import type { Service, Vm } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { findService } from './find.ts';
import { defaultReadyWithinMs, followVms } from './follow-vms.ts';
import { describeVm, readVms } from './vms.ts';

export interface ScaleContext {
  cloud: Cloud;
  clock: Clock;
  notify: Notify;
  signal?: AbortSignal | undefined;
}

export interface ScaleRequest {
  service: string;
  nodes: number;
  /** Until the new number is there and OneFlow has ended scaling. */
  wait: boolean;
  /** Milliseconds until then at most. */
  readyWithinMs?: number | undefined;
}

export interface ScaleResult {
  id: number;
  name: string;
  from: number;
  to: number;
  /** Names of the VMs that go: OneFlow takes the oldest. */
  leaving: string[];
  state: string;
}

/**
 * Changes the number of SuperNodes. What OneFlow would refuse is refused before it is asked, with the reason.
 * @throws OneFlowerError `scale-limits`, `scale-state`, `scale-failed`, `scale-timeout`.
 */
export async function scaleService(context: ScaleContext, request: ScaleRequest): Promise<ScaleResult> {
  const service = await findService(context.cloud, request.service);
  const role = supernodes(service);
  checkLimits(service, role, request.nodes);
  const result = {
    id: service.id,
    name: service.name,
    from: role.cardinality,
    to: request.nodes,
    leaving: role.nodes.slice(0, Math.max(0, role.cardinality - request.nodes)).map(node => node.name),
  };
  if (role.cardinality === request.nodes) return { ...result, state: service.state };
  await checkState(context, service);
  const before = request.wait ? await readVms(context.cloud, service) : [];
  await context.cloud.oneflow.services.scale(service.id, role.name, request.nodes);
  if (!request.wait) return { ...result, state: 'SCALING' };
  return { ...result, state: await untilScaled(context, service, request, before) };
}

function supernodes(service: Service): Service['roles'][number] {
  const role = service.roles.find(one => one.name === roleNames.supernode);
  if (role) return role;
  throw new Error(`The service ${service.id} has no role ${roleNames.supernode}.`);
}

function checkLimits(service: Service, role: Service['roles'][number], nodes: number): void {
  const min = role.minVms ?? 0;
  const max = role.maxVms ?? Number.POSITIVE_INFINITY;
  if (Number.isInteger(nodes) && nodes >= min && nodes <= max) return;
  throw new OneFlowerError({
    code: 'scale-limits',
    message: `${service.name} may have ${min} to ${max} SuperNodes, not ${nodes}.`,
    reason: 'The limits were set when it was deployed; the lower one is what FL_MIN_FIT_CLIENTS and its like need.',
    remedy: `Choose a number from ${min} to ${max}, or deploy with other limits (--min-nodes, --max-nodes).`,
    fault: 'user',
  });
}

async function checkState({ cloud }: ScaleContext, service: Service): Promise<void> {
  if (service.state === 'RUNNING') return;
  const cooldown = supernodes(service).cooldown;
  const reasons: Partial<Record<Service['state'], [string, string]>> = {
    COOLDOWN: [
      `OneFlow rests after a scaling${cooldown === undefined ? '' : `, ${cooldown} seconds for this service`}.`,
      'Try again when oneflower status says RUNNING.',
    ],
    WARNING: [
      `Not all its VMs run: ${(await troubled(cloud, service)).join(', ') || 'see its status'}.`,
      'Bring them back (resume or restart them), or delete those VMs; then scale.',
    ],
    SCALING: ['It is being scaled just now.', 'Wait until oneflower status says RUNNING.'],
    FAILED_SCALING: [
      `The last scaling has failed: ${service.log.at(-1)?.message ?? 'OneFlow says no more'}.`,
      'Correct the cause; OneFlow goes on after a recover of the service.',
    ],
  };
  const [reason, remedy] = reasons[service.state] ?? [
    'A service is scaled only while it is RUNNING.',
    `See oneflower status ${service.name}.`,
  ];
  throw new OneFlowerError({
    code: 'scale-state',
    message: `${service.name} cannot be scaled while it is in state ${service.state}.`,
    reason,
    remedy,
    details: { state: service.state },
  });
}

async function troubled(cloud: Cloud, service: Service): Promise<string[]> {
  const vms: Vm[] = await readVms(cloud, service);
  return vms
    .map(describeVm)
    .filter(vm => vm.state !== 'RUNNING')
    .map(vm => `${vm.name} is ${vm.state}`);
}

/** @returns the state of the service when all its VMs are there and OneFlow has ended scaling. */
async function untilScaled(
  context: ScaleContext,
  { id, name }: Service,
  request: ScaleRequest,
  before: readonly Vm[],
): Promise<string> {
  const { nodes, readyWithinMs = defaultReadyWithinMs } = request;
  const stop = new AbortController();
  const signal = context.signal ? AbortSignal.any([context.signal, stop.signal]) : stop.signal;
  const arrived = Promise.withResolvers<string>();
  const following = followVms({
    ...context,
    serviceId: id,
    signal,
    aim: {
      verb: 'scale',
      task: `scale ${name} to ${nodes} SuperNodes`,
      late: `${name} does not have ${nodes} ready SuperNodes`,
      remedy: vm =>
        `Correct that: the VM goes on by itself, or after onevm reboot ${vm.id}, and scaling ends when it is ready; oneflower status ${name} shows it.`,
    },
    before,
    withinMs: readyWithinMs,
    isReached: service => supernodes(service).nodes.length === nodes && /^(COOLDOWN|RUNNING)$/.test(service.state),
    onReached: service => arrived.resolve(service.state),
  });
  try {
    return await Promise.race([following, arrived.promise]);
  } finally {
    stop.abort(new Error('followed to the end'));
    await Promise.allSettled([following]);
  }
}
