import { type BootStep, quickly } from './step.ts';

/** What the steps bring about, in their order. */
export interface SuperLinkActions {
  prepareCertificates(): Promise<void>;
  startFlower(signal: AbortSignal): Promise<void>;
  openSite(): Promise<void>;
  openGate(): Promise<void>;
  openOperatorApi(): Promise<void>;
  probe(): Promise<void>;
  runReadyScript(signal: AbortSignal): Promise<void>;
  publishReady(): Promise<void>;
}

/** How a SuperLink boots, after {@link openingSteps}. */
export const superLinkSteps: readonly BootStep<SuperLinkActions>[] = [
  {
    name: 'certificates',
    does: 'Makes, imports or renews the CA and the server certificate, unless FL_TLS_ENABLED is NO.',
    deadlineSeconds: 60,
    retry: 'never',
    failure: 'fatal',
    code: 'tls_setup_failed',
    run: superLink => superLink.prepareCertificates(),
  },
  {
    name: 'start-flower',
    does: 'Starts flower-superlink on loopback and waits until it answers its health check.',
    deadlineSeconds: 120,
    retry: 'never',
    failure: 'fatal',
    code: 'flower_start_failed',
    run: (superLink, signal) => superLink.startFlower(signal),
  },
  {
    name: 'site',
    does: 'Loads enrolments, partition leases and runs as they were left.',
    deadlineSeconds: 30,
    retry: 'never',
    failure: 'fatal',
    code: 'state_write_failed',
    run: superLink => superLink.openSite(),
  },
  {
    name: 'gate',
    does: 'Opens the gate on FL_FLEET_API_ADDRESS: Fleet API and enrolment.',
    deadlineSeconds: 15,
    retry: quickly,
    failure: 'fatal',
    code: 'port_taken',
    run: superLink => superLink.openGate(),
  },
  {
    name: 'operator-api',
    does: 'Opens the operator API on FL_CONTROL_API_ADDRESS.',
    deadlineSeconds: 15,
    retry: quickly,
    failure: 'fatal',
    code: 'port_taken',
    run: superLink => superLink.openOperatorApi(),
  },
  {
    name: 'probe',
    does: 'Asks the Fleet API through the gate, trusting only the CA that will be published.',
    deadlineSeconds: 60,
    retry: quickly,
    failure: 'fatal',
    code: 'health_check_timeout',
    run: superLink => superLink.probe(),
  },
  {
    name: 'ready-script',
    does: 'Runs the program of READY_SCRIPT_PATH until it exits with 0, if there is one.',
    deadlineSeconds: 300,
    retry: quickly,
    failure: 'waits',
    code: 'ready_script_failed',
    run: (superLink, signal) => superLink.runReadyScript(signal),
  },
  {
    name: 'publish',
    does: 'Publishes endpoint, CA and the rest with READY last, all in one request.',
    deadlineSeconds: 15,
    retry: 'never',
    failure: 'degraded',
    code: 'health_check_timeout',
    run: superLink => superLink.publishReady(),
  },
];
