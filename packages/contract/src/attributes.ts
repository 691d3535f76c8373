import type { Role } from './variables/index.ts';

/** An attribute that a VM publishes through OneGate into its USER_TEMPLATE. */
export interface Attribute {
  roles: readonly Role[];
  help: string;
  /** How the value is written. OneGate mangles commas, brackets and quotes, so free text is base64. */
  form: 'yes-no' | 'number' | 'text' | 'base64';
}

/**
 * Every attribute. All of a VM are published in one request, because OneFlow opens its readiness gate on any text
 * that contains `READY=YES`, which `FL_READY=YES` does.
 */
export const attributes = {
  FL_READY: { roles: ['superlink', 'supernode'], form: 'yes-no', help: 'The VM works: its probe has passed.' },
  FL_ROLE: { roles: ['superlink', 'supernode'], form: 'text', help: 'superlink or supernode.' },
  FL_VERSION: { roles: ['superlink', 'supernode'], form: 'text', help: 'Flower release that runs.' },
  FL_ERROR: { roles: ['superlink', 'supernode'], form: 'text', help: 'Why the VM is not ready: a failure code.' },
  FL_ERROR_TEXT: {
    roles: ['superlink', 'supernode'],
    form: 'base64',
    help: 'What failed, the likely cause and what to do.',
  },
  FL_ENDPOINT: { roles: ['superlink'], form: 'text', help: 'HOST:PORT of the gate.' },
  FL_CONTROL_ENDPOINT: { roles: ['superlink'], form: 'text', help: 'HOST:PORT of the operator API.' },
  FL_TLS: { roles: ['superlink'], form: 'yes-no', help: 'Whether the gate speaks TLS.' },
  FL_CA_CERT: { roles: ['superlink'], form: 'base64', help: 'CA certificate of the gate, PEM.' },
  FL_JOIN_TOKEN: { roles: ['superlink'], form: 'text', help: 'Secret with which SuperNodes of the service enrol.' },
  FL_NODE_READY: { roles: ['supernode'], form: 'yes-no', help: 'The SuperLink lists this node online.' },
  FL_NODE_ID: { roles: ['supernode'], form: 'text', help: "Flower's id of the node." },
  FL_PARTITION_ID: { roles: ['supernode'], form: 'number', help: 'Partition that the node leases.' },
} as const satisfies Record<string, Attribute>;

export type AttributeName = keyof typeof attributes;

/**
 * How a SuperNode's CONTEXT names what OneFlow fills in from the parent role's attributes
 * (`${superlink.user_template.fl_endpoint}`, seen resolved on OpenNebula 7.5.80).
 */
export const references = {
  SUPERLINK_ENDPOINT: 'FL_ENDPOINT',
  SUPERLINK_TLS: 'FL_TLS',
  SUPERLINK_CA_CERT: 'FL_CA_CERT',
  SUPERLINK_JOIN_TOKEN: 'FL_JOIN_TOKEN',
} as const satisfies Record<string, AttributeName>;

export type ReferenceName = keyof typeof references;

/** Names of the two roles in a OneFlow service; they are also FL_ROLE. */
export const roleNames = { superlink: 'superlink', supernode: 'supernode' } as const;
