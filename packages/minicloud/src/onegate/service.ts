import type { Hash } from './vm-json.ts';

/** A role as OneFlow keeps it, as far as OneGate looks. */
export interface GateRole {
  name: string;
  cardinality: number;
  state: number;
  nodes: readonly GateNode[];
}

export interface GateNode {
  deployId: number;
  /** The node's identity fields as OneFlow stored them. */
  vmInfo: Hash;
}

/** A service as OneFlow keeps it, as far as OneGate looks. */
export interface GateService {
  id: number;
  name: string;
  state: number;
  roles: readonly GateRole[];
}

/** What OneGate asks of OneFlow, each time as the owner of the VM (`session`). */
export interface GateFlow {
  /** Undefined when OneFlow knows no such service, or is not there. */
  service(session: string, serviceId: number): Promise<GateService | undefined>;
  /** Sets a role's cardinality, without force; false when OneFlow refused. */
  scale(session: string, serviceId: number, role: string, cardinality: number): Promise<boolean>;
}

/** The service as JSON; `infoOf` gives the VM element of a node. */
export function serviceJson(service: GateService, infoOf: (node: GateNode) => Hash): unknown {
  return {
    SERVICE: {
      name: service.name,
      id: String(service.id),
      state: service.state,
      roles: service.roles.map(role => ({
        name: role.name,
        cardinality: role.cardinality,
        state: role.state,
        nodes: role.nodes.map(node => ({ deploy_id: node.deployId, running: null, vm_info: { VM: infoOf(node) } })),
      })),
    },
  };
}

/** Whether a VM is a node of the service. */
export function contains(service: GateService, vmId: number): boolean {
  return service.roles.some(role => role.nodes.some(node => node.deployId === vmId));
}
