import { type Clock, OneFlowerError, sleep } from '@oneflower/contract';
import { isTransient, type Service } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { describeVm, operatorEndpointOf, readVms, type ServiceVm } from '../service/vms.ts';

export interface VmFollowing {
  cloud: Cloud;
  clock: Clock;
  notify: Notify;
  serviceId: number;
  signal: AbortSignal;
  /** The SuperLink has published its operator API. */
  onOperatorApi(): void;
  /** All VMs are ready. */
  onRunning(): void;
}

const pollMs = 1000;
/** Failures that only other values cure; the others may pass, for instance while a SuperLink is late. */
const finalFailures = new Set(['config_validation_failed', 'context_unreadable', 'tls_setup_failed']);
/** An error that a VM shows for this long will not pass by itself. */
export const errorPatienceMs = 120_000;

/**
 * Follows a service and its VMs and tells what changes, until it is stopped by the signal.
 * @throws OneFlowerError `deploy-failed` when the service or one of its VMs cannot become ready.
 */
export async function followVms(following: VmFollowing): Promise<never> {
  const { cloud, clock, notify, serviceId, signal } = following;
  const seen = new Map<number, Seen>();
  let shown = '';
  for (;;) {
    const look = await lookAt(cloud, serviceId);
    if (look) {
      const { service, vms } = look;
      if (service.state !== shown) notify({ type: 'service_state', name: service.name, state: service.state });
      shown = service.state;
      const described = vms.map(describeVm);
      for (const vm of described) tellChanges(vm, seen, following);
      if (vms.some(operatorEndpointOf)) following.onOperatorApi();
      if (service.state.startsWith('FAILED')) throw failedService(service, described);
      const failed = described.find(vm => isFinal(vm, seen.get(vm.id), clock.now()));
      if (failed) throw failedVm(service, failed);
      if (service.state === 'RUNNING') following.onRunning();
    }
    await sleep(clock, pollMs, signal);
  }
}

interface Seen {
  state: string;
  ready: boolean;
  error: string | null;
  errorSince: number;
  waitingFor: string | null;
}

/** Undefined when the servers could not be asked just now; the next look may succeed. */
async function lookAt(cloud: Cloud, id: number) {
  try {
    const service = await cloud.oneflow.services.get(id);
    return { service, vms: await readVms(cloud, service) };
  } catch (error) {
    if (isTransient(error)) return undefined;
    throw error;
  }
}

function tellChanges(vm: ServiceVm, seen: Map<number, Seen>, { notify, clock }: VmFollowing): void {
  const before = seen.get(vm.id) ?? { state: '', ready: false, error: null, errorSince: 0, waitingFor: null };
  const role = vm.role ?? '';
  const error = vm.error === null ? null : `${vm.error.code} ${vm.error.text}`;
  if (vm.state !== before.state) {
    notify({ type: 'vm_state', vm: vm.name, id: vm.id, role, state: vm.state, ip: vm.ip });
  }
  if (vm.waitingFor !== null && vm.waitingFor !== before.waitingFor) {
    notify({ type: 'vm_waiting', vm: vm.name, id: vm.id, message: vm.waitingFor });
  }
  if (vm.ready && !before.ready) notify({ type: 'vm_ready', vm: vm.name, id: vm.id, role });
  if (vm.error && error !== before.error) {
    notify({ type: 'vm_error', vm: vm.name, id: vm.id, role, ...vm.error });
  }
  const errorSince = error !== null && before.error !== null ? before.errorSince : clock.now();
  seen.set(vm.id, { state: vm.state, ready: vm.ready, error, errorSince, waitingFor: vm.waitingFor });
}

function isFinal(vm: ServiceVm, seen: Seen | undefined, now: number): boolean {
  if (!vm.error || vm.ready || !seen) return false;
  return finalFailures.has(vm.error.code) || now - seen.errorSince >= errorPatienceMs;
}

function failedVm(service: Service, vm: ServiceVm): OneFlowerError {
  return new OneFlowerError({
    code: 'deploy-failed',
    message: `${vm.name} of ${service.name} cannot become ready: ${vm.error?.code}.`,
    reason: vm.error?.text ?? '',
    remedy: `Then remove it with oneflower delete ${service.name} and deploy again.`,
    details: { service: service.id, vm: vm.id, error: vm.error?.code ?? null },
  });
}

function failedService(service: Service, vms: ServiceVm[]): OneFlowerError {
  const failed = vms.filter(vm => /FAILURE|UNKNOWN/.test(vm.state)).map(vm => `${vm.name} is ${vm.state}`);
  const log = service.log.findLast(entry => entry.severity === 'E') ?? service.log.at(-1);
  return new OneFlowerError({
    code: 'deploy-failed',
    message: `OneFlow could not deploy ${service.name}: it is in state ${service.state}.`,
    reason: [...failed, log?.message].filter(Boolean).join('; ') || 'OneFlow says no more.',
    remedy: `Look at it with oneflower status ${service.name}, remove it with oneflower delete ${service.name}.`,
    details: { service: service.id, state: service.state },
  });
}
