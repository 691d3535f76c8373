/** 64-bit ids are decimal strings: they exceed 2^53. */
export type FlowerId = string;

export interface FlowerNode {
  nodeId: FlowerId;
  /** As it was registered: an OpenSSH line, without its comment. Empty for a node without a key. */
  publicKey: string;
  name: string;
  status: 'registered' | 'online' | 'offline' | 'unregistered';
  /** ISO 8601 or empty. */
  registeredAt: string;
  lastActivatedAt: string;
  lastDeactivatedAt: string;
  unregisteredAt: string;
}

export type FlowerRunStatus = 'pending' | 'starting' | 'running' | 'finished';

export interface FlowerRun {
  runId: FlowerId;
  fabId: string;
  fabVersion: string;
  status: FlowerRunStatus;
  /** `completed`, `failed` or `stopped` when finished, else empty. */
  subStatus: string;
  details: string;
  /** ISO 8601 or empty. */
  pendingAt: string;
  startingAt: string;
  runningAt: string;
  finishedAt: string;
}

export interface LogChunk {
  text: string;
  /** Seconds since the epoch; pass it as `after` to go on. */
  latest: number;
}

/**
 * Flower's Control API. A call fails with OneFlowerError `flower-unreachable`, or with `flower-refused` or a more
 * precise code: `flower-key-invalid`, `flower-key-known`, `flower-node-unknown`, `flower-run-finished`.
 */
export interface ControlApi {
  /** Registers a node's public key (OpenSSH line). A key that is registered already -> `flower-key-known`. */
  registerNode(publicKey: string, name: string): Promise<FlowerId>;
  /** For ever: Flower never accepts the key again. */
  unregisterNode(nodeId: FlowerId): Promise<void>;
  listNodes(): Promise<FlowerNode[]>;
  /** Newest first. */
  listRuns(): Promise<FlowerRun[]>;
  stopRun(runId: FlowerId): Promise<void>;
  /** Log of a run from the time `after` on; ends when the run ends. */
  streamLogs(runId: FlowerId, after: number, signal: AbortSignal): AsyncIterable<LogChunk>;
  /** Whether Flower answers its probe. */
  health(): Promise<boolean>;
  /** Ends open connections. */
  close(): Promise<void>;
}
