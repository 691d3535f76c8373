import { authorize } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import { errno, notFound, RequestError } from './errors.ts';
import type { Methods } from './methods.ts';
import type { User } from './model.ts';
import { renderPairs, vector, vectors } from './template/attributes.ts';
import { usageOfUser } from './vm/quota.ts';

/** The limits of a VM quota, in oned's names. What is not measured here counts 0. */
const limitNames = [
  'VMS',
  'CPU',
  'MEMORY',
  'RUNNING_VMS',
  'RUNNING_CPU',
  'RUNNING_MEMORY',
  'SYSTEM_DISK_SIZE',
  'PCI_DEV',
  'PCI_NIC',
  'RUNNING_PCI_DEV',
  'RUNNING_PCI_NIC',
] as const;

function usedText(name: string, used: number): string {
  return name.endsWith('CPU') ? used.toFixed(2) : String(used);
}

function vmQuota(core: Core, user: User): string {
  const usage: Record<string, number> = { ...usageOfUser(core, user.id) };
  if (!user.vmQuota && usage.VMS === 0) return '';
  const pairs: Record<string, string> = {};
  for (const name of limitNames) {
    pairs[name] = user.vmQuota?.[name] ?? '-1';
    pairs[`${name}_USED`] = usedText(name, usage[name] ?? 0);
  }
  return `<VM>${renderPairs(pairs)}</VM>`;
}

function imageQuota(core: Core, user: User): string {
  const counts = new Map<string, number>();
  for (const id of core.vms.lookup('owner', user.id)) {
    for (const disk of vectors(core.vms.get(id)?.template ?? [], 'DISK')) {
      if (disk.IMAGE_ID !== undefined) counts.set(disk.IMAGE_ID, (counts.get(disk.IMAGE_ID) ?? 0) + 1);
    }
  }
  return [...counts]
    .map(([id, count]) => `<IMAGE>${renderPairs({ ID: id, RVMS: '-1', RVMS_USED: String(count) })}</IMAGE>`)
    .join('');
}

/** The four quota sections of a user. Administrators have none: nothing limits or counts them. */
export function userQuotas(core: Core, user: User): string {
  const counted = !user.groups.includes(0);
  const vms = counted ? vmQuota(core, user) : '';
  const images = counted ? imageQuota(core, user) : '';
  return `<DATASTORE_QUOTA></DATASTORE_QUOTA><NETWORK_QUOTA></NETWORK_QUOTA><VM_QUOTA>${vms}</VM_QUOTA><IMAGE_QUOTA>${images}</IMAGE_QUOTA>`;
}

/** one.user.quota: limits of what a user's VMs may take. */
export function quotaMethods(core: Core): Methods {
  return {
    'one.user.quota': {
      args: ['int', 'string'],
      help: 'Sets the VM quota of a user: VM = [ VMS = ..., CPU = ..., MEMORY = ... ]',
      run(caller, args) {
        const user = core.accounts.users.get(args.int(0));
        if (!user) throw notFound('user', args.int(0));
        authorize(caller, { operation: 'ADMIN', kind: 'USER', id: user.id });
        const limits = vector(readTemplate(args.string(1), errno.internal), 'VM');
        if (!limits) throw new RequestError(errno.internal, 'Only VM quotas can be set.');
        core.accounts.users.put({ ...user, vmQuota: { ...user.vmQuota, ...limits } });
        return user.id;
      },
    },
  };
}
