import { createHash } from 'node:crypto';
import {
  type FailureCode,
  failures,
  parseHostPort,
  type Role,
  readCertificates,
  roleNames,
  roles,
} from '@oneflower/contract';
import { attributeText, isNotFound, type Service, type Vm } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';

/** A VM of a service, as far as an operator cares. */
export interface ServiceVm {
  id: number;
  name: string;
  role: Role | null;
  /** OpenNebula's state, the finer one while it is ACTIVE: `PENDING`, `BOOT`, `RUNNING`, `BOOT_FAILURE`. */
  state: string;
  ip: string | null;
  ready: boolean;
  /** Why it is not ready, as the VM itself says it. */
  error: VmError | null;
  /** Why the scheduler has not placed it. */
  waitingFor: string | null;
  flowerVersion: string | null;
  nodeId: string | null;
  partitionId: number | null;
}

export interface VmError {
  code: string;
  text: string;
}

/** From this number of VMs on, one call for all is cheaper than one for each. */
const manyVms = 8;

/** The VMs of a service in the order of its roles. VMs that are gone meanwhile are left out. */
export async function readVms(cloud: Cloud, service: Service): Promise<Vm[]> {
  const ids = service.roles.flatMap(role => role.nodes.map(node => node.vmId));
  if (ids.length < manyVms) return (await Promise.all(ids.map(id => readVm(cloud, id)))).filter(vm => vm !== undefined);
  const byId = new Map((await cloud.oned.vms.list({ extended: true })).map(vm => [vm.id, vm]));
  return ids.map(id => byId.get(id)).filter(vm => vm !== undefined);
}

/** Which of the VMs of these numbers are not DONE. */
export async function remainingVms(cloud: Cloud, ids: readonly number[]): Promise<number[]> {
  if (ids.length < manyVms) {
    const vms = await Promise.all(ids.map(id => readVm(cloud, id)));
    return vms
      .filter(vm => vm !== undefined)
      .filter(vm => vm.state !== 'DONE')
      .map(vm => vm.id);
  }
  const there = new Set((await cloud.oned.vms.list()).map(vm => vm.id));
  return ids.filter(id => there.has(id));
}

export async function readVm(cloud: Cloud, id: number): Promise<Vm | undefined> {
  try {
    return await cloud.oned.vms.get(id);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

export function describeVm(vm: Vm): ServiceVm {
  const text = (name: string): string | null => attributeText(vm.userTemplate, name)?.trim() || null;
  const partition = text('FL_PARTITION_ID');
  return {
    id: vm.id,
    name: vm.name,
    role: roles.find(role => role === vm.roleName) ?? null,
    state: vm.state === 'ACTIVE' ? vm.lcmState : vm.state,
    ip: vm.nics[0]?.ip ?? null,
    ready: text('FL_READY') === 'YES',
    error: readError(text('FL_ERROR'), text('FL_ERROR_TEXT')),
    waitingFor: vm.state === 'PENDING' ? withoutDate(vm.schedulerMessage) : null,
    flowerVersion: text('FL_VERSION'),
    nodeId: text('FL_NODE_ID'),
    partitionId: partition !== null && /^\d{1,9}$/.test(partition) ? Number(partition) : null,
  };
}

/** How the operator API of a SuperLink is reached, as its VM has published it. */
export interface OperatorEndpoint {
  /** The VM's number is of oned's, all else is what the guests may have written. */
  vmId: number;
  host: string;
  port: number;
  tls: boolean;
  ca: Authority | null;
}

/** Certificates that are trusted as CA. */
export interface Authority {
  /** PEM, and nothing but what the digest is of. */
  pem: string;
  /** SHA-256 of the DER, in hexadecimal digits: of a single certificate its fingerprint. */
  sha256: string;
}

/** Undefined until the VM is ready and has published it. */
export function operatorEndpointOf(vm: Vm): OperatorEndpoint | undefined {
  if (vm.roleName !== roleNames.superlink) return undefined;
  const address = parseHostPort(attributeText(vm.userTemplate, 'FL_CONTROL_ENDPOINT') ?? '');
  if (!address) return undefined;
  return {
    vmId: vm.id,
    ...address,
    tls: attributeText(vm.userTemplate, 'FL_TLS') !== 'NO',
    ca: readAuthority(attributeText(vm.userTemplate, 'FL_CA_CERT') ?? ''),
  };
}

/** Written anew from what was parsed, because OpenSSL takes more out of a text than what is marked CERTIFICATE. */
function readAuthority(encoded: string): Authority | null {
  try {
    const certificates = readCertificates(Buffer.from(encoded, 'base64').toString('utf8'));
    if (certificates.length === 0) return null;
    const sha256 = createHash('sha256').update(Buffer.concat(certificates.map(({ raw }) => raw)));
    return { pem: certificates.join(''), sha256: sha256.digest('hex') };
  } catch {
    return null;
  }
}

/** What a failed VM says of itself comes from the guest: it is shortened and freed of control characters. */
function readError(code: string | null, encoded: string | null): VmError | null {
  if (code === null) return null;
  const said = Buffer.from(encoded ?? '', 'base64')
    .toString('utf8')
    .replace(/[\0-\x1f\x7f-\x9f]+/g, ' ')
    .trim();
  const known = Object.hasOwn(failures, code) ? failures[code as FailureCode] : undefined;
  const text = said !== '' ? said.slice(0, 2000) : known ? `${known.reason} ${known.remedy}` : '';
  return { code: code.slice(0, 60).replace(/[^\w.-]/g, '?'), text };
}

/** OpenNebula puts the date in front: `Mon Nov 23 16:47:30 2026 : ...`. */
function withoutDate(message: string | undefined): string | null {
  return message?.replace(/^[^:]*\d\d:\d\d:\d\d \d{4}\s*:\s*/, '') || null;
}
