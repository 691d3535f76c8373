import {
  type Role,
  references,
  renderUserInput,
  roleNames,
  roles,
  type Variable,
  variables,
  variablesOf,
} from '@oneflower/contract';
import type { Cardinality } from './cardinality.ts';
import { digest } from './digest.ts';
import type { GivenValues } from './sources.ts';
import { type ObjectId, platformContext } from './vm-template.ts';

/** Seconds that OneFlow rests after a scaling; it neither scales nor deletes meanwhile. OneFlow's own default is 300. */
const cooldownSeconds = 10;
/** Name of the one network of a service, in the service template. */
const networkName = 'Private';

/** A role as OneFlow takes it in a service template. */
export interface ServiceRole<Id extends ObjectId = ObjectId> {
  name: Role;
  type: 'vm';
  cardinality: number;
  template_id: Id;
  parents?: Role[];
  min_vms: number;
  max_vms: number;
  cooldown: number;
  user_inputs: Record<string, string>;
  template_contents: { NIC: { NAME: string; NETWORK_ID: string }[]; CONTEXT: Record<string, string> };
}

/** A service template as OneFlow takes it (POST /service_template). */
export interface ServiceTemplate<Id extends ObjectId = ObjectId> {
  name: string;
  description: string;
  deployment: 'straight';
  ready_status_gate: true;
  automatic_deletion: false;
  shutdown_action: 'terminate';
  user_inputs: Record<string, string>;
  networks: Record<string, string>;
  roles: ServiceRole<Id>[];
}

export interface ServiceTemplateRequest<Id extends ObjectId> {
  cardinality: Cardinality;
  /** Checked values as they are written. */
  written: Readonly<GivenValues>;
  vmTemplates: Record<Role, Id>;
  networkId: ObjectId;
}

/**
 * The service template. Its cardinality is the least; how many SuperNodes there are to be is said at instantiation,
 * so that the template serves them all. Its name ends in a digest of its content, so that an equal one is found and
 * reused.
 */
export function renderServiceTemplate<Id extends ObjectId>(request: ServiceTemplateRequest<Id>): ServiceTemplate<Id> {
  const content = {
    description: 'Flower: one SuperLink and its SuperNodes',
    deployment: 'straight',
    ready_status_gate: true,
    automatic_deletion: false,
    shutdown_action: 'terminate',
    user_inputs: renderInputs(serviceInputs()),
    networks: { [networkName]: `M|network|Network of the VMs| |id:${request.networkId}` },
    roles: roles.map(role => renderRole(role, request)),
  } satisfies Omit<ServiceTemplate<Id>, 'name'>;
  return { name: `oneflower-${digest(content)}`, ...content };
}

/** True when the template holds secrets, so that it must not outlive the deployment. */
export function carriesSecrets(written: Readonly<GivenValues>): boolean {
  return Object.keys(written).some(name => asVariables.some(variable => variable.name === name && variable.secret));
}

/** What is merged into the service template at instantiation. */
export interface Instantiation {
  name: string;
  user_inputs_values: Record<string, string>;
  networks_values: Record<string, { id: string }>[];
  roles: { name: Role; cardinality: number; user_inputs_values: Record<string, string> }[];
}

/** Every declared input gets a value, because OneFlow applies no defaults. */
export function renderInstantiation(request: {
  name: string;
  written: Readonly<GivenValues>;
  cardinality: Cardinality;
  networkId: ObjectId;
}): Instantiation {
  const { name, written, cardinality, networkId } = request;
  return {
    name,
    user_inputs_values: inputValues(serviceInputs(), written),
    networks_values: [{ [networkName]: { id: String(networkId) } }],
    roles: roles.map(role => ({
      name: role,
      cardinality: role === roleNames.superlink ? 1 : cardinality.nodes,
      user_inputs_values: inputValues(roleInputs(role), written),
    })),
  };
}

const asVariables: readonly Variable[] = variables;

/** Inputs that concern both roles. OneFlow copies inputs into USER_TEMPLATE, so a secret is never one. */
function serviceInputs(): Variable[] {
  return asVariables.filter(variable => isInput(variable) && variable.roles.length > 1);
}

function roleInputs(role: Role): Variable[] {
  return variablesOf(role).filter(variable => isInput(variable) && variable.roles.length === 1);
}

function isInput(variable: Variable): boolean {
  return variable.source === 'operator' && variable.secret !== true;
}

function renderInputs(inputs: Variable[]): Record<string, string> {
  return Object.fromEntries(inputs.map(variable => [variable.name, renderUserInput(variable)]));
}

function inputValues(inputs: Variable[], written: Readonly<GivenValues>): Record<string, string> {
  return Object.fromEntries(inputs.map(({ name, default: fallback }) => [name, written[name] ?? fallback]));
}

function renderRole<Id extends ObjectId>(
  role: Role,
  { cardinality, written, vmTemplates }: ServiceTemplateRequest<Id>,
): ServiceRole<Id> {
  const single = role === roleNames.superlink;
  return {
    name: role,
    type: 'vm',
    cardinality: single ? 1 : cardinality.min,
    template_id: vmTemplates[role],
    ...(single ? {} : { parents: [roleNames.superlink] }),
    min_vms: single ? 1 : cardinality.min,
    max_vms: single ? 1 : cardinality.max,
    cooldown: cooldownSeconds,
    user_inputs: renderInputs(roleInputs(role)),
    template_contents: {
      NIC: [{ NAME: '_NIC0', NETWORK_ID: `$${networkName}` }],
      CONTEXT: {
        ...platformContext,
        FL_ROLE: role,
        ...(single ? {} : superlinkReferences()),
        ...direct(role, written),
      },
    },
  };
}

/** OneFlow puts the parent's attributes in their place whenever it creates a child VM, at scaling too. */
function superlinkReferences(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(references).map(([name, attribute]) => [
      name,
      `\${${roleNames.superlink}.user_template.${attribute.toLowerCase()}}`,
    ]),
  );
}

/** What goes straight into the CONTEXT because it is no input: secrets, and the platform's own variables. */
function direct(role: Role, written: Readonly<GivenValues>): Record<string, string> {
  return Object.fromEntries(
    variablesOf(role)
      .filter(variable => !isInput(variable) && written[variable.name] !== undefined)
      .map(({ name }) => [name, written[name] ?? '']),
  );
}
