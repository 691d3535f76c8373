import type {
  Clock,
  EnrolRequest,
  EnrolResponse,
  EventData,
  NodeStatus,
  StateRequest,
  StateResponse,
} from '@oneflower/contract';
import type { ControlApi } from '../flower-control/index.ts';
import type { HttpHandler } from '../gate/index.ts';

/** Events of the site. */
export type SiteEvent = 'node_enrolled' | 'client_join' | 'client_leave';

/** The role of the SuperNodes in the service. */
export interface NodeRole {
  /** How many there should be. */
  cardinality: number;
  /** VMs that still exist. */
  vmIds: ReadonlySet<number>;
}

export interface SiteOptions {
  /** Where enrolments and leases are kept. */
  stateFile: string;
  joinToken: string;
  /** Release that the SuperLink runs. */
  flowerVersion: string;
  /** Whether Flower runs with TLS and so knows nodes by their keys. */
  tls: boolean;
  control: ControlApi;
  clock: Clock;
  /** The service's SuperNodes by OneGate; undefined when that is not known at the moment. */
  nodeRole(): Promise<NodeRole | undefined>;
  /** How many nodes share the bundled data at least, however few the service should have. */
  fewestNodes: number;
  emit<N extends SiteEvent>(event: N, data: EventData<N>): void;
  /** A sentence for the log: a damaged state file, a node that was taken off Flower. */
  warn(message: string): void;
}

/** Enrolment and the nodes of one SuperLink. */
export interface Site {
  /** Answers `/v1/site/`. */
  handle: HttpHandler;
  nodes(): NodeStatus[];
  /**
   * Asks Flower which nodes are online, tells of those that came and went, takes nodes off whose VMs are gone, and
   * between runs moves leases down into what is free, so that as many nodes as there should be have all of the data.
   * Call it every few seconds.
   *
   * @throws OneFlowerError `flower-unreachable`; the nodes keep their former state.
   */
  refresh(): Promise<void>;
  onlineCount(): number;
  /** Whether a run is going on: nodes are told with every answer. */
  setTraining(active: boolean): void;
  /** Before another site is made of the same state: finishes the change under way, and makes no more. */
  close(): Promise<void>;
}

/** What a SuperNode asks of the site. */
export interface SiteClient {
  /** @throws OneFlowerError `enrolment_refused` (details.refusal says which), `superlink_unreachable` */
  enrol(request: EnrolRequest): Promise<EnrolResponse>;
  /** @throws OneFlowerError `enrolment_refused` when the node is to enrol anew, `superlink_unreachable` */
  state(nodeToken: string, request: StateRequest): Promise<StateResponse>;
  /** Gives the lease back and takes the node off Flower, for ever. */
  leave(nodeToken: string): Promise<void>;
  close(): Promise<void>;
}
