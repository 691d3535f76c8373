/** States that services and roles have in common, by their number on the wire. */
const commonStates = [
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
] as const;

/** State of a service, by its number on the wire. DONE is never seen: the service is gone by then. */
export const SERVICE_STATES = [
  ...commonStates,
  'DEPLOYING_NETS',
  'UNDEPLOYING_NETS',
  'FAILED_DEPLOYING_NETS',
  'FAILED_UNDEPLOYING_NETS',
  'HOLD',
] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

/** State of a role, by its number on the wire: roles have no networks, so HOLD has another number. */
export const ROLE_STATES = [...commonStates, 'HOLD'] as const;
export type RoleState = (typeof ROLE_STATES)[number];

/** `OTHER` for a number that this client has no name for. */
export function serviceStateName(state: number): ServiceState | 'OTHER' {
  return SERVICE_STATES[state] ?? 'OTHER';
}

/** `OTHER` for a number that this client has no name for. */
export function roleStateName(state: number): RoleState | 'OTHER' {
  return ROLE_STATES[state] ?? 'OTHER';
}
