import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { formatHostPort, type HostPort, ports, profileOf, type Settings } from '@oneflower/contract';
import type { CertificateMaterial } from '../certificates/types.ts';
import type { FileOwner } from '../files.ts';
import { checkpointsOf, type Layout } from '../layout.ts';
import type { ProcessSpec } from './supervisor.ts';

/** What every Flower process of a guest has in common. */
export interface FlowerSetting {
  layout: Layout;
  settings: Settings;
  /** Release that runs. */
  version: string;
  /** `bin` of that release's environment. */
  bin: string;
  /** Address that stands for loopback. */
  loopback: string;
  owner: FileOwner | undefined;
}

/** Flower's programs that run apps. */
const serverApp = 'flwr-serverapp';
const clientApp = 'flwr-clientapp';

/** Where the SuperLink's Flower listens, by what it serves there. */
export interface SuperLinkPorts {
  http: HostPort;
  fleet: HostPort;
}

/** Flower's own ports on loopback: one for all from 1.40, a second one for the gRPC Fleet API before. */
export function superLinkPorts(version: string, loopback: string): SuperLinkPorts {
  const http = { host: loopback, port: ports.superlink };
  const grpc = profileOf(version)?.fleet === 'grpc';
  return { http, fleet: grpc ? { host: loopback, port: ports.superlinkGrpcFleet } : http };
}

/** The processes of a SuperLink. */
export function superLinkProcesses(
  setting: FlowerSetting,
  certificates: CertificateMaterial | undefined,
): ProcessSpec[] {
  const { settings, version, loopback } = setting;
  const { http, fleet } = superLinkPorts(version, loopback);
  // What an app may import is what the image holds: nothing is installed at run time.
  const link = flowerProcess(setting, serverApp, 'flower-superlink', [
    ...['--host', http.host, '--port', String(http.port)],
    ...(fleet === http ? [] : ['--fleet-api-type', 'grpc-rere', '--fleet-api-address', formatHostPort(fleet)]),
    ...serverTls(certificates),
    '--disable-runtime-dependency-installation',
    ...['--database', join(setting.layout.flower, settings.FL_DATABASE)],
    ...['--isolation', settings.FL_ISOLATION],
  ]);
  // Flower reads its certificate once: a new one has to look like another process.
  if (certificates) link.env.ONEFLOWER_CERTIFICATE = contentId(certificates.certificatePem);
  if (settings.FL_ISOLATION !== 'process') return [link];
  const trust = certificates ? ['--root-certificates', certificates.caFile] : ['--insecure'];
  const exec = [...trust, '--runtime-api-address', formatHostPort(http)];
  return [link, flowerProcess(setting, serverApp, 'flower-superexec', exec)];
}

/** How a SuperNode joins. */
export interface JoinSetting {
  gate: HostPort;
  /** The CA, and the node's key; absent without TLS. */
  trust: { caFile: string; caPem: string; keyFile: string } | undefined;
  nodeConfig: string;
}

/** Where a SuperNode's Flower serves its own apps. */
export function superNodePort(loopback: string): HostPort {
  return { host: loopback, port: ports.supernodeRuntime };
}

/** The processes of a SuperNode. */
export function superNodeProcesses(setting: FlowerSetting, join: JoinSetting): ProcessSpec[] {
  const { settings, loopback } = setting;
  const runtime = superNodePort(loopback);
  const node = flowerProcess(setting, clientApp, 'flower-supernode', [
    ...['--superlink', formatHostPort(join.gate)],
    ...(join.trust
      ? ['--root-certificates', join.trust.caFile, '--auth-supernode-private-key', join.trust.keyFile]
      : ['--insecure']),
    ...['--host', runtime.host, '--port', String(runtime.port)],
    ...['--isolation', settings.FL_ISOLATION],
    ...(join.nodeConfig === '' ? [] : ['--node-config', join.nodeConfig]),
    ...unlessZero('--max-retries', settings.FL_MAX_RETRIES),
    ...unlessZero('--max-wait-time', settings.FL_MAX_WAIT_TIME),
  ]);
  if (join.trust) node.env.ONEFLOWER_CERTIFICATE = contentId(join.trust.caPem);
  if (settings.FL_ISOLATION !== 'process') return [node];
  const exec = ['--insecure', '--runtime-api-address', formatHostPort(runtime)];
  return [node, flowerProcess(setting, clientApp, 'flower-superexec', exec)];
}

/** The node's configuration: the operator's, with the leased partition where that says nothing. */
export function nodeConfigWith(given: string, keys: readonly string[], partition: { id: number; of: number }): string {
  const leased = [
    ['partition-id', partition.id],
    ['num-partitions', partition.of],
  ] as const;
  const added = leased.filter(([name]) => !keys.includes(name)).map(([name, value]) => `${name}=${value}`);
  return [given, ...added].filter(Boolean).join(' ');
}

/**
 * Folder of programs under Flower's names that start apps warm and wait less (the Python package oneflower.warm), or
 * undefined where Flower runs as it is.
 */
function launchersOf({ layout, settings, version }: FlowerSetting): string | undefined {
  const known = profileOf(version)?.warm ?? false;
  return settings.FL_WARM_WORKERS && known ? join(layout.software.python, 'oneflower/warm/bin') : undefined;
}

/** What the launchers read: where their sockets are, and what apps import. Without them nothing is warm. */
function warmEnvironment(setting: FlowerSetting, app: string): Record<string, string> {
  const { layout, settings } = setting;
  if (launchersOf(setting) === undefined) return { ONEFLOWER_WARM: '0' };
  return {
    // Flower's user makes it. One for all processes of a guest, which with FL_ISOLATION=process start one by one.
    ONEFLOWER_WARM_FOLDER: join(layout.flowerState, 'warm'),
    ONEFLOWER_WARM_PROGRAM: app,
    ONEFLOWER_FRAMEWORK: settings.ML_FRAMEWORK,
    // ServerApps import none of its packages, and a SuperLink is not to start anew, and interrupt runs, for another one.
    ...(app === clientApp ? { ONEFLOWER_USE_CASE: settings.FL_USE_CASE } : {}),
  };
}

/** Environment of Flower's processes and of the apps that they start. */
export function flowerEnvironment(setting: FlowerSetting): Record<string, string> {
  const { layout, settings, bin } = setting;
  const checkpoints = checkpointsOf(layout, settings);
  const launchers = launchersOf(setting);
  return {
    PATH: [...(launchers === undefined ? [] : [launchers]), bin, '/usr/local/bin:/usr/bin:/bin'].join(':'),
    HOME: layout.flowerState,
    TMPDIR: join(layout.flowerState, 'tmp'),
    LANG: 'C.UTF-8',
    PYTHONUNBUFFERED: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: layout.software.python,
    // Threads of PyTorch that spin while they wait take the cores from whatever else runs on the machine.
    OMP_WAIT_POLICY: 'PASSIVE',
    FLWR_HOME: layout.flowerHome,
    FLWR_LOG_LEVEL: settings.FL_LOG_LEVEL,
    FLWR_TELEMETRY_ENABLED: '0',
    FLWR_DISABLE_UPDATE_CHECK: '1',
    ONEFLOWER_EVENTS: layout.appEvents,
    ONEFLOWER_MODELS: layout.appModels,
    ONEFLOWER_DATA: layout.data,
    ONEFLOWER_BUNDLED: layout.software.bundled,
    ...(checkpoints === undefined ? {} : { ONEFLOWER_CHECKPOINTS: checkpoints }),
  };
}

/** A server of Flower's, and the app program that is started for it. */
function flowerProcess(setting: FlowerSetting, app: string, name: string, args: string[]): ProcessSpec {
  return {
    name,
    file: join(launchersOf(setting) ?? setting.bin, name),
    args,
    cwd: setting.layout.flower,
    env: { ...flowerEnvironment(setting), ...warmEnvironment(setting, app) },
    owner: setting.owner,
  };
}

/** Node authentication needs TLS: Flower refuses it without. */
function serverTls(certificates: CertificateMaterial | undefined): string[] {
  if (!certificates) return ['--insecure'];
  const { certificateFile, keyFile, caFile } = certificates;
  return [
    ...['--ssl-certfile', certificateFile, '--ssl-keyfile', keyFile, '--ssl-ca-certfile', caFile],
    '--enable-supernode-auth',
  ];
}

function unlessZero(flag: string, value: number): string[] {
  return value === 0 ? [] : [flag, String(value)];
}

function contentId(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
