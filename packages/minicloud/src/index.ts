export { type CloudFiles, cloudFiles } from './cloud/files.ts';
export { type CloudEndpoints, type CloudPorts, stockPorts } from './cloud/front-end.ts';
export { seedNames } from './cloud/seed.ts';
export { type Cloud, type CloudOptions, openCloud } from './cloud.ts';
export type { DaemonConfig } from './daemon/config.ts';
export {
  agentCommandOf,
  type DaemonProgress,
  type DaemonStatus,
  type DaemonSurroundings,
  daemonStatus,
  type RunningDaemon,
  resetCloud,
  type StartOptions,
  type StopOptions,
  startDaemon,
  stopDaemon,
} from './daemon/service.ts';
export { createDummyDriver, type DummyDriver } from './drivers/dummy.ts';
export { type AgentCommand, createProcessDriver, type ProcessDriver } from './drivers/process/index.ts';
export type { DriverVm, Oned, OnedAnswer, VmDriver, VmEvent } from './interfaces.ts';
