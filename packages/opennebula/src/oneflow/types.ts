import type { RoleState, ServiceState } from './states.ts';

/** What JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Grows or shrinks a role when `expression` was true in `period_number` rounds of the autoscaler (90 s). */
export interface ElasticityPolicy {
  type: 'CHANGE' | 'CARDINALITY' | 'PERCENTAGE_CHANGE';
  adjust: number;
  expression: string;
  min_adjust_step?: number;
  period_number?: number;
  period?: number;
  /** Seconds; overwrites the role's for good. */
  cooldown?: number;
}

/** Grows or shrinks a role at a time: `recurrence` (cron) or `start_time`, not both. */
export interface ScheduledPolicy {
  type: ElasticityPolicy['type'];
  adjust: number;
  min_adjust_step?: number;
  start_time?: string;
  recurrence?: string;
}

/** A role as OneFlow takes it (7.x). The name is letters, digits and underscores. */
export interface RoleTemplate {
  name: string;
  type: 'vm';
  template_id: number;
  cardinality?: number;
  parents?: string[];
  /** Needed with policies, with `max_vms`. */
  min_vms?: number;
  max_vms?: number;
  cooldown?: number;
  shutdown_action?: 'terminate' | 'terminate-hard' | 'shutdown' | 'shutdown-hard';
  /** Merged over the VM template: vectors merge, arrays replace. */
  template_contents?: JsonObject;
  user_inputs?: Record<string, string>;
  user_inputs_values?: Record<string, string>;
  on_hold?: boolean;
  elasticity_policies?: ElasticityPolicy[];
  scheduled_policies?: ScheduledPolicy[];
}

/** A service template as OneFlow takes it (7.x). */
export interface ServiceTemplateBody {
  name: string;
  description?: string;
  deployment?: 'none' | 'straight';
  /** A role counts as running when its machines have said READY=YES. */
  ready_status_gate?: boolean;
  automatic_deletion?: boolean;
  shutdown_action?: RoleTemplate['shutdown_action'];
  on_hold?: boolean;
  user_inputs?: Record<string, string>;
  user_inputs_values?: Record<string, string>;
  networks?: Record<string, string>;
  networks_values?: NetworkValue[];
  roles: RoleTemplate[];
}

/** The network behind a name of `networks`. */
export type NetworkValue = Record<
  string,
  { id: string } | { template_id: string; extra?: string } | { reserve_from: string; extra?: string }
>;

/** What is merged into the template when a service is made of it. Every declared input needs a value here. */
export interface MergeTemplate {
  name?: string;
  user_inputs_values?: Record<string, string>;
  networks_values?: NetworkValue[];
  roles?: {
    name: string;
    cardinality?: number;
    user_inputs_values?: Record<string, string>;
    template_contents?: JsonObject;
  }[];
}

export interface ServiceTemplate {
  id: number;
  name: string;
  uid: number;
  uname: string;
  /** Seconds since the epoch. */
  registeredAt: number | undefined;
  /** The template as stored: also the keys that this client knows nothing of. */
  body: JsonObject;
}

/** Summary of a role. `OTHER` is a state without a name here. */
export interface ServiceRole {
  name: string;
  state: RoleState | 'OTHER';
  cardinality: number;
  parents: string[];
  minVms: number | undefined;
  maxVms: number | undefined;
  /** Seconds. */
  cooldown: number | undefined;
  nodes: { vmId: number; name: string }[];
}

export interface ServiceLogEntry {
  /** Seconds since the epoch. */
  timestamp: number;
  /** I, W or E. */
  severity: string;
  message: string;
}

export interface Service {
  id: number;
  name: string;
  uid: number;
  uname: string;
  state: ServiceState | 'OTHER';
  /** Seconds since the epoch. */
  startTime: number | undefined;
  roles: ServiceRole[];
  /** The last 50 entries, oldest first. */
  log: ServiceLogEntry[];
  body: JsonObject;
}
