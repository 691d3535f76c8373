import * as z from 'zod';

export const logLevels = ['DEBUG', 'INFO', 'WARNING', 'ERROR'] as const;
export type LogLevel = (typeof logLevels)[number];

const metrics = z.record(z.string().max(100), z.number()).describe('name to value');
const round = z.int().min(0);
const nodeId = z.string().max(40);

interface EventEntry {
  level: LogLevel;
  /** Who says it: the agent itself, or our code inside Flower through the event journal. */
  from: 'agent' | 'app';
  help: string;
  data: z.ZodObject;
}

/**
 * Every event: boot, nodes, training, faults. The log, the operator API, attributes and all views are made from
 * these; nothing reads log text to learn a fact.
 */
export const events = {
  boot_started: {
    level: 'INFO',
    from: 'agent',
    help: 'The agent starts.',
    data: z.object({ version: z.string(), reboot: z.boolean() }),
  },
  boot_step: {
    level: 'INFO',
    from: 'agent',
    help: 'A boot step has ended.',
    data: z.object({
      step: z.string(),
      outcome: z.enum(['done', 'degraded', 'failed']),
      seconds: z.number(),
      attempts: z.int(),
    }),
  },
  boot_ready: { level: 'INFO', from: 'agent', help: 'The VM is ready.', data: z.object({ seconds: z.number() }) },
  boot_failed: {
    level: 'ERROR',
    from: 'agent',
    help: 'The VM is not ready.',
    data: z.object({ code: z.string(), step: z.string() }),
  },
  process_started: {
    level: 'INFO',
    from: 'agent',
    help: 'A Flower process was started.',
    data: z.object({ name: z.string(), pid: z.int(), restarts: z.int() }),
  },
  process_ended: {
    level: 'WARNING',
    from: 'agent',
    help: 'A Flower process has ended by itself.',
    data: z.object({
      name: z.string(),
      exit_code: z.int().nullable(),
      signal: z.string().nullable(),
      restart_in_seconds: z.number(),
    }),
  },
  node_enrolled: {
    level: 'INFO',
    from: 'agent',
    help: 'A SuperNode was enrolled.',
    data: z.object({ node_id: nodeId.nullable(), name: z.string(), partition_id: z.int().nullable() }),
  },
  client_join: {
    level: 'INFO',
    from: 'agent',
    help: 'A SuperNode came online.',
    data: z.object({ node_id: nodeId, name: z.string().nullable() }),
  },
  client_leave: {
    level: 'WARNING',
    from: 'agent',
    help: 'A SuperNode went offline.',
    data: z.object({ node_id: nodeId, name: z.string().nullable() }),
  },
  run_submitted: {
    level: 'INFO',
    from: 'agent',
    help: 'A run was handed to Flower.',
    data: z.object({ run_id: z.string(), app: z.string(), by: z.enum(['variables', 'operator']) }),
  },
  run_resumed: {
    level: 'WARNING',
    from: 'agent',
    help: 'A run goes on where another one was interrupted.',
    data: z.object({ run_id: z.string(), continues: z.string(), round }),
  },
  run_ended: {
    level: 'INFO',
    from: 'agent',
    help: 'A run has ended.',
    data: z.object({
      run_id: z.string(),
      status: z.enum(['completed', 'failed', 'stopped']),
      details: z.string(),
      rounds_done: z.int(),
      /** It was interrupted, and another run goes on in its place: run_resumed follows. */
      resumes: z.boolean().optional(),
    }),
  },
  model_saved: {
    level: 'INFO',
    from: 'agent',
    help: "A run's final model is kept.",
    data: z.object({ run_id: z.string(), file: z.string(), bytes: z.int(), sha256: z.string() }),
  },
  training_start: {
    level: 'INFO',
    from: 'app',
    help: 'The ServerApp begins.',
    data: z.object({
      run_id: z.string(),
      strategy: z.string(),
      num_rounds: z.int(),
      min_clients: z.int(),
      /** Rounds are counted over all runs that continue one another. */
      first_round: round.optional(),
    }),
  },
  waiting_for_nodes: {
    level: 'WARNING',
    from: 'app',
    help: 'Too few SuperNodes are online: training stands still until more come.',
    data: z.object({ run_id: z.string(), wanted: z.int().min(0), online: z.int().min(0) }),
  },
  round_start: {
    level: 'INFO',
    from: 'app',
    help: 'A round begins.',
    data: z.object({ run_id: z.string(), round, num_clients_selected: z.int() }),
  },
  round_end: {
    level: 'INFO',
    from: 'app',
    help: 'A round is aggregated and evaluated.',
    data: z.object({
      run_id: z.string(),
      round,
      num_clients_responded: z.int(),
      num_clients_failed: z.int(),
      round_duration_seconds: z.number(),
      metrics,
    }),
  },
  round_failed: {
    level: 'WARNING',
    from: 'app',
    help: 'No model has come of a round: that of the round before goes on.',
    data: z.object({ run_id: z.string(), round, error: z.string().max(2000) }),
  },
  round_repeated: {
    level: 'WARNING',
    from: 'app',
    help: 'Too few SuperNodes have answered: the round is done again.',
    data: z.object({ run_id: z.string(), round, attempt: z.int(), error: z.string().max(2000) }),
  },
  checkpoint_saved: {
    level: 'INFO',
    from: 'app',
    help: 'A run can be resumed from here.',
    data: z.object({ run_id: z.string(), round, file: z.string().max(200), bytes: z.int(), best: z.boolean() }),
  },
  checkpoint_failed: {
    level: 'WARNING',
    from: 'app',
    help: 'A checkpoint could not be written; training goes on.',
    data: z.object({ run_id: z.string(), round, error: z.string().max(2000) }),
  },
  client_failure: {
    level: 'WARNING',
    from: 'app',
    help: 'A SuperNode answered a message with an error.',
    data: z.object({ run_id: z.string(), round, node_id: nodeId, error: z.string().max(2000) }),
  },
  model_written: {
    level: 'INFO',
    from: 'app',
    help: 'The ServerApp has written its final arrays; what is to be told of them lies beside the file, as .json.',
    data: z.object({ run_id: z.string(), file: z.string().max(200), round, metrics }),
  },
  model_failed: {
    level: 'WARNING',
    from: 'app',
    help: 'The final arrays could not be written; the checkpoint of the round holds them.',
    data: z.object({ run_id: z.string(), round, error: z.string().max(2000) }),
  },
  training_end: {
    level: 'INFO',
    from: 'app',
    help: 'The ServerApp has done all rounds.',
    data: z.object({ run_id: z.string(), total_rounds: z.int(), total_duration_seconds: z.number(), metrics }),
  },
  data_loaded: {
    level: 'INFO',
    from: 'app',
    help: 'A ClientApp has loaded its data.',
    data: z.object({
      run_id: z.string(),
      source: z.enum(['folder', 'bundled']),
      rows: z.int(),
      held_out: z.int(),
      partition_id: z.int().nullable(),
    }),
  },
  node_device: {
    level: 'INFO',
    from: 'app',
    help: 'What a ClientApp computes on.',
    data: z.object({ run_id: z.string(), device: z.enum(['cpu', 'gpu']), name: z.string().max(200) }),
  },
  worker_warm: {
    level: 'INFO',
    from: 'app',
    help: 'A process that has the framework loaded waits for messages.',
    data: z.object({ program: z.string().max(100), pid: z.int(), memory_mb: z.number(), modules: z.array(z.string()) }),
  },
  worker_cold: {
    level: 'WARNING',
    from: 'app',
    help: "A message was given to a process of Flower's own instead of a warm one.",
    data: z.object({ program: z.string().max(100), reason: z.string().max(2000) }),
  },
  data_refused: {
    level: 'ERROR',
    from: 'app',
    help: 'A data file holds what is not data.',
    data: z.object({ run_id: z.string(), file: z.string(), line: z.int().nullable(), error: z.string().max(2000) }),
  },
} as const satisfies Record<string, EventEntry>;

export type EventName = keyof typeof events;
export type EventData<N extends EventName> = z.infer<(typeof events)[N]['data']>;

/** An event as it stands in the log, the journal and the operator API. */
export type FlowerEvent = { [N in EventName]: { event: N; timestamp: string; data: EventData<N> } }[EventName];

/** Reads one line of the event journal that our code inside Flower writes; undefined when it is not a valid app event. */
export function parseAppEvent(line: string): FlowerEvent | undefined {
  const parsed = JournalLine.safeParse(parseJson(line));
  if (!parsed.success) return undefined;
  const { event, timestamp } = parsed.data;
  if (!Object.hasOwn(events, event)) return undefined;
  const entry = events[event as EventName];
  if (entry.from !== 'app') return undefined;
  const data = entry.data.safeParse(parsed.data.data);
  return data.success ? ({ event, timestamp, data: data.data } as FlowerEvent) : undefined;
}

const JournalLine = z.object({ event: z.string(), timestamp: z.iso.datetime({ offset: true }), data: z.unknown() });

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
