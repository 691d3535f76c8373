import { dateText } from '../core.ts';
import {
  merge,
  type Pairs,
  single,
  type Template,
  vectors,
  withAttribute,
  without,
  withVectors,
} from '../template/attributes.ts';
import { type HistoryRecord, type Vm, withLastRecord, withNextRecord } from './model.ts';
import { action, lcm, state } from './states.ts';

/** Who asked for an action, for the history record. */
export interface Requester {
  uid: number;
  gid: number;
  requestId: number;
}

/** The VM in another life-cycle state while ACTIVE. */
export function inLcm(vm: Vm, to: number): Vm {
  return { ...vm, state: state.active, lcm: to };
}

/** The VM in a state outside the life cycle. */
export function inState(vm: Vm, to: number): Vm {
  const { hard: _hard, ...rest } = vm;
  return { ...rest, state: to, lcm: lcm.none };
}

/** The action that ends the VM's stay, noted in its open history record. */
export function withAction(vm: Vm, number: number, by: Requester): Vm {
  return withLastRecord(vm, { action: number, ...by });
}

/** The VM with an ERROR attribute as oned writes it: the date, the action, the driver's words. */
export function withError(vm: Vm, seconds: number, text: string): Vm {
  const clean = text.replaceAll(']]>', ']] >').replace(/[^\t\n\u0020-\uD7FF\uE000-\uFFFD]/gu, '?');
  return { ...vm, userTemplate: merge(vm.userTemplate, [{ name: 'ERROR', value: `${dateText(seconds)}: ${clean}` }]) };
}

function withoutError(vm: Vm): Vm {
  return { ...vm, userTemplate: without(vm.userTemplate, 'ERROR') };
}

/** The guest has started. */
export function started(vm: Vm, now: number, driver: string): Vm {
  const host = vm.history.at(-1)?.hostName ?? '';
  const running = withLastRecord(inLcm(vm, lcm.running), { runStart: now, runEnd: 0 });
  return { ...withoutError(running), deployId: `${host}:${vm.name}:${driver}` };
}

/** What a VM turns to when its start fails, by the state in which it was starting. */
const startFailures: Record<number, (vm: Vm) => Vm> = {
  [lcm.boot]: vm => inLcm(vm, lcm.bootFailure),
  [lcm.bootStopped]: vm => inLcm(vm, lcm.bootStoppedFailure),
  [lcm.bootUndeploy]: vm => inLcm(vm, lcm.bootUndeployFailure),
  [lcm.bootPoweroff]: vm => inState(vm, state.poweroff),
  [lcm.bootSuspended]: vm => inState(vm, state.suspended),
};

/** The guest has not started. */
export function startFailed(vm: Vm, now: number, why: string): Vm {
  const failed = startFailures[vm.lcm]?.(vm) ?? inLcm(vm, lcm.bootFailure);
  return withError(withLastRecord(failed, { runEnd: now }), now, `DEPLOY: ${why}`);
}

function graphicsPort(template: Template, vmId: number): Template {
  const port = String(5900 + (vmId % 59_000));
  const graphics = vectors(template, 'GRAPHICS').map(pairs => ({ PORT: port, ...pairs }));
  return graphics.length === 0 ? template : withVectors(template, 'GRAPHICS', graphics);
}

/** The VM on its host, its files about to be brought there. */
export function placedOn(vm: Vm, record: HistoryRecord): Vm {
  const before = vm.history.at(-1)?.action;
  const undeployed = before === action.undeploy || before === action.undeployHard;
  const prolog = before === action.stop ? lcm.prologResume : undeployed ? lcm.prologUndeploy : lcm.prolog;
  let template = withAttribute(graphicsPort(vm.template, vm.id), 'TM_MAD_SYSTEM', record.tmMad);
  const ds = single(template, 'AUTOMATIC_DS_REQUIREMENTS');
  // Once its files are somewhere, a VM can only go back to a datastore of the same kind.
  if (before !== undefined && ds !== undefined && !ds.includes('TM_MAD')) {
    template = withAttribute(template, 'AUTOMATIC_DS_REQUIREMENTS', `${ds} & (TM_MAD = "${record.tmMad}")`);
  }
  const placed = inLcm({ ...vm, template, history: [...vm.history, record] }, prolog);
  return { ...placed, userTemplate: without(placed.userTemplate, 'SCHED_MESSAGE') };
}

/** What a finished prolog leads to. */
export const afterProlog: Record<number, number> = {
  [lcm.prolog]: lcm.boot,
  [lcm.prologResume]: lcm.bootStopped,
  [lcm.prologUndeploy]: lcm.bootUndeploy,
};

/** The files are on the host, the guest about to start. */
export function prologDone(vm: Vm, now: number): Vm {
  const next = inLcm(vm, afterProlog[vm.lcm] ?? lcm.boot);
  return withLastRecord(next, { prologEnd: now, runStart: now });
}

/** A VM that is off or suspended, started again where it is. */
export function startedAgain(vm: Vm, now: number): Vm {
  const to = vm.state === state.suspended ? lcm.bootSuspended : lcm.bootPoweroff;
  return withNextRecord(inLcm(vm, to), now);
}

/** The guest is gone for good; nothing of it is left. */
export function finished(vm: Vm, now: number): Vm {
  const last = vm.history.at(-1);
  const closed = last
    ? withLastRecord(vm, {
        end: last.end || now,
        runEnd: last.runStart ? last.runEnd || now : 0,
        epilogStart: last.epilogStart || now,
        epilogEnd: now,
      })
    : vm;
  const graphics = vectors(vm.template, 'GRAPHICS').map((pairs): Pairs => {
    const { PORT: _port, ...rest } = pairs;
    return rest;
  });
  const template = graphics.length === 0 ? vm.template : withVectors(vm.template, 'GRAPHICS', graphics);
  return { ...inState(closed, state.done), etime: now, template };
}

/** The guest was stopped or undeployed: it has left its host. */
export function left(vm: Vm, to: number, now: number): Vm {
  return withLastRecord(inState(vm, to), { end: now, epilogEnd: now });
}
