import type { Readable } from 'node:stream';
import type {
  CheckpointSummary,
  EventPage,
  ModelFormat,
  ModelManifest,
  ModelSummary,
  RunHistory,
  RunLogs,
  RunSummary,
  SuperLinkStatus,
} from '@oneflower/contract';
import type { z } from 'zod';
import type { HostPort, TlsMaterial, Upstream } from '../gate/index.ts';
import type { ModelDownload, WhichModel } from '../runs/model-files.ts';
import type { CheckpointChoice } from '../runs/service.ts';

/**
 * What the operator API shows. A OneFlowerError is answered in its own words: codes that end in `-unknown`
 * with 404, `run-ended` with 409, faults of the user with 400, else with 503.
 */
export interface OperatorSource {
  status(): Promise<SuperLinkStatus>;
  /** Newest first. */
  runs(): Promise<RunSummary[]>;
  /** A gzipped tar of the app's folder, at most 256 MiB; `runConfig` are overrides `KEY=VALUE`. */
  submit(archive: Readable, runConfig: readonly string[], from?: CheckpointChoice): Promise<RunSummary>;
  /** Goes on from the last checkpoint of a run that has ended, or from that of a round. */
  resume(runId: string, round: number | undefined): Promise<RunSummary>;
  checkpoints(runId: string): Promise<CheckpointSummary[]>;
  history(runId: string): Promise<RunHistory>;
  stop(runId: string): Promise<void>;
  logs(runId: string, after: number): Promise<RunLogs>;
  /** Waits up to `waitMs` for an event after `after`, or until the signal is aborted. */
  events(after: number, waitMs: number, signal: AbortSignal): Promise<z.infer<typeof EventPage>>;
  models(): Promise<ModelSummary[]>;
  model(runId: string, which: WhichModel): Promise<ModelManifest>;
  /** The file of a model; whoever asks closes it. */
  modelFile(runId: string, which: WhichModel, format: ModelFormat): Promise<ModelDownload>;
}

export interface OperatorApiOptions {
  listen: HostPort;
  /** Absent: plain HTTP (FL_TLS_ENABLED=NO). */
  tls?: TlsMaterial | undefined;
  /** SHA-256 of the operator's token, hexadecimal; empty or absent: nobody may ask. */
  tokenHash?: string | undefined;
  source: OperatorSource;
  /** Flower's Control API, passed on under `/v1/control/` to who has the token. */
  flowerControl: Upstream;
  /** A sentence for the log: what could not be served and why. */
  warn?: ((message: string) => void) | undefined;
}

export interface OperatorApi {
  /** @throws OneFlowerError `port_taken` */
  listen(): Promise<void>;
  reloadTls(tls: TlsMaterial, upstreamCaPem?: string): void;
  close(): Promise<void>;
}
