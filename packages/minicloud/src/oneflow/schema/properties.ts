import type { Json } from '../json.ts';

/** What one key of a document may hold, with the words the server uses for it in its error sentences. */
export type Property =
  | { type: 'string'; required?: true; default?: string; oneOf?: readonly string[]; matches?: RegExp }
  | { type: 'integer'; required?: true; default?: number; minimum?: number }
  | { type: 'boolean'; required?: true; default?: boolean }
  | { type: 'object'; required?: true; default?: Json; properties?: Schema }
  | { type: 'array'; required?: true; default?: Json; items?: Property };

/** The keys of a document in the order in which the server checks them. Keys that are not named are kept as they are. */
export type Schema = Readonly<Record<string, Property>>;

const shutdownActions = ['terminate', 'terminate-hard', 'shutdown', 'shutdown-hard'] as const;
const adjustmentTypes = ['CHANGE', 'CARDINALITY', 'PERCENTAGE_CHANGE'] as const;

const elasticityPolicy: Schema = {
  type: { type: 'string', required: true, oneOf: adjustmentTypes },
  adjust: { type: 'integer', required: true },
  min_adjust_step: { type: 'integer', minimum: 1 },
  period_number: { type: 'integer', minimum: 0 },
  period: { type: 'integer', minimum: 0 },
  expression: { type: 'string', required: true },
  cooldown: { type: 'integer', minimum: 0 },
};

const scheduledPolicy: Schema = {
  type: { type: 'string', required: true, oneOf: adjustmentTypes },
  adjust: { type: 'integer', required: true },
  min_adjust_step: { type: 'integer', minimum: 1 },
  recurrence: { type: 'string' },
};

/** A role of virtual machines. */
export const roleSchema: Schema = {
  name: { type: 'string', required: true, matches: /^\w+$/ },
  type: { type: 'string', required: true },
  template_id: { type: 'integer', required: true },
  cardinality: { type: 'integer', default: 0, minimum: 0 },
  template_contents: { type: 'object' },
  user_inputs: { type: 'object' },
  user_inputs_values: { type: 'object' },
  parents: { type: 'array', items: { type: 'string' } },
  shutdown_action: { type: 'string', oneOf: shutdownActions },
  min_vms: { type: 'integer', minimum: 0 },
  max_vms: { type: 'integer', minimum: 0 },
  cooldown: { type: 'integer', minimum: 0 },
  on_hold: { type: 'boolean' },
  elasticity_policies: { type: 'array', items: { type: 'object', properties: elasticityPolicy } },
  scheduled_policies: { type: 'array', items: { type: 'object', properties: scheduledPolicy } },
};

/** A service template without its roles' contents: those are checked one by one, because `type` decides. */
export const serviceSchema: Schema = {
  name: { type: 'string', required: true },
  deployment: { type: 'string', default: 'none', oneOf: ['none', 'straight'] },
  description: { type: 'string', default: '' },
  shutdown_action: { type: 'string', oneOf: shutdownActions },
  roles: { type: 'array', required: true },
  user_inputs: { type: 'object' },
  user_inputs_values: { type: 'object' },
  ready_status_gate: { type: 'boolean' },
  automatic_deletion: { type: 'boolean' },
  networks: { type: 'object' },
  networks_values: { type: 'array' },
  on_hold: { type: 'boolean' },
};
