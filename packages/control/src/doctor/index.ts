export { type Check, examine, type Finding } from './doctor.ts';
export { diskCheck, type EmbeddedState, embeddedCheck, nodeCheck, portsCheck, pythonCheck } from './machine.ts';
export { type RemoteOptions, remoteChecks } from './remote.ts';
