import type { Clock, Timer } from '@oneflower/contract';
import type { Oned } from '../../interfaces.ts';
import { type Cloud, documentTypes } from '../cloud.ts';
import type { JsonObject } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { startAfresh } from '../schema/instantiate.ts';
import { checkRole } from '../schema/service-template.ts';
import type { OwnedDocument } from '../wire.ts';
import { isReady } from './attributes.ts';
import { autoscale } from './autoscaler.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import { deployRoles, fillRole, releaseRoles, roleIsHeld, roleIsUp, startService } from './deploy.ts';
import { LiveService, type WaitKind } from './live.ts';
import { makeNetworks } from './networks.ts';
import { rolesToRelease } from './order.ts';
import { followOwner } from './owner.ts';
import { recoverService } from './recover.ts';
import { adoptVms, readVms, resumeService, vmsByService } from './resume.ts';
import { scaleRole, scalingFailed, scalingIsOver } from './scale.ts';
import { canScale, canUndeploy } from './states.ts';
import { removeRole, roleIsGone, undeployService, wipeOut } from './undeploy.ts';
import { actOnVms } from './vm-actions.ts';
import { vmInfo } from './vms.ts';
import { VmWatch } from './watch.ts';
import { workOffIncidents } from './watchdog.ts';

/** Time between two rounds of the autoscaler: a policy's `period` cannot make it faster. */
const AUTOSCALER_MS = 90_000;
/** Time until what could not be written is tried again. */
const RETRY_MS = 5000;
/** oneadmin, who reads all services at the start. */
const ADMINISTRATOR = 0;

export interface EngineOptions {
  oned: Oned;
  cloud: Cloud;
  clock: Clock;
  /** A session (`name:password` or `name:token`) that acts as the user with that id. */
  sessionOf(userId: number): string;
  /** Told of faults that are nobody's call: the engine goes on with the other services. */
  onFault?: (error: unknown) => void;
}

/** Brings services through their lives, driven by VM events and the clock. */
export class Engine implements EngineContext {
  readonly clock: Clock;
  readonly cloud: Cloud;
  readonly watch: VmWatch;
  readonly #options: EngineOptions;
  readonly #services = new Map<number, LiveService>();
  readonly #stopListening: () => void;
  #autoscaler: Timer | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.cloud = options.cloud;
    this.watch = new VmWatch({
      clock: options.clock,
      isReady: (service, vmId) => isReady(vmInfo(this, service, vmId) ?? {}),
      wake: service => this.#wake(service),
      failed: (service, role, kind) => this.#waitFailed(service, role, kind),
    });
    this.#stopListening = options.oned.onVmEvent(event => this.watch.take(event));
    this.#armAutoscaler();
  }

  /** Reads all services and goes on with each where its document says it is; one that cannot be read is left alone. */
  resume(): void {
    const session = this.#options.sessionOf(ADMINISTRATOR);
    const documents = this.cloud.documents(session, documentTypes.service, (id, refusal) =>
      this.#options.onFault?.(new Refusal(500, `Service ${id} cannot be read: ${refusal}`)),
    );
    if (documents.length === 0) return;
    const vms = vmsByService(readVms(this, session));
    for (const document of documents) {
      const service = this.#add(document);
      this.#guard(service, () => {
        adoptVms(this, service, vms.get(service.id) ?? []);
        resumeService(this, service);
        this.save(service);
      });
    }
  }

  close(): void {
    this.#stopListening();
    this.#autoscaler?.cancel();
    for (const service of this.#services.values()) {
      this.#guard(service, () => {
        if (service.changed) this.save(service);
      });
      service.stopTimers();
    }
    this.#services.clear();
  }

  /**
   * Takes up a service that was just made, its networks first.
   *
   * @throws Refusal with oned's sentence when a network cannot be made
   */
  start(document: OwnedDocument): void {
    const service = this.#add(document);
    makeNetworks(this, service);
    this.save(service);
    startService(this, service);
  }

  /** The service with that id, with everything written that has happened; undefined when it is not known. */
  service(id: number): LiveService | undefined {
    const service = this.#services.get(id);
    if (service?.changed) this.#guard(service, () => this.save(service));
    return this.#services.get(id);
  }

  /** Writes everything that has happened: for those who read documents in oned itself. */
  saveAll(): void {
    for (const service of this.#services.values()) {
      if (service.changed) this.#guard(service, () => this.save(service));
    }
  }

  scale(service: LiveService, role: Role, cardinality: number, force: boolean): void {
    scaleRole(this, service, role, cardinality, force);
  }

  undeploy(service: LiveService): void {
    undeployService(this, service);
    this.save(service);
  }

  recover(service: LiveService, wipe: boolean): void {
    if (wipe) wipeOut(this, service);
    else recoverService(this, service);
  }

  /** Lets the VMs of held roles go, parents first. */
  release(service: LiveService): void {
    if (!service.body.roles.some(role => role.state === 'HOLD')) throw new Refusal(500, 'Service has no roles in HOLD');
    releaseRoles(this, service, rolesToRelease(service.body));
    this.save(service);
  }

  addRole(service: LiveService, given: JsonObject): void {
    const checked = checkRole(given);
    const { body } = service;
    if (body.role(String(checked.name))) throw new Refusal(500, `Role ${checked.name} already exists`);
    if (!canScale(body.state)) throw new Refusal(500, `Cannot modify roles in state: ${body.state}`);
    startAfresh(checked);
    const role = body.addRole(checked);
    role.prepare();
    fillRole(service, role);
    deployRoles(this, service, [role]);
    this.save(service);
  }

  removeRole(service: LiveService, name: string): void {
    removeRole(this, service, name);
  }

  /** The service may have another owner or group: its VMs follow, and from now on that user brings it through its life. */
  ownerChanged(service: LiveService, caller: string): void {
    followOwner(this, service, { caller, administrator: this.#options.sessionOf(ADMINISTRATOR) });
  }

  actOnVms(service: LiveService, roles: Role[], action: string, params: JsonObject): void {
    actOnVms(this, service, roles, action, params);
  }

  sessionOf(service: LiveService): string {
    return this.#options.sessionOf(Number(service.owner.UID));
  }

  save(service: LiveService): void {
    if (!this.#services.has(service.id)) return;
    service.changed = false;
    try {
      this.cloud.update(this.sessionOf(service), service.id, service.body.json);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) this.forget(service);
      else this.#saveAgain(service);
      throw error;
    }
  }

  /** What could not be written (the disk may be full) is written later, until it is. */
  #saveAgain(service: LiveService): void {
    service.changed = true;
    service.retry ??= this.clock.after(RETRY_MS, () => {
      service.retry = undefined;
      this.#guard(service, () => this.#work(service));
    });
  }

  later(service: LiveService, ms: number, run: () => void): void {
    service.timer?.cancel();
    service.timer = this.clock.after(ms, () =>
      this.#guard(service, () => {
        run();
        this.save(service);
      }),
    );
  }

  forget(service: LiveService): void {
    service.stopTimers();
    for (const role of service.body.roles) this.watch.remove(role.vmIds);
    this.#services.delete(service.id);
  }

  #add(document: OwnedDocument): LiveService {
    const service = new LiveService(document);
    this.#services.set(service.id, service);
    return service;
  }

  /** Many events of one moment are worked off together, and written once. */
  #wake(service: LiveService): void {
    if (service.step) return;
    service.step = this.clock.after(0, () => {
      service.step = undefined;
      this.#guard(service, () => this.#work(service));
    });
  }

  #work(service: LiveService): void {
    const names = [...service.settled];
    service.settled.clear();
    for (const name of names) {
      const role = service.body.role(name);
      const wait = service.waits.get(name);
      if (!role || !wait || wait.pending.size > 0) continue;
      service.waits.delete(name);
      this.#waitIsOver(service, role, wait.kind, wait.all);
    }
    if (names.length > 0) service.changed = true;
    if (service.incidents.size > 0) {
      workOffIncidents(this, service);
      service.leaving = service.body.abandoned;
    }
    if (service.leaving && canUndeploy(service.body.state)) {
      undeployService(this, service);
      service.leaving = false;
    }
    if (service.changed) this.save(service);
  }

  #waitIsOver(service: LiveService, role: Role, kind: WaitKind, vmIds: ReadonlySet<number>): void {
    switch (kind) {
      case 'deploy':
        roleIsUp(this, service, role);
        break;
      case 'hold':
        roleIsHeld(this, service);
        break;
      case 'undeploy':
        roleIsGone(this, service, role);
        break;
      default:
        scalingIsOver(this, service, role, kind === 'scale-down' ? vmIds : undefined);
    }
  }

  #waitFailed(service: LiveService, name: string, kind: WaitKind): void {
    const role = service.body.role(name);
    if (!role) return;
    this.#guard(service, () => {
      if (kind === 'scale-up' || kind === 'scale-down') scalingFailed(this, service, role);
      else {
        const failed = kind === 'undeploy' ? 'FAILED_UNDEPLOYING' : 'FAILED_DEPLOYING';
        role.state = failed;
        service.body.enter(failed, seconds(this.clock));
      }
      this.save(service);
    });
  }

  #armAutoscaler(): void {
    this.#autoscaler = this.clock.after(AUTOSCALER_MS, () => {
      // Youngest first, the order in which oned lists documents.
      const services = [...this.#services.values()].sort((one, other) => other.id - one.id);
      for (const service of services) this.#guard(service, () => autoscale(this, service));
      this.#armAutoscaler();
    });
  }

  /** A fault in one service must not stop the others. */
  #guard(service: LiveService, run: () => void): void {
    if (!this.#services.has(service.id)) return;
    try {
      run();
    } catch (error) {
      // Somebody deleted the document in oned itself: the service is given up, and that is no fault.
      if (this.#services.has(service.id)) this.#options.onFault?.(error);
    }
  }
}
