export type { CliContext, GuestSoftware, Output, Surroundings } from './context.ts';
export { describeEvent } from './output/describe-event.ts';
export { reportProgress } from './output/report-progress.ts';
export { createReporter, type Reporter } from './output/reporter.ts';
export { runCli, schemaVersion } from './run-cli.ts';
