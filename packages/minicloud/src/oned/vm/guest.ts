import type { DriverVm } from '../../interfaces.ts';
import type { Core } from '../core.ts';
import { single, vector, vectors } from '../template/attributes.ts';
import { contextScript, wantsToken } from './context.ts';
import type { Vm } from './model.ts';

/** Makes the OneGate token of a VM: id, start time (seconds), TOKEN_PASSWORD of its creator. */
export type GateToken = (vmId: number, startTime: number, tokenPassword: string) => string;

/** TOKEN_PASSWORD of the user who made the VM; undefined when CONTEXT asks for no token. */
export function tokenPassword(core: Core, vm: Vm): string | undefined {
  const creator = single(vm.template, 'CREATED_BY');
  const user = creator === undefined ? undefined : core.accounts.users.get(Number(creator));
  return user && single(user.template, 'TOKEN_PASSWORD');
}

/** The files of the CONTEXT CD. */
export function contextFiles(core: Core, vm: Vm, gateToken: GateToken): Record<string, string> {
  const context = vector(vm.template, 'CONTEXT');
  if (!context) return {};
  const files: Record<string, string> = { 'context.sh': contextScript(context) };
  const password = tokenPassword(core, vm);
  if (wantsToken(context) && password !== undefined) {
    files['token.txt'] = `${gateToken(vm.id, vm.stime, password)}\n`;
  }
  return files;
}

/** A VM as its driver sees it. */
export function driverVm(core: Core, vm: Vm, gateToken: GateToken): DriverVm {
  return {
    id: vm.id,
    name: vm.name,
    address: vectors(vm.template, 'NIC')[0]?.IP,
    contextFiles: contextFiles(core, vm, gateToken),
  };
}
