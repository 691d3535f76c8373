import { type Clock, OneFlowerError, roleNames, sleep } from '@oneflower/contract';
import { isTransient, type Service, type Vm } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { findService } from './find.ts';
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

const pollMs = 1000;

/**
 * Changes the number of SuperNodes. What OneFlow would refuse is refused before it is asked, with the reason.
 * @throws OneFlowerError `scale-limits`, `scale-state`, `scale-failed`.
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
  await context.cloud.oneflow.services.scale(service.id, role.name, request.nodes);
  if (!request.wait) return { ...result, state: 'SCALING' };
  return { ...result, state: await untilScaled(context, service.id, request.nodes) };
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

async function untilScaled({ cloud, clock, notify, signal }: ScaleContext, id: number, nodes: number): Promise<string> {
  let shown = '';
  for (;;) {
    const service = await look(cloud, id);
    if (!service) {
      await sleep(clock, pollMs, signal);
      continue;
    }
    if (service.state !== shown) notify({ type: 'service_state', name: service.name, state: service.state });
    shown = service.state;
    const arrived = supernodes(service).nodes.length === nodes;
    if (arrived && (service.state === 'COOLDOWN' || service.state === 'RUNNING')) return service.state;
    if (service.state.startsWith('FAILED')) {
      throw new OneFlowerError({
        code: 'scale-failed',
        message: `Scaling ${service.name} to ${nodes} SuperNodes has failed.`,
        reason: service.log.at(-1)?.message ?? 'OneFlow says no more.',
        remedy: `See oneflower status ${service.name} for the VMs that failed.`,
      });
    }
    await sleep(clock, pollMs, signal);
  }
}

/** Undefined while the servers do not answer: scaling goes on there. */
async function look(cloud: Cloud, id: number): Promise<Service | undefined> {
  try {
    return await cloud.oneflow.services.get(id);
  } catch (error) {
    if (isTransient(error)) return undefined;
    throw error;
  }
}
