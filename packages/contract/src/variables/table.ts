import { defaultFlowerVersion } from '../flower-profiles.ts';
import { ports } from '../ports.ts';
import { frameworks, useCases } from '../use-cases.ts';
import type { Variable } from './types.ts';

const both = ['superlink', 'supernode'] as const;
const superlink = ['superlink'] as const;
const supernode = ['supernode'] as const;
const logLevels = ['DEBUG', 'INFO', 'WARNING', 'ERROR'] as const;
const count = { type: 'integer', min: 1, max: 10_000 } as const;

/**
 * Every context variable. USER_INPUTS, the OneFlow template, `docs/variables.md`, `--set` completion and the
 * validation in the CLI and in the VM are derived from it. Each entry has an effect test, found by its name.
 */
export const variables = [
  {
    name: 'FLOWER_VERSION',
    roles: both,
    kind: { type: 'version' },
    default: defaultFlowerVersion,
    source: 'operator',
    help: 'Flower release that SuperLink and SuperNodes run.',
    effect:
      'Runs the binaries of that release, installed beside the baked one; when it cannot be installed the baked one runs and a warning says so.',
  },
  {
    name: 'FL_USE_CASE',
    roles: both,
    kind: { type: 'list', options: Object.keys(useCases) },
    default: 'none',
    source: 'operator',
    help: 'Training app that is submitted as soon as enough SuperNodes are online.',
    effect: 'The SuperLink submits the app of that name; with none it waits for a run to be submitted.',
  },
  {
    name: 'ML_FRAMEWORK',
    roles: both,
    kind: { type: 'list', options: frameworks },
    default: 'sklearn',
    source: 'operator',
    help: 'Machine learning framework that the use case runs on.',
    effect: 'Chosen together with FL_USE_CASE; a pair that no app serves is refused.',
  },
  {
    name: 'FL_NUM_ROUNDS',
    roles: superlink,
    kind: count,
    default: '3',
    source: 'operator',
    help: 'Number of federated training rounds.',
    effect: 'Run config num-server-rounds.',
    applies: 'FL_USE_CASE is not none',
  },
  {
    name: 'FL_MIN_FIT_CLIENTS',
    roles: superlink,
    kind: count,
    default: '2',
    source: 'operator',
    help: 'Fewest SuperNodes that are sampled to train in a round.',
    effect: "Run config min-fit-clients: the strategy's min_train_nodes.",
    applies: 'FL_USE_CASE is not none',
  },
  {
    name: 'FL_MIN_EVALUATE_CLIENTS',
    roles: superlink,
    kind: count,
    default: '2',
    source: 'operator',
    help: 'Fewest SuperNodes that are sampled to evaluate in a round.',
    effect: "Run config min-evaluate-clients: the strategy's min_evaluate_nodes.",
    applies: 'FL_USE_CASE is not none',
  },
  {
    name: 'FL_MIN_AVAILABLE_CLIENTS',
    roles: superlink,
    kind: count,
    default: '2',
    source: 'operator',
    help: 'SuperNodes that must be online before training starts.',
    effect:
      "The SuperLink submits the run once so many are online; run config min-available-clients: the strategy's min_available_nodes.",
    applies: 'FL_USE_CASE is not none',
  },
  {
    name: 'FL_FLEET_API_ADDRESS',
    roles: superlink,
    kind: { type: 'address' },
    default: `0.0.0.0:${ports.fleet}`,
    source: 'operator',
    help: 'Address on which the SuperLink serves its SuperNodes.',
    effect: 'The gate listens there and passes the Fleet API and enrolment, nothing else; FL_ENDPOINT names the port.',
  },
  {
    name: 'FL_CONTROL_API_ADDRESS',
    roles: superlink,
    kind: { type: 'address' },
    default: `127.0.0.1:${ports.control}`,
    source: 'operator',
    help: 'Address on which the SuperLink serves its operators.',
    effect: 'The operator API and, behind the same bearer token, the Control API of Flower listen there.',
  },
  {
    name: 'FL_ISOLATION',
    roles: both,
    kind: { type: 'list', options: ['subprocess', 'process'] },
    default: 'subprocess',
    source: 'operator',
    help: 'Whether Flower starts the process that runs apps itself, or the agent runs it beside Flower.',
    effect: '--isolation; with process the agent also supervises flower-superexec.',
  },
  {
    name: 'FL_DATABASE',
    roles: superlink,
    kind: { type: 'path', absolute: false },
    default: 'state/state.db',
    source: 'operator',
    help: "File of the SuperLink's database.",
    effect: "--database, relative to Flower's own folder.",
  },
  {
    name: 'FL_LOG_LEVEL',
    roles: both,
    kind: { type: 'list', options: logLevels },
    default: 'INFO',
    source: 'operator',
    help: 'Least severe level that is logged.',
    effect: 'The log leaves out what is below it; FLWR_LOG_LEVEL.',
  },
  {
    name: 'FL_LOG_FORMAT',
    roles: both,
    kind: { type: 'list', options: ['text', 'json'] },
    default: 'text',
    source: 'operator',
    help: 'Whether a log line is text or one JSON object.',
    effect: "Form of each line of the agent's log, Flower's own output included.",
  },
  {
    name: 'FL_TLS_ENABLED',
    roles: both,
    kind: { type: 'boolean' },
    default: 'YES',
    source: 'operator',
    help: 'Whether SuperNodes reach the SuperLink through TLS. Without it there is no node authentication either.',
    effect:
      'YES: certificates, --ssl-* and --enable-supernode-auth on the SuperLink, --root-certificates on the SuperNode. NO: --insecure on both.',
  },
  {
    name: 'FL_SSL_CA_CERTFILE',
    roles: both,
    kind: { type: 'certificate' },
    default: '',
    source: 'operator',
    help: 'CA certificate in PEM, or base64 of it.',
    effect:
      'SuperLink: with FL_SSL_CERTFILE and FL_SSL_KEYFILE replaces the generated certificates. SuperNode: the CA that it trusts, before any that is published.',
    applies: 'FL_TLS_ENABLED is YES',
  },
  {
    name: 'FL_SSL_CERTFILE',
    roles: superlink,
    kind: { type: 'certificate' },
    default: '',
    source: 'operator',
    help: 'Server certificate in PEM, intermediates after it, or base64 of it.',
    effect: 'The certificate that the gate presents.',
    applies: 'FL_TLS_ENABLED is YES; all three FL_SSL_ variables or none',
  },
  {
    name: 'FL_SSL_KEYFILE',
    roles: superlink,
    kind: { type: 'private-key' },
    default: '',
    source: 'operator',
    secret: true,
    help: 'Private key of the server certificate in PEM, or base64 of it.',
    effect: 'The key of the certificate that the gate presents.',
    applies: 'FL_TLS_ENABLED is YES; all three FL_SSL_ variables or none',
  },
  {
    name: 'FL_CERT_EXTRA_SAN',
    roles: superlink,
    kind: { type: 'certificate-names' },
    default: '',
    source: 'operator',
    help: 'Further names of the SuperLink: IP:ADDRESS or DNS:NAME, separated by commas.',
    effect: 'Subject alternative names of the generated server certificate.',
    applies: 'FL_TLS_ENABLED is YES and the certificates are generated',
  },
  {
    name: 'FL_SUPERLINK_ADDRESS',
    roles: supernode,
    kind: { type: 'address' },
    default: '',
    source: 'operator',
    help: 'Address of a SuperLink outside the service, as HOST:PORT.',
    effect: 'The SuperNode connects there and asks OneGate for nothing.',
  },
  {
    name: 'FL_JOIN_TOKEN',
    roles: both,
    kind: { type: 'token' },
    default: '',
    source: 'operator',
    secret: true,
    help: 'Secret with which SuperNodes ask to be enrolled; made by the SuperLink when empty.',
    effect: 'The gate enrols only a SuperNode that presents it.',
  },
  {
    name: 'FL_OPERATOR_TOKEN_HASH',
    roles: superlink,
    kind: { type: 'sha256' },
    default: '',
    source: 'operator',
    help: 'SHA-256, in hex, of the bearer token for the operator API; oneflower deploy makes both.',
    effect: 'The operator API answers only to that token; without a hash it answers to none.',
  },
  {
    name: 'FL_NODE_CONFIG',
    roles: supernode,
    kind: { type: 'node-config' },
    default: '',
    source: 'operator',
    help: 'Values for ClientApps as KEY=VALUE separated by blanks, strings in double quotes.',
    effect: '--node-config; partition-id and num-partitions are added from the partition lease unless given.',
  },
  {
    name: 'FL_MAX_RETRIES',
    roles: supernode,
    kind: { type: 'integer', min: 0, max: 1_000_000 },
    default: '0',
    source: 'operator',
    help: 'Connection attempts after the first before Flower gives up and is restarted; 0 is without limit.',
    effect: '--max-retries; 0 leaves the flag out.',
  },
  {
    name: 'FL_MAX_WAIT_TIME',
    roles: supernode,
    kind: { type: 'integer', min: 0, max: 31_536_000 },
    default: '0',
    source: 'operator',
    help: 'Seconds without a connection before Flower gives up and is restarted; 0 is without limit.',
    effect: '--max-wait-time; 0 leaves the flag out.',
  },
  {
    name: 'TOKEN',
    roles: both,
    kind: { type: 'boolean' },
    default: 'NO',
    source: 'platform',
    help: 'Whether OpenNebula gives the VM a OneGate token.',
    effect: 'Without it nothing is published and nothing discovered through OneGate.',
  },
  {
    name: 'NETWORK',
    roles: both,
    kind: { type: 'boolean' },
    default: 'NO',
    source: 'platform',
    help: "Whether OpenNebula writes the VM's network settings into its context.",
    effect: 'The address of the first interface with one is the address that the VM publishes.',
  },
  {
    name: 'REPORT_READY',
    roles: both,
    kind: { type: 'boolean' },
    default: 'NO',
    source: 'platform',
    help: 'Whether the VM tells OneFlow that it is ready.',
    effect: 'READY=YES is published when the probe has passed.',
  },
  {
    name: 'READY_SCRIPT_PATH',
    roles: both,
    kind: { type: 'path', absolute: true },
    default: '',
    source: 'platform',
    help: 'Program in the VM that must exit with 0 before the VM is ready.',
    effect: 'It is run after the probe; until it exits with 0 READY is not published.',
  },
  {
    name: 'SSH_PUBLIC_KEY',
    roles: both,
    kind: { type: 'text' },
    default: '',
    source: 'platform',
    help: 'Public keys that may log in as root, one a line.',
    effect: "Written to root's authorized_keys.",
  },
] as const satisfies readonly Variable[];

/** Names of all variables, for types that must not go stale. */
export type VariableName = (typeof variables)[number]['name'];

/** The entry of a name, or undefined when there is no such variable. */
export function findVariable(name: string): Variable | undefined {
  return variables.find(variable => variable.name === name);
}

/** The variables that a role's CONTEXT carries. */
export function variablesOf(role: 'superlink' | 'supernode'): Variable[] {
  return (variables as readonly Variable[]).filter(variable => variable.roles.includes(role));
}
