/** State of a service, by its number on the wire. DONE is never seen: the service is gone by then. */
export const SERVICE_STATES = [
  'PENDING',
  'DEPLOYING',
  'RUNNING',
  'UNDEPLOYING',
  'WARNING',
  'DONE',
  'FAILED_UNDEPLOYING',
  'FAILED_DEPLOYING',
  'SCALING',
  'FAILED_SCALING',
  'COOLDOWN',
  'DEPLOYING_NETS',
  'UNDEPLOYING_NETS',
  'FAILED_DEPLOYING_NETS',
  'FAILED_UNDEPLOYING_NETS',
  'HOLD',
] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** State of a role, by its number on the wire: the first eleven of a service, then HOLD. */
export const ROLE_STATES = [
  'PENDING',
  'DEPLOYING',
  'RUNNING',
  'UNDEPLOYING',
  'WARNING',
  'DONE',
  'FAILED_UNDEPLOYING',
  'FAILED_DEPLOYING',
  'SCALING',
  'FAILED_SCALING',
  'COOLDOWN',
  'HOLD',
] as const satisfies readonly ServiceState[];
export type RoleState = (typeof ROLE_STATES)[number];

/** `OTHER` for a number that this client has no name for. */
export function serviceStateName(state: number): ServiceState | 'OTHER' {
  return SERVICE_STATES[state] ?? 'OTHER';
}

/** `OTHER` for a number that this client has no name for. */
export function roleStateName(state: number): RoleState | 'OTHER' {
  return ROLE_STATES[state] ?? 'OTHER';
}
