/**
 * Why a VM is not ready: the values of FL_ERROR. The sentences are the likely cause and the remedy; what failed,
 * with its particulars, is said by who reports it.
 */
export const failures = {
  config_validation_failed: {
    reason: 'A context variable has a value that it may not have.',
    remedy: "Correct the variables that are named and deploy again, or update the VM's context.",
  },
  context_unreadable: {
    reason: 'The context is missing or damaged.',
    remedy: 'Check that the VM template has a CONTEXT section and that its CD is attached.',
  },
  state_write_failed: {
    reason: 'The disk is full or its folder is not writable.',
    remedy: 'Free space or correct the permissions, then restart the VM; nothing written before is lost.',
  },
  tls_setup_failed: {
    reason: 'The certificates could not be made or those that were given do not fit together.',
    remedy: 'Check FL_SSL_CA_CERTFILE, FL_SSL_CERTFILE and FL_SSL_KEYFILE, or leave all three empty.',
  },
  flower_start_failed: {
    reason: 'The Flower process ends as soon as it is started.',
    remedy: "Read the VM's log: the last lines of Flower say why.",
  },
  framework_missing: {
    reason: 'The software of this VM holds no Python environment for that framework.',
    remedy:
      'On the embedded cloud deploy with oneflower deploy, which installs it; in an image, use the image of that framework.',
  },
  port_taken: {
    reason: 'Another process listens on that port.',
    remedy: 'Choose another port for FL_FLEET_API_ADDRESS or FL_CONTROL_API_ADDRESS, or stop the other process.',
  },
  health_check_timeout: {
    reason: 'The service did not answer its own probe in time.',
    remedy: "Read the VM's log, and give the VM more CPU if it is merely slow.",
  },
  discovery_failed: {
    reason: 'No SuperLink has published its address.',
    remedy: 'Check that the superlink role is RUNNING, or set FL_SUPERLINK_ADDRESS.',
  },
  trust_missing: {
    reason: 'TLS is wanted but there is no CA certificate to trust.',
    remedy: 'Set FL_SSL_CA_CERTFILE to the CA certificate of the SuperLink.',
  },
  trust_changed: {
    reason:
      'The certificate was changed on purpose, or a VM of the service tampers with what the SuperLink has published.',
    remedy: 'Set FL_SSL_CA_CERTFILE to the CA certificate that is right.',
  },
  superlink_unreachable: {
    reason: 'The SuperLink does not answer, or its certificate is not the one that is trusted.',
    remedy: 'Check the address, the network between the two VMs and the CA certificate.',
  },
  enrolment_refused: {
    reason: 'The SuperLink does not accept this node.',
    remedy: 'Check that FL_JOIN_TOKEN is that of the SuperLink and that both run the same Flower release.',
  },
  node_not_online: {
    reason: 'Flower runs but the SuperLink does not list the node online.',
    remedy: 'Wait a minute if the node was restarted: Flower refuses its key until the old session has timed out.',
  },
  ready_script_failed: {
    reason: 'The program of READY_SCRIPT_PATH did not exit with 0.',
    remedy: 'Run it in the VM and correct what it reports, or empty READY_SCRIPT_PATH.',
  },
  data_unreadable: {
    reason: 'The data folder of the node cannot be read by the user that runs Flower.',
    remedy: 'Correct the permissions of the folder and its files.',
  },
} as const satisfies Record<string, { reason: string; remedy: string }>;

export type FailureCode = keyof typeof failures;
