import * as z from 'zod';
import { Partition } from './site-protocol.ts';

/**
 * The operator API of the SuperLink's agent, on FL_CONTROL_API_ADDRESS under the service's CA.
 * Every call carries `Authorization: Bearer TOKEN`; the VM knows only the token's SHA-256.
 */
export const operatorPaths = {
  status: '/v1/operator/status',
  runs: '/v1/operator/runs',
  events: '/v1/operator/events',
  models: '/v1/operator/models',
} as const;

export const NodeStatus = z.object({
  nodeId: z.string().nullable(),
  name: z.string(),
  vmId: z.int().nullable(),
  partition: Partition.nullable(),
  online: z.boolean(),
  phase: z.enum(['starting', 'running', 'failed', 'away']),
  error: z.string().nullable(),
  /** ISO 8601. */
  lastSeen: z.string(),
});
export type NodeStatus = z.infer<typeof NodeStatus>;

export const runStatuses = ['pending', 'starting', 'running', 'completed', 'failed', 'stopped'] as const;

export const RunSummary = z.object({
  runId: z.string(),
  app: z.string(),
  status: z.enum(runStatuses),
  details: z.string(),
  submittedBy: z.enum(['variables', 'operator']),
  round: z.int(),
  rounds: z.int().nullable(),
  /** ISO 8601, null until it has happened. */
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  metrics: z.record(z.string(), z.number()),
  model: z.boolean(),
  /** The run in whose place this one goes on, and the one that goes on in its place: a chain is one training. */
  continues: z.string().nullable(),
  continuedBy: z.string().nullable(),
  /** Last round with a checkpoint. */
  checkpoint: z.int().nullable(),
  /** Interrupted by a fault, and about to go on by itself. */
  resumes: z.boolean(),
  /** Has ended, and an operator can let it go on. */
  resumable: z.boolean(),
});
export type RunSummary = z.infer<typeof RunSummary>;

/** GET status. */
export const SuperLinkStatus = z.object({
  flowerVersion: z.string(),
  agentVersion: z.string(),
  tls: z.boolean(),
  useCase: z.string(),
  /** What stands between the service and its run from variables, if anything does. */
  waitingFor: z.string().nullable(),
  nodes: z.array(NodeStatus),
  run: RunSummary.nullable(),
});
export type SuperLinkStatus = z.infer<typeof SuperLinkStatus>;

/**
 * GET runs; POST runs takes a gzipped tar of the app's folder, `?run-config=KEY=VALUE` per override and `?from=RUN` or
 * `?from=RUN/ROUND` to begin with that checkpoint, and answers one RunSummary.
 * POST runs/ID/resume?checkpoint=ROUND goes on where a run has ended, and answers the RunSummary of the new run.
 */
export const RunList = z.object({ runs: z.array(RunSummary) });
/** GET runs/ID/logs?after=OFFSET: text from that byte on, and where to go on. */
export const RunLogs = z.object({ text: z.string(), next: z.int(), ended: z.boolean() });
export type RunLogs = z.infer<typeof RunLogs>;

/** GET runs/ID/checkpoints: what a run can be resumed from, first round first. */
export const CheckpointSummary = z.object({
  round: z.int(),
  bytes: z.int(),
  /** ISO 8601. */
  savedAt: z.string(),
  best: z.boolean(),
  final: z.boolean(),
  metrics: z.record(z.string(), z.number()),
});
export type CheckpointSummary = z.infer<typeof CheckpointSummary>;
export const CheckpointList = z.object({ checkpoints: z.array(CheckpointSummary) });

/** What one round of training came to. */
export const RoundRecord = z.object({
  runId: z.string(),
  round: z.int(),
  seconds: z.number(),
  responded: z.int(),
  failed: z.int(),
  metrics: z.record(z.string(), z.number()),
});
export type RoundRecord = z.infer<typeof RoundRecord>;

/** GET runs/ID/history: settings and rounds of a run, those of the runs that it continues included. */
export const RunHistory = z.object({
  run: RunSummary,
  /** The run configuration, as the app was given it. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  rounds: z.array(RoundRecord),
});
export type RunHistory = z.infer<typeof RunHistory>;

/** GET events?after=SEQ&wait=SECONDS: events with a higher number; waits up to `wait` seconds (at most 30) for the first. */
export const EventPage = z.object({
  events: z.array(
    z.object({ seq: z.int(), event: z.string(), timestamp: z.string(), data: z.record(z.string(), z.unknown()) }),
  ),
  next: z.int(),
});
export type EventPage = z.infer<typeof EventPage>;

/** What a model can be had as: named arrays, or what a framework loads itself (`peft`: a folder, as .tar.gz). */
export const modelFormats = ['npz', 'pt', 'joblib', 'keras', 'peft'] as const;
export type ModelFormat = (typeof modelFormats)[number];

/**
 * A model's manifest; `file`, `bytes` and `sha256` are those of what is kept. GET models lists the final models without
 * their details, which may be long; GET models/RUN_ID?which=final|best|ROUND describes one, and GET
 * models/RUN_ID/file?which=...&format=... is its file, with its SHA-256 in the header `x-sha256`.
 */
export const ModelManifest = z.object({
  runId: z.string(),
  app: z.string(),
  file: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  round: z.int(),
  savedAt: z.string(),
  flowerVersion: z.string(),
  metrics: z.record(z.string(), z.number()),
  details: z.record(z.string(), z.unknown()),
});
export type ModelManifest = z.infer<typeof ModelManifest>;
export const ModelSummary = ModelManifest.omit({ details: true });
export type ModelSummary = z.infer<typeof ModelSummary>;
export const ModelList = z.object({ models: z.array(ModelSummary) });
