import { ROLE_STATES, type RoleState, SERVICE_STATES, type ServiceState } from '@oneflower/opennebula';
import { arrayAt, isObject, type JsonObject, numberAt, textAt } from '../json.ts';

/** The server keeps this many log entries of a service. */
const LOG_ENTRIES = 50;
const DEFAULT_COOLDOWN = 300;

/** The service document's body, through the words of the engine. It holds the whole state; nothing else is kept. */
export class ServiceBody {
  readonly json: JsonObject;

  constructor(json: JsonObject) {
    this.json = json;
  }

  get state(): ServiceState {
    return SERVICE_STATES[numberAt(this.json, 'state') ?? 0] ?? 'PENDING';
  }

  get roles(): Role[] {
    return arrayAt(this.json, 'roles')
      .filter(isObject)
      .map(role => new Role(role));
  }

  get straight(): boolean {
    return this.json.deployment === 'straight';
  }

  get gated(): boolean {
    return this.json.ready_status_gate === true;
  }

  role(name: string): Role | undefined {
    return this.roles.find(role => role.name === name);
  }

  /** Moves on to a state and logs it (`now` in seconds); staying in a state is not logged. */
  enter(state: ServiceState, now: number): void {
    if (this.state === state) return;
    this.json.state = SERVICE_STATES.indexOf(state);
    this.log('I', `New state: ${state}`, now);
  }

  log(severity: 'I' | 'E', message: string, now: number): void {
    const entries = arrayAt(this.json, 'log');
    entries.push({ timestamp: now, severity, message });
    this.json.log = entries.slice(-LOG_ENTRIES);
  }

  /** When the service last entered a state, in seconds: what is left of a cooldown is told by it. */
  lastEntered(state: ServiceState): number | undefined {
    const entries = arrayAt(this.json, 'log').filter(isObject);
    const found = entries.findLast(entry => entry.message === `New state: ${state}`);
    return found ? numberAt(found, 'timestamp') : undefined;
  }

  /** By how many nodes a role last grew: after a restart the log alone tells which of its VMs are the new ones. */
  lastGrowth(role: string): number {
    const entries = arrayAt(this.json, 'log').filter(isObject);
    const grown = entries
      .map(entry => /^Role (\w+) scaling up from (\d+) to (\d+) nodes$/.exec(String(entry.message)))
      .findLast(found => found?.[1] === role);
    return grown ? Number(grown[3]) - Number(grown[2]) : 1;
  }

  /** Whether all VMs are gone from a service that is to go with them. */
  get abandoned(): boolean {
    return this.json.automatic_deletion === true && this.roles.every(role => role.vmIds.length === 0);
  }

  /** Takes back all changes since a copy was made. */
  restore(copy: JsonObject): void {
    for (const key of Object.keys(this.json)) delete this.json[key];
    Object.assign(this.json, copy);
  }

  removeRole(name: string): void {
    this.json.roles = arrayAt(this.json, 'roles').filter(role => !isObject(role) || role.name !== name);
  }

  addRole(role: JsonObject): Role {
    const roles = arrayAt(this.json, 'roles');
    roles.push(role);
    this.json.roles = roles;
    return new Role(role);
  }
}

/** One role in the body. */
export class Role {
  readonly json: JsonObject;

  constructor(json: JsonObject) {
    this.json = json;
  }

  get name(): string {
    return textAt(this.json, 'name') ?? '';
  }

  get state(): RoleState {
    return (ROLE_STATES[numberAt(this.json, 'state') ?? 0] ?? 'PENDING') as RoleState;
  }

  set state(state: RoleState) {
    this.json.state = ROLE_STATES.indexOf(state);
  }

  get cardinality(): number {
    return numberAt(this.json, 'cardinality') ?? 0;
  }

  set cardinality(count: number) {
    this.json.cardinality = count;
  }

  get parents(): string[] {
    return arrayAt(this.json, 'parents').map(String);
  }

  get minimum(): number | undefined {
    return numberAt(this.json, 'min_vms');
  }

  get maximum(): number | undefined {
    return numberAt(this.json, 'max_vms');
  }

  get cooldown(): number {
    return numberAt(this.json, 'cooldown') ?? DEFAULT_COOLDOWN;
  }

  /** Ids of the role's VMs, oldest first. */
  get vmIds(): number[] {
    return arrayAt(this.json, 'nodes')
      .filter(isObject)
      .map(node => numberAt(node, 'deploy_id') ?? -1);
  }

  get policies(): JsonObject[] {
    return arrayAt(this.json, 'elasticity_policies').filter(isObject);
  }

  get scheduled(): JsonObject[] {
    return arrayAt(this.json, 'scheduled_policies').filter(isObject);
  }

  /** Drops nodes whose VMs are gone: one pass, however many. */
  dropNodes(gone: ReadonlySet<number>): void {
    this.json.nodes = arrayAt(this.json, 'nodes').filter(
      node => !isObject(node) || !gone.has(numberAt(node, 'deploy_id') ?? -1),
    );
  }

  /** Rounds of a policy that were true start anew whenever the role scales. */
  forgetTrueRounds(): void {
    for (const policy of this.policies) delete policy.true_evals;
  }

  /** The keys that a role gets when its service starts to deploy. */
  prepare(): void {
    this.json.state ??= 0;
    this.json.nodes ??= [];
    this.json.on_hold ??= false;
    this.json.cooldown ??= DEFAULT_COOLDOWN;
  }
}
