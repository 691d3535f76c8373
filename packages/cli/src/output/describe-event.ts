import type { FlowerEvent } from '@oneflower/contract';
import { counted, formatBytes, formatDuration, formatMetrics } from './text.ts';

/** An event of a service in one line; undefined for one that tells an operator nothing new. */
export function describeEvent({ event, data }: FlowerEvent): string | undefined {
  switch (event) {
    case 'boot_started':
      return `SuperLink: ${data.reboot ? 'boots again' : 'boots'} (agent ${data.version})`;
    case 'boot_step':
      return `SuperLink: ${data.step} ${data.outcome}${data.attempts > 1 ? `, ${data.attempts} attempts` : ''} (${seconds(data.seconds)})`;
    case 'boot_ready':
      return `SuperLink: ready after ${seconds(data.seconds)}`;
    case 'boot_failed':
      return `SuperLink: not ready, ${data.step} failed (${data.code})`;
    case 'process_started':
      return data.restarts > 0 ? `SuperLink: ${data.name} restarted (${data.restarts})` : undefined;
    case 'process_ended': {
      const how = data.signal ?? `exit code ${data.exit_code}`;
      return `SuperLink: ${data.name} ended (${how}), restart in ${seconds(data.restart_in_seconds)}`;
    }
    case 'node_enrolled':
      return `SuperNode ${data.name} enrolled${data.partition_id === null ? '' : `, partition ${data.partition_id}`}`;
    case 'client_join':
      return `SuperNode ${data.name ?? data.node_id} online`;
    case 'client_leave':
      return `SuperNode ${data.name ?? data.node_id} offline`;
    case 'run_submitted':
      return `Run ${data.run_id}: ${data.app} submitted`;
    case 'run_resumed':
      return `Run ${data.run_id}: ${data.round === 0 ? 'starts over in place of' : `goes on from round ${data.round} of`} run ${data.continues}`;
    case 'run_ended':
      if (data.resumes === true) return `Run ${data.run_id}: ${data.details.replace(/^Interrupted/, 'interrupted')}`;
      return `Run ${data.run_id}: ${data.status} after ${counted(data.rounds_done, 'round')}${data.details === '' ? '' : ` (${data.details})`}`;
    case 'model_saved':
      return `Run ${data.run_id}: model kept (${data.file}, ${formatBytes(data.bytes)})`;
    case 'training_start':
      return `Run ${data.run_id}: training starts, ${roundsOf(data)} with ${data.strategy}`;
    case 'waiting_for_nodes':
      return `Run ${data.run_id}: waits for nodes: ${data.online} of ${data.wanted} online`;
    case 'round_start':
      return undefined;
    case 'round_end':
      return describeRound(data);
    case 'client_failure':
      return `Round ${data.round}: SuperNode ${data.node_id} failed: ${data.error}`;
    case 'round_failed':
      return `Round ${data.round} has failed, the model stays as it was: ${data.error}`;
    case 'round_repeated':
      return `Round ${data.round} is done again (attempt ${data.attempt}): ${data.error}`;
    case 'checkpoint_failed':
      return `Round ${data.round}: no checkpoint could be written: ${data.error}`;
    case 'training_end':
      return `Run ${data.run_id}: training done, ${counted(data.total_rounds, 'round')} in ${seconds(data.total_duration_seconds)}`;
    case 'model_failed':
      return `Run ${data.run_id}: no final model is kept, the checkpoint of round ${data.round} holds it: ${data.error}`;
    case 'model_written':
      return undefined;
    case 'data_loaded':
      return `Data: ${data.rows} rows from ${data.source === 'folder' ? 'the data folder' : 'the bundled set'}, ${data.held_out} held out`;
    case 'data_refused':
      return `Data refused: ${data.file}${data.line === null ? '' : `, line ${data.line}`}: ${data.error}`;
    default:
      return undefined;
  }
}

/** What is going on after an event, for the live line. */
export function activityAfter({ event, data }: FlowerEvent): string | undefined {
  if (event === 'waiting_for_nodes') return `Waiting for nodes: ${data.online} of ${data.wanted} online`;
  if (event === 'round_start') return `Round ${data.round} with ${counted(data.num_clients_selected, 'SuperNode')}`;
  if (event === 'run_ended' && data.resumes === true) return 'Waiting for the run to go on';
  if (event === 'run_submitted' || event === 'run_resumed') return `Run ${data.run_id}: Flower starts the app`;
  if (event === 'boot_ready') return 'Waiting for SuperNodes';
  return undefined;
}

type TrainingStart = Extract<FlowerEvent, { event: 'training_start' }>['data'];

function roundsOf({ num_rounds: rounds, first_round: first = 1 }: TrainingStart): string {
  return first === 1 ? counted(rounds, 'round') : `rounds ${first} to ${rounds}`;
}

type RoundEnd = Extract<FlowerEvent, { event: 'round_end' }>['data'];

function describeRound(data: RoundEnd): string {
  const failed = data.num_clients_failed > 0 ? `, ${data.num_clients_failed} failed` : '';
  const metrics = formatMetrics(data.metrics);
  const nodes = `${counted(data.num_clients_responded, 'SuperNode')}${failed}, ${seconds(data.round_duration_seconds)}`;
  return `Round ${data.round}: ${metrics === '' ? '' : `${metrics} `}(${nodes})`;
}

function seconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} s` : formatDuration(value * 1000);
}
