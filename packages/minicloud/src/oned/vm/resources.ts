import { single } from '../template/attributes.ts';
import type { Vm } from './model.ts';

/** CPU of a VM in per cent of one core. */
export function cpuPercent(vm: Pick<Vm, 'template'>): number {
  return Math.round(Number(single(vm.template, 'CPU') ?? '0') * 100);
}

/** Memory of a VM in KiB. */
export function memoryKb(vm: Pick<Vm, 'template'>): number {
  return Number(single(vm.template, 'MEMORY') ?? '0') * 1024;
}
