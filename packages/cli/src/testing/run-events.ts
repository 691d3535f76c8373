/** What the SuperLink says of the run 7. */
export const trainingStart = {
  event: 'training_start',
  data: { run_id: '7', strategy: 'FedAvg', num_rounds: 1, min_clients: 2 },
} as const;
export const roundEnd = {
  event: 'round_end',
  data: {
    run_id: '7',
    round: 1,
    num_clients_responded: 2,
    num_clients_failed: 0,
    round_duration_seconds: 1.25,
    metrics: { roc_auc: 0.98765 },
  },
} as const;
export const runEnded = {
  event: 'run_ended',
  data: { run_id: '7', status: 'completed', details: '', rounds_done: 1 },
} as const;
