import { type Clock, OneFlowerError, sleep } from '@oneflower/contract';
import { isTransient, type Service, type Vm } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify } from '../notify.ts';
import { describeVm, readVms, type ServiceVm } from './vms.ts';

/** What VMs are waited for, and how it is put when they do not get there. */
export interface Aim {
  /** Of errors: `deploy-failed`, `deploy-timeout`. */
  verb: 'deploy' | 'scale';
  /** What was to be done, as in: OneFlow could not deploy sensors. */
  task: string;
  /** What is the case when it takes too long. */
  late: string;
  /** What to do when a VM cannot become ready. */
  remedy(vm: ServiceVm): string;
}

export interface VmFollowing {
  cloud: Cloud;
  clock: Clock;
  notify: Notify;
  serviceId: number;
  signal: AbortSignal;
  aim: Aim;
  /** VMs that were there before: only what changes of them is told, and their errors end nothing. */
  before?: readonly Vm[];
  /** Milliseconds until the aim must be reached. */
  withinMs: number;
  isReached(service: Service): boolean;
  /** Called at each look. */
  onLook?(vms: readonly Vm[]): void;
  /** Called once; the following goes on. */
  onReached(service: Service): void;
}

export const defaultReadyWithinMs = 1_800_000;
const pollMs = 1000;
/** Failures that only other values cure; the others may pass, for instance while a SuperLink is late. */
const finalFailures = new Set(['config_validation_failed', 'context_unreadable', 'tls_setup_failed']);
/** An error that a VM shows for this long will not pass by itself. */
const errorPatienceMs = 120_000;

/**
 * Follows a service and its VMs and tells what changes, until it is stopped by the signal.
 * @throws OneFlowerError `deploy-failed` or `scale-failed` when the service or one of its VMs cannot become ready,
 * `deploy-timeout` or `scale-timeout` when it takes too long.
 */
export async function followVms(following: VmFollowing): Promise<never> {
  const { cloud, clock, notify, serviceId, signal, aim, before = [], withinMs } = following;
  const begun = clock.now();
  const seen = new Map(before.map(vm => [vm.id, see(describeVm(vm), undefined, begun)]));
  const old = new Set(seen.keys());
  let shown = '';
  let reached = false;
  for (;;) {
    const look = await lookAt(cloud, serviceId);
    if (look) {
      const { service, vms } = look;
      if (service.state !== shown) notify({ type: 'service_state', name: service.name, state: service.state });
      shown = service.state;
      const described = vms.map(describeVm);
      for (const vm of described) tellChanges(vm, seen, following);
      following.onLook?.(vms);
      if (service.state.startsWith('FAILED')) throw failedService(aim, service, described);
      const failed = described.find(vm => !old.has(vm.id) && isFinal(vm, seen.get(vm.id), clock.now()));
      if (failed) throw failedVm(aim, service, failed);
      if (!reached && following.isReached(service)) {
        reached = true;
        following.onReached(service);
      }
    }
    if (!reached && clock.now() - begun >= withinMs) throw tooLate(aim, withinMs);
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
  const before = seen.get(vm.id);
  const now = see(vm, before, clock.now());
  const role = vm.role ?? '';
  if (vm.state !== before?.state) {
    notify({ type: 'vm_state', vm: vm.name, id: vm.id, role, state: vm.state, ip: vm.ip });
  }
  if (vm.waitingFor !== null && vm.waitingFor !== before?.waitingFor) {
    notify({ type: 'vm_waiting', vm: vm.name, id: vm.id, message: vm.waitingFor });
  }
  if (vm.ready && !before?.ready) notify({ type: 'vm_ready', vm: vm.name, id: vm.id, role });
  if (vm.error && now.error !== before?.error) {
    notify({ type: 'vm_error', vm: vm.name, id: vm.id, role, ...vm.error });
  }
  seen.set(vm.id, now);
}

function see(vm: ServiceVm, before: Seen | undefined, now: number): Seen {
  const { state, ready, waitingFor } = vm;
  const error = vm.error === null ? null : `${vm.error.code} ${vm.error.text}`;
  const lasts = error !== null && before !== undefined && before.error !== null;
  return { state, ready, waitingFor, error, errorSince: lasts ? before.errorSince : now };
}

function isFinal(vm: ServiceVm, seen: Seen | undefined, now: number): boolean {
  if (!vm.error || vm.ready || !seen) return false;
  return finalFailures.has(vm.error.code) || now - seen.errorSince >= errorPatienceMs;
}

function failedVm(aim: Aim, service: Service, vm: ServiceVm): OneFlowerError {
  return new OneFlowerError({
    code: `${aim.verb}-failed`,
    message: `${vm.name} of ${service.name} cannot become ready: ${vm.error?.code}.`,
    reason: vm.error?.text ?? '',
    remedy: aim.remedy(vm),
    details: { service: service.id, vm: vm.id, error: vm.error?.code ?? null },
  });
}

function failedService(aim: Aim, service: Service, vms: ServiceVm[]): OneFlowerError {
  const failed = vms.filter(vm => /FAILURE|UNKNOWN/.test(vm.state)).map(vm => `${vm.name} is ${vm.state}`);
  const log = service.log.findLast(entry => entry.severity === 'E') ?? service.log.at(-1);
  return new OneFlowerError({
    code: `${aim.verb}-failed`,
    message: `OneFlow could not ${aim.task}: it is in state ${service.state}.`,
    reason: [...failed, log?.message].filter(Boolean).join('; ') || 'OneFlow says no more.',
    remedy: `Look at it with oneflower status ${service.name}, remove it with oneflower delete ${service.name}.`,
    details: { service: service.id, state: service.state },
  });
}

function tooLate(aim: Aim, withinMs: number): OneFlowerError {
  return new OneFlowerError({
    code: `${aim.verb}-timeout`,
    message: `${aim.late} after ${Math.round(withinMs / 1000)} seconds.`,
    reason: 'A VM boots slowly, waits for a host, or cannot reach its SuperLink.',
    remedy: 'oneflower status says what each VM waits for; --ready-within gives it more time the next time.',
  });
}
