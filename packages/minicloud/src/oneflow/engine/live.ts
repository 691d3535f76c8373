import type { Timer } from '@oneflower/contract';
import type { OwnedDocument } from '../wire.ts';
import { ServiceBody } from './body.ts';
import type { VmCondition } from './states.ts';

/** What a role's VMs are waited for: to be up, held, or gone; in a first deployment, a scaling or an undeployment. */
export type WaitKind = 'deploy' | 'hold' | 'scale-up' | 'scale-down' | 'undeploy';

/** A role that waits for its VMs. */
export interface Wait {
  kind: WaitKind;
  /** VMs that are not there yet. */
  pending: Set<number>;
  /** All VMs that the wait is about. */
  all: ReadonlySet<number>;
  /** The next re-check. */
  timer: Timer | undefined;
}

/** Who owns the service: its VMs belong to the same user. */
export type Owner = Pick<OwnedDocument, 'UID' | 'GID' | 'UNAME' | 'GNAME'>;

/**
 * A service as the engine works on it. Everything that must outlive the process is in the body, which is the
 * document; the rest is found again from it and from the VMs.
 */
export class LiveService {
  readonly id: number;
  readonly body: ServiceBody;
  owner: Owner;
  readonly waits = new Map<string, Wait>();
  /** Roles whose wait is over. */
  readonly settled = new Set<string>();
  /** VMs of a running service to which something happened. */
  readonly incidents = new Set<number>();
  timer: Timer | undefined;
  step: Timer | undefined;
  changed = false;
  /** All its VMs are gone and it goes with them; kept until that could be written. */
  leaving = false;
  /** The next try to write what could not be written. */
  retry: Timer | undefined;
  /** Actions on VMs that are still to come. */
  readonly actions = new Set<Timer>();

  constructor(document: OwnedDocument) {
    this.id = Number(document.ID);
    this.body = new ServiceBody(document.TEMPLATE.BODY);
    this.owner = document;
  }

  stopTimers(): void {
    this.timer?.cancel();
    this.step?.cancel();
    this.retry?.cancel();
    for (const action of this.actions) action.cancel();
    for (const wait of this.waits.values()) wait.timer?.cancel();
    this.waits.clear();
  }
}

/** One VM of a service, as the engine knows it by the events. */
export interface KnownVm {
  readonly service: LiveService;
  readonly role: string;
  condition: VmCondition;
}
