export { largestApp, type PackedApp, packApp } from './pack.ts';
export { hasEnded, listRuns, type RunsContext, readLogs, stopRun, submitRun, watchRun } from './runs.ts';
