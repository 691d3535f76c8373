export { type Comparison, compareRuns } from './compare.ts';
export { largestApp, type PackedApp, packApp } from './pack.ts';
export {
  hasEnded,
  listCheckpoints,
  listRuns,
  type RunsContext,
  readHistories,
  readLogs,
  resumeRun,
  stopRun,
  submitRun,
  watchRun,
} from './runs.ts';
