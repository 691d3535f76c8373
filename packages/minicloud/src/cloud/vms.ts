import { type Clock, sleep } from '@oneflower/contract';
import * as z from 'zod';
import type { Oned } from '../interfaces.ts';
import { type Hash, poolOf } from '../onegate/vm-json.ts';
import { type CloudFiles, readJson, writeWhole } from './files.ts';

const ACTIVE = '3';
const RUNNING = '3';
const POWEROFF = '8';
const SHUTDOWN_POWEROFF = '18';
/** LCM states on the way to RUNNING: PROLOG, BOOT, and the starts after poweroff, suspend, stop and undeploy. */
const STARTING = ['1', '2', '9', '20', '21', '22', '31', '32'];
/** The guest's own deadline is 45 s; what takes longer is left as it is. */
const PATIENCE = 60_000;
const LOOK_EVERY = 200;

const resumeSchema = z.array(z.int());

/**
 * Switches all VMs off in an orderly way, those that are just starting as soon as they run, and notes them, so that
 * `resumeVms` brings back the same ones. Returns the ids of those that did not end in time.
 */
export async function powerOffVms(oned: Oned, session: string, clock: Clock, files: CloudFiles): Promise<number[]> {
  // Those of an earlier stop that was cut off are still on their way.
  const asked = new Set<number>(noted(files));
  const deadline = clock.now() + PATIENCE;
  for (;;) {
    const active = vmsOf(oned, session).filter(vm => vm.STATE === ACTIVE);
    const running = active.filter(vm => vm.LCM_STATE === RUNNING && !asked.has(idOf(vm))).map(idOf);
    for (const id of running) asked.add(id);
    if (running.length > 0) note(files, asked);
    for (const id of running) oned.call(session, 'one.vm.action', 'poweroff', id);
    const late = active.filter(vm => asked.has(idOf(vm)) || STARTING.includes(String(vm.LCM_STATE)));
    if (late.length === 0 || clock.now() >= deadline) return late.map(idOf);
    await sleep(clock, LOOK_EVERY);
  }
}

/**
 * Switches the VMs on again that `powerOffVms` switched off, unless somebody did otherwise with them since. A VM that is
 * still on its way off, because that stop was cut off, stays noted and comes back when it is off. Returns the way to
 * give up on these; they stay noted.
 */
export function resumeVms(oned: Oned, session: string, files: CloudFiles): () => void {
  const ids = noted(files);
  const ending = new Set<number>();
  if (ids.length === 0) return () => undefined;
  for (const vm of vmsOf(oned, session).filter(vm => ids.includes(idOf(vm)))) {
    if (vm.STATE === POWEROFF) oned.call(session, 'one.vm.action', 'resume', idOf(vm));
    if (isEnding(vm.STATE, vm.LCM_STATE)) ending.add(idOf(vm));
  }
  note(files, ending);
  return oned.onVmEvent(({ vmId, state, lcmState }) => {
    if (!ending.has(vmId) || isEnding(state, lcmState)) return;
    ending.delete(vmId);
    if (String(state) === POWEROFF) oned.call(session, 'one.vm.action', 'resume', vmId);
    note(files, ending);
  });
}

function isEnding(state: unknown, lcmState: unknown): boolean {
  return String(state) === ACTIVE && String(lcmState) === SHUTDOWN_POWEROFF;
}

function noted(files: CloudFiles): number[] {
  return resumeSchema.safeParse(readJson(files.resume)).data ?? [];
}

function note(files: CloudFiles, ids: ReadonlySet<number>): void {
  writeWhole(files.resume, `${JSON.stringify([...ids])}\n`);
}

function idOf(vm: Hash): number {
  return Number(vm.ID);
}

function vmsOf(oned: Oned, session: string): Hash[] {
  const answer = oned.call(session, 'one.vmpool.info', -2, -1, -1, -1);
  return answer.ok ? poolOf(String(answer.value)) : [];
}
