export type { DaemonConfig } from './config.ts';
export {
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
} from './service.ts';
