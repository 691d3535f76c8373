import type { OneFlowerError } from '@oneflower/contract';
import { type BootStep, patiently, quickly } from './step.ts';

/** What the steps bring about, in their order. */
export interface SuperNodeActions {
  discover(): Promise<void>;
  decideTrust(): Promise<void>;
  prepareKey(): Promise<void>;
  enrol(): Promise<void>;
  checkData(signal: AbortSignal): Promise<void>;
  startFlower(signal: AbortSignal): Promise<void>;
  waitOnline(signal: AbortSignal): Promise<void>;
  runReadyScript(signal: AbortSignal): Promise<void>;
  publishReady(): Promise<void>;
  /** Whether a failure may come of what `discover` has found, which OneGate may tell otherwise by now. */
  mayBeOutdated(error: OneFlowerError): boolean;
}

/** How a SuperNode boots, after {@link openingSteps}. */
export const superNodeSteps: readonly BootStep<SuperNodeActions>[] = [
  {
    name: 'discover',
    does: 'Finds the SuperLink: by FL_SUPERLINK_ADDRESS, by what OneFlow filled in, or by asking OneGate until it is there.',
    deadlineSeconds: 300,
    retry: patiently,
    failure: 'waits',
    code: 'discovery_failed',
    run: superNode => superNode.discover(),
  },
  {
    name: 'trust',
    does: 'Decides on TLS and keeps the CA certificate to trust; what is missing is an error, never a way to go without.',
    deadlineSeconds: 10,
    retry: 'never',
    failure: 'fatal',
    code: 'trust_missing',
    run: superNode => superNode.decideTrust(),
  },
  {
    name: 'key',
    does: "Makes the node's key, or loads the one that it has.",
    deadlineSeconds: 10,
    retry: 'never',
    failure: 'fatal',
    code: 'state_write_failed',
    run: superNode => superNode.prepareKey(),
  },
  {
    name: 'enrol',
    does: 'Enrols the key at the gate with the join token; gets the node id and a partition lease.',
    deadlineSeconds: 120,
    retry: patiently,
    failure: 'waits',
    needsAnotherBoot: (superNode, error) => superNode.mayBeOutdated(error),
    code: 'enrolment_refused',
    run: superNode => superNode.enrol(),
  },
  {
    name: 'data',
    does: "Sees whether Flower's user can read the node's data folder.",
    deadlineSeconds: 60,
    retry: 'never',
    failure: 'fatal',
    code: 'data_unreadable',
    run: (superNode, signal) => superNode.checkData(signal),
  },
  {
    name: 'start-flower',
    does: 'Starts flower-supernode with the enrolled key.',
    deadlineSeconds: 60,
    retry: 'never',
    failure: 'fatal',
    code: 'flower_start_failed',
    run: (superNode, signal) => superNode.startFlower(signal),
  },
  {
    name: 'online',
    does: 'Waits until the SuperLink lists the node online.',
    deadlineSeconds: 180,
    retry: quickly,
    failure: 'waits',
    needsAnotherBoot: (superNode, error) => superNode.mayBeOutdated(error),
    code: 'node_not_online',
    run: (superNode, signal) => superNode.waitOnline(signal),
  },
  {
    name: 'ready-script',
    does: 'Runs the program of READY_SCRIPT_PATH until it exits with 0, if there is one.',
    deadlineSeconds: 300,
    retry: quickly,
    failure: 'waits',
    code: 'ready_script_failed',
    run: (superNode, signal) => superNode.runReadyScript(signal),
  },
  {
    name: 'publish',
    does: 'Publishes node id, partition and the rest with READY last, all in one request.',
    deadlineSeconds: 15,
    retry: 'never',
    failure: 'degraded',
    code: 'node_not_online',
    run: superNode => superNode.publishReady(),
  },
];
